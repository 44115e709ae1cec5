import type { EntityManager } from 'typeorm';
import { Bug } from '../bug.js';
import { change, columns, run, together, type Statement } from '../database/statement.js';
import { toPayment, type Payment, type PaymentRow } from '../payments/payment.entity.js';
import type { Refund } from '../payments/refund.entity.js';
import { balanceOf, type Account } from './account.entity.js';
import type { Transfer } from './transfer.entity.js';

/** What a decision needs open: accounts by id, and payments, each of which brings the accounts it moves money between. */
export interface Needs {
  readonly accounts?: readonly string[];
  readonly payments?: readonly PaymentName[];
}

export interface PaymentName {
  readonly customerId: string;
  readonly id: string;
}

/** The account that stands for the other bank: money on its way there is promised to it. */
export function bankAccount(currency: string): string {
  return `bank:${currency}`;
}

/**
 * The books, open inside one transaction: the accounts a batch of payments touches, locked until it commits.
 *
 * Between `openBooks` and `closeBooks` nothing waits and nothing is read: decisions are made one after the
 * other in memory, each on the balances the one before it left. So a batch of fifty payments to one payee locks
 * and writes his account once, which is where most of its speed comes from.
 */
export class Books {
  readonly entered = { payments: [] as Payment[], refunds: [] as Refund[], transfers: [] as Transfer[] };
  readonly changed = { payments: new Set<Payment>(), transfers: [] as Transfer[] };
  readonly touched = new Set<Account>();

  constructor(
    private readonly accounts: ReadonlyMap<string, Account>,
    private readonly payments: readonly Payment[] = [],
  ) {}

  account(id: string): Account | undefined {
    return this.accounts.get(id);
  }

  /** A payment that was opened. The customer is part of its name: nobody opens another's. */
  payment({ customerId, id }: PaymentName): Payment | undefined {
    return this.payments.find(payment => payment.id === id && payment.customerId === customerId);
  }

  enter(payment: Payment): void {
    this.entered.payments.push(payment);
  }

  enterRefund(refund: Refund): void {
    this.entered.refunds.push(refund);
  }

  /** To be written over as it is now. */
  change(payment: Payment): void {
    this.changed.payments.add(payment);
  }

  /** Moves money at once. The caller has checked that it is there; the database checks again. */
  post(transfer: Transfer): void {
    const debited = this.opened(transfer.debitAccountId);
    const credited = this.opened(transfer.creditAccountId);
    spend(debited, transfer.amount);
    debited.debitsPosted += transfer.amount;
    credited.creditsPosted += transfer.amount;
    this.entered.transfers.push(transfer);
    this.touched.add(debited).add(credited);
  }

  /** Promises money: its holder cannot spend it any more, and nobody else has it yet. */
  reserve(transfer: Transfer): void {
    const debited = this.opened(transfer.debitAccountId);
    spend(debited, transfer.amount);
    debited.debitsPending += transfer.amount;
    this.entered.transfers.push(transfer);
    this.touched.add(debited);
  }

  /** Keeps a promise: what was reserved moves. */
  postReserved(transfer: Transfer): void {
    const debited = this.opened(transfer.debitAccountId);
    const credited = this.opened(transfer.creditAccountId);
    debited.debitsPending -= transfer.amount;
    debited.debitsPosted += transfer.amount;
    credited.creditsPosted += transfer.amount;
    this.changed.transfers.push({ ...transfer, state: 'posted' });
    this.touched.add(debited).add(credited);
  }

  /** Takes a promise back: the money is its holder's again. */
  voidReserved(transfer: Transfer): void {
    const debited = this.opened(transfer.debitAccountId);
    debited.debitsPending -= transfer.amount;
    this.changed.transfers.push({ ...transfer, state: 'voided' });
    this.touched.add(debited);
  }

  private opened(id: string): Account {
    const account = this.accounts.get(id);
    if (!account) throw new Bug('PS-202', `account ${id} is not among the opened ones`);
    return account;
  }
}

function spend(account: Account, amount: bigint): void {
  if (account.kind === 'customer' && balanceOf(account).available < amount) {
    throw new Bug('PS-201', `account ${account.id} would fall below zero`);
  }
}

/**
 * Locks what is needed: payments first, then accounts, each in the order of their ids, so that two batches never
 * wait for each other in a circle. What does not exist is simply not there.
 */
export async function openBooks(tx: EntityManager, needs: readonly Needs[]): Promise<Books> {
  const ids = [...new Set(needs.flatMap(({ accounts = [] }) => accounts))];
  const names = needs.flatMap(({ payments = [] }) => payments);
  if (names.length === 0) {
    return new Books(toAccounts(await run<AccountRow>(tx, lockAccounts, [ids])));
  }
  const wanted = columns(names, 'customerId', 'id');
  const [payments, accounts] = await together([
    run<PaymentRow>(tx, lockPayments, wanted),
    run<AccountRow>(tx, lockAccountsOfPayments, [ids, ...wanted]),
  ]);
  return new Books(toAccounts(accounts), payments.map(toPayment));
}

