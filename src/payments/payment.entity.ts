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

/** As PostgreSQL answers, for statements of our own. */
export interface PaymentRow {
  customer_id: string;
  id: string;
  idempotency_key: string;
  from_account_id: string;
  to_account_id: string;
  currency: string;
  amount: string;
  rail: Payment['rail'];
  reference: string | null;
  status: Payment['status'];
  decline_code: string | null;
  decline_message: string | null;
  bank_transfer_id: string | null;
  refunded: string;
  created_at: Date;
  completed_at: Date | null;
}

export function toPayment(row: PaymentRow): Payment {
  return {
    customerId: row.customer_id,
    id: row.id,
    idempotencyKey: row.idempotency_key,
    fromAccountId: row.from_account_id,
    toAccountId: row.to_account_id,
    currency: row.currency,
    amount: BigInt(row.amount),
    rail: row.rail,
    reference: row.reference,
    status: row.status,
    declineCode: row.decline_code,
    declineMessage: row.decline_message,
    bankTransferId: row.bank_transfer_id,
    refunded: BigInt(row.refunded),
    createdAt: row.created_at,
    completedAt: row.completed_at,
  };
}
