import { Column, Entity, PrimaryColumn } from 'typeorm';
import { minorUnits } from '../ledger/minor-units.js';

/** Money given back of a payment, in part or in whole. It remembers its idempotency key for ever, too. */
@Entity('refunds')
export class Refund {
  @PrimaryColumn('uuid', { name: 'customer_id' })
  customerId!: string;

  @PrimaryColumn('uuid')
  id!: string;

  @Column('uuid', { name: 'payment_id' })
  paymentId!: string;

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

  @Column('text')
  status!: 'succeeded' | 'declined';

  @Column('text', { name: 'decline_code', nullable: true })
  declineCode!: string | null;

  @Column('text', { name: 'decline_message', nullable: true })
  declineMessage!: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'completed_at' })
  completedAt!: Date;
}

/** The refund as callers see it: a payment in the opposite direction. */
export function refundToJson(refund: Refund) {
  return {
    id: refund.id,
    object: 'refund',
    payment_id: refund.paymentId,
    status: refund.status,
    from: refund.fromAccountId,
    to: refund.toAccountId,
    amount: Number(refund.amount),
    currency: refund.currency,
    rail: refund.rail,
    reference: null,
    decline: refund.declineCode && { code: refund.declineCode, message: refund.declineMessage },
    bank_transfer_id: null,
    refunded: 0,
    idempotency_key: refund.idempotencyKey,
    created_at: refund.createdAt.toISOString(),
    completed_at: refund.completedAt.toISOString(),
  };
}

/** As PostgreSQL answers, for statements of our own. */
export interface RefundRow {
  customer_id: string;
  id: string;
  payment_id: string;
  idempotency_key: string;
  from_account_id: string;
  to_account_id: string;
  currency: string;
  amount: string;
  rail: Refund['rail'];
  status: Refund['status'];
  decline_code: string | null;
  decline_message: string | null;
  created_at: Date;
  completed_at: Date;
}

export function toRefund(row: RefundRow): Refund {
  return {
    customerId: row.customer_id,
    id: row.id,
    paymentId: row.payment_id,
    idempotencyKey: row.idempotency_key,
    fromAccountId: row.from_account_id,
    toAccountId: row.to_account_id,
    currency: row.currency,
    amount: BigInt(row.amount),
    rail: row.rail,
    status: row.status,
    declineCode: row.decline_code,
    declineMessage: row.decline_message,
    createdAt: row.created_at,
    completedAt: row.completed_at,
  };
}
