import { Column, Entity, PrimaryColumn } from 'typeorm';
import { minorUnits } from '../ledger/minor-units.js';

/** A payment. It remembers its idempotency key for ever, also after the key's own row has been reaped. */
@Entity('payments')
export class Payment {
  @PrimaryColumn('uuid', { name: 'customer_id' })
  customerId!: string;

  @PrimaryColumn('uuid')
  id!: string;

  @Column('text', { name: 'idempotency_key' })
  idempotencyKey!: string;

  @Column('text', { name: 'from_account_id' })
  fromAccountId!: string;

  @Column('text', { name: 'to_account_id' })
  toAccountId!: string;

  @Column('text')
  currency!: string;

  @Column('bigint', { transformer: minorUnits })
  amount!: bigint;

  @Column('text')
  rail!: 'ledger' | 'bank';

  @Column('text', { nullable: true })
  reference!: string | null;

  @Column('text')
  status!: 'succeeded' | 'pending' | 'declined' | 'cancelled';

  @Column('text', { name: 'decline_code', nullable: true })
  declineCode!: string | null;

  @Column('text', { name: 'decline_message', nullable: true })
  declineMessage!: string | null;

  @Column('text', { name: 'bank_transfer_id', nullable: true })
  bankTransferId!: string | null;

  @Column('bigint', { transformer: minorUnits })
  refunded!: bigint;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'completed_at', nullable: true })
  completedAt!: Date | null;
}

/** The payment as callers see it. What is not listed here is never shown. */
export function paymentToJson(payment: Payment) {
  return {
    id: payment.id,
    object: 'payment',
    status: payment.status,
    from: payment.fromAccountId,
    to: payment.toAccountId,
    amount: Number(payment.amount),
    currency: payment.currency,
    rail: payment.rail,
    reference: payment.reference,
    decline: payment.declineCode && { code: payment.declineCode, message: payment.declineMessage },
    bank_transfer_id: payment.bankTransferId,
    refunded: Number(payment.refunded),
    idempotency_key: payment.idempotencyKey,
    created_at: payment.createdAt.toISOString(),
    completed_at: payment.completedAt && payment.completedAt.toISOString(),
  };
}
