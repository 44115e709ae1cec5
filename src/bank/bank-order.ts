/** What the bank is asked to pay. The reference is the payment's own id: the bank knows a repeat by it. */
export interface BankOrder {
  readonly reference: string;
  /** Minor units. */
  readonly amount: bigint;
  readonly currency: string;
  readonly creditor: string;
}

export interface BankTransfer {
  readonly id: string;
  readonly status: 'accepted' | 'settled' | 'returned';
}
