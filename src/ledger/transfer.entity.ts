import { Column, Entity, PrimaryColumn } from 'typeorm';
import { minorUnits } from './minor-units.js';

/** Money that moves from one account to another: double entry in one row, so books cannot be unbalanced. */
@Entity('transfers')
export class Transfer {
  @PrimaryColumn('uuid')
  id!: string;

  /** The payer, and the payment this belongs to. Null for money brought in from outside, an opening balance. */
  @Column('uuid', { name: 'customer_id', nullable: true })
  customerId!: string | null;

  @Column('uuid', { name: 'payment_id', nullable: true })
  paymentId!: string | null;

  /** Set where money of that payment goes back. */
  @Column('uuid', { name: 'refund_id', nullable: true })
  refundId!: string | null;

  @Column('text', { name: 'debit_account_id' })
  debitAccountId!: string;

  @Column('text', { name: 'credit_account_id' })
  creditAccountId!: string;

  @Column('text')
  currency!: string;

  @Column('bigint', { transformer: minorUnits })
  amount!: bigint;

  @Column('text')
  state!: 'pending' | 'posted' | 'voided';

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}

export function transferToJson(transfer: Transfer) {
  return {
    id: transfer.id,
    object: 'transfer',
    payment_id: transfer.paymentId,
    debit_account: transfer.debitAccountId,
    credit_account: transfer.creditAccountId,
    amount: Number(transfer.amount),
    state: transfer.state,
    created_at: transfer.createdAt.toISOString(),
  };
}
