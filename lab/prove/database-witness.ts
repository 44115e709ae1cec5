import { Client, TypeOverrides, types } from 'pg';

/** The third witness: every row, as it is once all is quiet, and what each key's row has been through. */
export interface DatabaseWitness {
  readonly customers: readonly CustomerRow[];
  readonly accounts: readonly AccountRow[];
  readonly payments: readonly PaymentRow[];
  readonly refunds: readonly RefundRow[];
  readonly transfers: readonly TransferRow[];
  readonly keys: readonly KeyRow[];
  /** In the order of its changes, key by key. */
  readonly history: readonly KeyChange[];
}

/** The log knows customers by their names, our books by their ids. */
export interface CustomerRow {
  readonly id: string;
  readonly name: string;
}

/** Balances as they are kept beside the transfers, in minor units. */
export interface AccountRow {
  readonly id: string;
  readonly kind: 'customer' | 'bank';
  readonly currency: string;
  readonly debitsPending: number;
  readonly debitsPosted: number;
  readonly creditsPosted: number;
}

export interface PaymentRow {
  readonly id: string;
  readonly customerId: string;
  /** As the payment remembers it: a key that was a fingerprint carries the start of its window. */
  readonly idempotencyKey: string;
  readonly from: string;
  readonly to: string;
  readonly currency: string;
  readonly amount: number;
  readonly rail: 'ledger' | 'bank';
  readonly reference: string | null;
  readonly status: 'succeeded' | 'pending' | 'declined' | 'cancelled';
  readonly bankTransferId: string | null;
}

/** A refund has a key of its own. `paymentId`: what is given back. */
export interface RefundRow {
  readonly id: string;
  readonly customerId: string;
  readonly paymentId: string;
  readonly idempotencyKey: string;
  readonly currency: string;
  readonly amount: number;
  readonly status: 'succeeded' | 'declined';
}

/** Both ids are `null` for opening balances, which no payment has moved. */
export interface TransferRow {
  readonly id: string;
  readonly paymentId: string | null;
  readonly refundId: string | null;
  readonly debit: string;
  readonly credit: string;
  readonly currency: string;
  readonly amount: number;
  readonly state: 'pending' | 'posted' | 'voided';
}

/** What is left of an idempotency key's row. One that was reaped is not here; its history is. */
export interface KeyRow {
  readonly customerId: string;
  readonly key: string;
  readonly recoveryPoint: RecoveryPoint;
  readonly epoch: number;
  readonly attempts: number;
  readonly parkedBecause: string | null;
  /** Status, a blank, and the SHA-256 of the body: what the driver's log holds of an answer, too. */
  readonly answer: string | null;
}

export type RecoveryPoint = 'started' | 'funds_reserved' | 'transfer_sent' | 'finished' | 'cancelled';

/** Times are epoch milliseconds by the database's clock. See key-history.ts. */
export interface KeyChange {
  readonly at: number;
  readonly transaction: string;
  readonly writer: string;
  readonly change: 'INSERT' | 'UPDATE' | 'DELETE';
  readonly customerId: string;
  readonly key: string;
  readonly recoveryPoint: RecoveryPoint;
  readonly epoch: number;
  readonly attemptId: string;
  readonly parkedBecause: string | null;
  readonly answer: string | null;
  readonly expiresAt: number;
}

/** Rows fetched at once: a run leaves a million changes, and they must not exist twice. */
const pageSize = 20_000;

/** Reads it all in one snapshot. Payments that are still being made would be seen whole, or not at all. */
export async function readDatabase(databaseUrl: string): Promise<DatabaseWitness> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'prove-witness',
    types: exactNumbers(),
  });
  await client.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return {
      customers: await readAll<CustomerRow>(client, selects.customers),
      accounts: await readAll<AccountRow>(client, selects.accounts),
      payments: await readAll<PaymentRow>(client, selects.payments),
      refunds: await readAll<RefundRow>(client, selects.refunds),
      transfers: await readAll<TransferRow>(client, selects.transfers),
      keys: await readAll<KeyRow>(client, selects.keys),
      history: await readAll<KeyChange>(client, selects.history),
    };
  } finally {
    await client.end();
  }
}

/** Page by page, through a cursor of the one transaction: a snapshot that is a million rows long. */
async function readAll<Row>(client: Client, select: string): Promise<Row[]> {
  const rows: Row[] = [];
  await client.query('DECLARE pages NO SCROLL CURSOR FOR ' + select);
  for (;;) {
    const page = await client.query('FETCH ' + String(pageSize) + ' FROM pages');
    for (const row of page.rows) rows.push(row as Row);
    if (page.rows.length < pageSize) break;
  }
  await client.query('CLOSE pages');
  return rows;
}

const sha256OfAnswer = `response_status || ' ' || encode(sha256(convert_to(response_body, 'UTF8')), 'hex')`;

const selects = {
  customers: 'SELECT id, name FROM customers',
  accounts: `
    SELECT id, kind, currency, debits_pending AS "debitsPending", debits_posted AS "debitsPosted",
           credits_posted AS "creditsPosted"
      FROM accounts`,
  payments: `
    SELECT id, customer_id AS "customerId", idempotency_key AS "idempotencyKey", from_account_id AS "from",
           to_account_id AS "to", currency, amount, rail, reference, status, bank_transfer_id AS "bankTransferId"
      FROM payments`,
  refunds: `
    SELECT id, customer_id AS "customerId", payment_id AS "paymentId", idempotency_key AS "idempotencyKey", currency,
           amount, status
      FROM refunds`,
  transfers: `
    SELECT id, payment_id AS "paymentId", refund_id AS "refundId", debit_account_id AS debit,
           credit_account_id AS credit, currency, amount, state
      FROM transfers`,
  keys: `
    SELECT customer_id AS "customerId", key, recovery_point AS "recoveryPoint", epoch, attempts,
           parked_because AS "parkedBecause", ${sha256OfAnswer} AS answer
      FROM idempotency_keys`,
  history: `
    SELECT (extract(epoch FROM at) * 1000)::float8 AS at, transaction, writer, change, customer_id AS "customerId", key,
           recovery_point AS "recoveryPoint", epoch, attempt_id AS "attemptId", parked_because AS "parkedBecause",
           answer, (extract(epoch FROM expires_at) * 1000)::float8 AS "expiresAt"
      FROM key_history ORDER BY id`,
};

/** Amounts as numbers. One that a number cannot hold is an error, never a rounded witness. */
function exactNumbers(): TypeOverrides {
  const overrides = new TypeOverrides();
  overrides.setTypeParser(types.builtins.INT8, text => {
    const number = Number(text);
    if (!Number.isSafeInteger(number)) throw new Error(`${text} does not fit a number`);
    return number;
  });
  return overrides;
}
