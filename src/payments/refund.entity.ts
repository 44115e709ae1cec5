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
