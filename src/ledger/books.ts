import type { EntityManager } from 'typeorm';
import { Bug } from '../bug.js';
import { change, columns, run, together, type Statement } from '../database/statement.js';
import type { Payment } from '../payments/payment.entity.js';
import { balanceOf, type Account } from './account.entity.js';
import type { Transfer } from './transfer.entity.js';

/**
 * The books, open inside one transaction: the accounts a batch of payments touches, locked until it commits.
 *
 * Between `openBooks` and `closeBooks` nothing waits and nothing is read: decisions are made one after the
 * other in memory, each on the balances the one before it left. So a batch of fifty payments to one payee locks
 * and writes his account once, which is where most of its speed comes from.
 */
export class Books {
  readonly payments: Payment[] = [];
  readonly transfers: Transfer[] = [];
  readonly touched = new Set<Account>();

  constructor(private readonly accounts: ReadonlyMap<string, Account>) {}

  account(id: string): Account | undefined {
    return this.accounts.get(id);
  }

  /** Moves money at once. The caller has checked that it is there; the database checks again. */
  post(transfer: Transfer): void {
    const debited = this.opened(transfer.debitAccountId);
    const credited = this.opened(transfer.creditAccountId);
    if (debited.kind === 'customer' && balanceOf(debited).available < transfer.amount) {
      throw new Bug('PS-201', `account ${debited.id} would fall below zero`);
    }
    debited.debitsPosted += transfer.amount;
    credited.creditsPosted += transfer.amount;
    this.transfers.push(transfer);
    this.touched.add(debited).add(credited);
  }

  enter(payment: Payment): void {
    this.payments.push(payment);
  }

  private opened(id: string): Account {
    const account = this.accounts.get(id);
    if (!account) throw new Bug('PS-202', `account ${id} is not among the opened ones`);
    return account;
  }
}

/**
 * Locks the accounts named, in the order of their ids, so that two batches never wait for each other in a
 * circle. Ids that do not exist are simply not there.
 */
export async function openBooks(tx: EntityManager, accountIds: readonly string[]): Promise<Books> {
  const ids = [...new Set(accountIds)];
  const rows = await run<AccountRow>(tx, lockAccounts, [ids]);
  return new Books(new Map(rows.map(row => [row.id, toAccount(row)])));
}

/** Writes what was decided: a statement for each table, whatever the size of the batch. */
export async function closeBooks(tx: EntityManager, books: Books): Promise<void> {
  const { payments, transfers, touched } = books;
  if (payments.length === 0) return;
  await together([
    change(tx, insertPayments, columns(payments, ...paymentColumns)),
    change(tx, insertTransfers, columns(transfers, ...transferColumns)),
    change(tx, writeBalances, columns([...touched], ...balanceColumns)),
  ]);
}

const lockAccounts: Statement = {
  name: 'lock_accounts',
  text: `
    SELECT id, customer_id, kind, currency, debits_pending, debits_posted, credits_posted
      FROM accounts
     WHERE id = ANY ($1::text[])
     ORDER BY id
       FOR NO KEY UPDATE`,
};

const paymentColumns = [
  'customerId',
  'id',
  'idempotencyKey',
  'fromAccountId',
  'toAccountId',
  'currency',
  'amount',
  'rail',
  'reference',
  'status',
  'declineCode',
  'declineMessage',
  'createdAt',
  'completedAt',
] as const;

const insertPayments: Statement = {
  name: 'insert_payments',
  text: `
    INSERT INTO payments (customer_id, id, idempotency_key, from_account_id, to_account_id, currency, amount,
                          rail, reference, status, decline_code, decline_message, created_at, completed_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
                         $13::timestamptz[], $14::timestamptz[])`,
};

const transferColumns = [
  'id',
  'customerId',
  'paymentId',
  'debitAccountId',
  'creditAccountId',
  'currency',
  'amount',
  'state',
  'createdAt',
] as const;

const insertTransfers: Statement = {
  name: 'insert_transfers',
  text: `
    INSERT INTO transfers (id, customer_id, payment_id, debit_account_id, credit_account_id, currency, amount,
                           state, created_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                         $8::text[], $9::timestamptz[])`,
};

const balanceColumns = ['id', 'debitsPending', 'debitsPosted', 'creditsPosted'] as const;

/** The accounts are locked, so what was read may be written over. */
const writeBalances: Statement = {
  name: 'write_balances',
  text: `
    UPDATE accounts
       SET debits_pending = new.debits_pending,
           debits_posted  = new.debits_posted,
           credits_posted = new.credits_posted
      FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
        AS new (id, debits_pending, debits_posted, credits_posted)
     WHERE accounts.id = new.id`,
};

interface AccountRow {
  id: string;
  customer_id: string | null;
  kind: Account['kind'];
  currency: string;
  debits_pending: string;
  debits_posted: string;
  credits_posted: string;
}

function toAccount(row: AccountRow): Account {
  return {
    id: row.id,
    customerId: row.customer_id,
    kind: row.kind,
    currency: row.currency,
    debitsPending: BigInt(row.debits_pending),
    debitsPosted: BigInt(row.debits_posted),
    creditsPosted: BigInt(row.credits_posted),
  };
}