/** Writes what was decided: a statement for each table, whatever the size of the batch. */
export async function closeBooks(tx: EntityManager, { entered, changed, touched }: Books): Promise<void> {
  await together([
    write(tx, insertPayments, columns(entered.payments, ...paymentColumns)),
    write(tx, updatePayments, columns([...changed.payments], ...paymentChanges)),
    write(tx, insertRefunds, columns(entered.refunds, ...refundColumns)),
    write(tx, insertTransfers, columns(entered.transfers, ...transferColumns)),
    write(tx, updateTransfers, columns(changed.transfers, 'id', 'state')),
    write(tx, writeBalances, columns([...touched], ...balanceColumns)),
  ]);
}

async function write(tx: EntityManager, statement: Statement, values: unknown[][]): Promise<void> {
  const rows = values[0]?.length ?? 0;
  if (rows === 0) return;
  const written = await change(tx, statement, values);
  if (written !== rows) throw new Bug('PS-203', `${statement.name} wrote ${written} rows, not ${rows}`);
}

const lockPayments: Statement = {
  name: 'lock_payments',
  text: `
    SELECT p.*
      FROM payments AS p
      JOIN unnest($1::uuid[], $2::uuid[]) AS wanted (customer_id, id) USING (customer_id, id)
     ORDER BY p.customer_id, p.id
       FOR NO KEY UPDATE OF p`,
};

const accountColumns = 'id, customer_id, kind, currency, debits_pending, debits_posted, credits_posted';

const lockAccounts: Statement = {
  name: 'lock_accounts',
  text: `
    SELECT ${accountColumns}
      FROM accounts
     WHERE id = ANY ($1::text[])
     ORDER BY id
       FOR NO KEY UPDATE`,
};

/** The same, and the accounts between which each payment moves its money. Those of a payment never change. */
const lockAccountsOfPayments: Statement = {
  name: 'lock_accounts_of_payments',
  text: `
    SELECT ${accountColumns}
      FROM accounts
     WHERE id = ANY ($1::text[] || ARRAY(
             SELECT unnest(ARRAY[from_account_id, CASE rail WHEN 'bank' THEN 'bank:' || currency ELSE to_account_id END])
               FROM payments
               JOIN unnest($2::uuid[], $3::uuid[]) AS wanted (customer_id, id) USING (customer_id, id)))
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

const paymentChanges = [
  'customerId',
  'id',
  'status',
  'declineCode',
  'declineMessage',
  'bankTransferId',
  'refunded',
  'completedAt',
] as const;

/** The payments are locked, so what was read may be written over. */
const updatePayments: Statement = {
  name: 'update_payments',
  text: `
    UPDATE payments
       SET status = new.status, decline_code = new.decline_code, decline_message = new.decline_message,
           bank_transfer_id = new.bank_transfer_id, refunded = new.refunded, completed_at = new.completed_at
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                  $8::timestamptz[])
        AS new (customer_id, id, status, decline_code, decline_message, bank_transfer_id, refunded, completed_at)
     WHERE payments.customer_id = new.customer_id AND payments.id = new.id`,
};

const refundColumns = [
  'customerId',
  'id',
  'paymentId',
  'idempotencyKey',
  'fromAccountId',
  'toAccountId',
  'currency',
  'amount',
  'rail',
  'status',
  'declineCode',
  'declineMessage',
  'createdAt',
  'completedAt',
] as const;

const insertRefunds: Statement = {
  name: 'insert_refunds',
  text: `
    INSERT INTO refunds (customer_id, id, payment_id, idempotency_key, from_account_id, to_account_id, currency,
                         amount, rail, status, decline_code, decline_message, created_at, completed_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[],
                         $13::timestamptz[], $14::timestamptz[])`,
};

const transferColumns = [
  'id',
  'customerId',
  'paymentId',
  'refundId',
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
    INSERT INTO transfers (id, customer_id, payment_id, refund_id, debit_account_id, credit_account_id, currency,
                           amount, state, created_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                         $8::bigint[], $9::text[], $10::timestamptz[])`,
};

/** A promise is kept, or taken back, once. */
const updateTransfers: Statement = {
  name: 'update_transfers',
  text: `
    UPDATE transfers SET state = new.state
      FROM unnest($1::uuid[], $2::text[]) AS new (id, state)
     WHERE transfers.id = new.id AND transfers.state = 'pending'`,
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

function toAccounts(rows: readonly AccountRow[]): Map<string, Account> {
  return new Map(
    rows.map(row => [
      row.id,
      {
        id: row.id,
        customerId: row.customer_id,
        kind: row.kind,
        currency: row.currency,
        debitsPending: BigInt(row.debits_pending),
        debitsPosted: BigInt(row.debits_posted),
        creditsPosted: BigInt(row.credits_posted),
      },
    ]),
  );
}
