import { Column, Entity, PrimaryColumn } from 'typeorm';
import { minorUnits } from './minor-units.js';

/** An account in our books. Balances change in `books.ts` only. */
@Entity('accounts')
export class Account {
  @PrimaryColumn('text')
  id!: string;

  /** Null for a bank account: it stands for the world outside, and may go below zero. */
  @Column('uuid', { name: 'customer_id', nullable: true })
  customerId!: string | null;

  @Column('text')
  kind!: 'customer' | 'bank';

  @Column('text')
  currency!: string;

  @Column('bigint', { name: 'debits_pending', transformer: minorUnits })
  debitsPending!: bigint;

  @Column('bigint', { name: 'debits_posted', transformer: minorUnits })
  debitsPosted!: bigint;

  @Column('bigint', { name: 'credits_posted', transformer: minorUnits })
  creditsPosted!: bigint;
}

/** What the holder owns; what is promised to others; what is left to spend. Minor units. */
export function balanceOf(account: Account): { posted: bigint; pending: bigint; available: bigint } {
  const posted = account.creditsPosted - account.debitsPosted;
  return { posted, pending: account.debitsPending, available: posted - account.debitsPending };
}

export function accountToJson(account: Account) {
  const { posted, pending, available } = balanceOf(account);
  return {
    id: account.id,
    object: 'account',
    currency: account.currency,
    balance: { posted: Number(posted), pending: Number(pending), available: Number(available) },
  };
}
