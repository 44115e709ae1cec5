/**
 * The other bank, as a value like the store: what it has booked, and the requests that are still on their way to it.
 * It keeps its side of the contract: a reference is charged once, for as long as it remembers it.
 */
export interface ModelBank {
  readonly transfers: readonly Transfer[];
  /** Sent by somebody who has stopped listening. The network may yet deliver them. */
  readonly late: readonly Request[];
  readonly fate: Fate;
}

export interface Transfer {
  readonly id: string;
  readonly reference: string;
  readonly amount: number;
  readonly currency: string;
  readonly creditor: string;
  readonly status: 'accepted' | 'settled' | 'returned' | 'declined';
  readonly bookedAt: number;
}

export interface Request {
  readonly method: 'GET' | 'PUT';
  readonly reference: string;
  /** JSON, or nothing with a GET. */
  readonly body: string;
}

export interface HttpReply {
  readonly status: number;
  readonly body: string;
}

/** What the bank does with a payment it has not seen before. */
export type Fate = 'settles' | 'returns' | 'declines';

/** How long the bank remembers a reference: an hour longer than our side counts on. */
export const bankMemoryMs = 24 * 60 * 60 * 1_000;

export function askBank(
  bank: ModelBank,
  request: Request,
  now: number,
): { bank: ModelBank; reply: HttpReply } {
  const known = bank.transfers.findLast(({ reference }) => reference === request.reference);
  const isRemembered = known !== undefined && now - known.bookedAt <= bankMemoryMs;
  if (request.method === 'GET')
    return { bank, reply: isRemembered ? replyWith(known, 200) : unknownReference };
  if (isRemembered) return { bank, reply: replyWith(known, known.status === 'declined' ? 422 : 200) };

  const order = JSON.parse(request.body) as Pick<Transfer, 'amount' | 'currency' | 'creditor'>;
  const booked: Transfer = {
    id: `bank-${bank.transfers.length + 1}`,
    reference: request.reference,
    ...order,
    status: bank.fate === 'declines' ? 'declined' : 'accepted',
    bookedAt: now,
  };
  return {
    bank: { ...bank, transfers: [...bank.transfers, booked] },
    reply: replyWith(booked, booked.status === 'declined' ? 422 : 201),
  };
}

/** What was accepted comes to its end at the bank, some time later. */
export function settle(bank: ModelBank): ModelBank {
  const end = bank.fate === 'returns' ? 'returned' : 'settled';
  const transfers = bank.transfers.map(transfer =>
    transfer.status === 'accepted' ? ({ ...transfer, status: end } as const) : transfer,
  );
  return { ...bank, transfers };
}

/** Booked as a charge, whether the money came back later or not. */
export function chargesOf(bank: ModelBank, reference: string): Transfer[] {
  return bank.transfers.filter(
    transfer => transfer.reference === reference && transfer.status !== 'declined',
  );
}

const unknownReference = { status: 404, body: '{"error":{"code":"unknown_reference"}}' };

function replyWith({ bookedAt: _, ...transfer }: Transfer, status: number): HttpReply {
  const decline = { code: 'no_such_account', message: 'There is no such account.' };
  return {
    status,
    body: JSON.stringify(transfer.status === 'declined' ? { ...transfer, decline } : transfer),
  };
}
