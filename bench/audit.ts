import type { Client } from 'pg';
import type { Charge } from './pretend-bank.js';

/** What the load generator was told, and what it did. */
export interface Acknowledged {
  /** Requests sent, answered or not. */
  sent: number;
  /** Keys that were answered 200, or 202 if they were paid since; and the id of each one's payment, at the same index. */
  keys: string[];
  paymentIds: string[];
}

export interface Audit {
  payments: number;
  /**
   * Acknowledged, but not in the database with its transfer and, where keys are kept, its finished key; or, on rail
   * bank, not charged for by the bank.
   */
  lost: number;
  /** Payments beyond one for each key that was sent, transfers or charges beyond one for each payment. */
  doubled: number;
  /** Keys that have come to no end, although the process had its time to bring them there. */
  unfinished: number;
  /** On rail bank: references of which the bank's books say something else than ours. */
  booksDiffer: number;
  /** Minor units that came from nowhere or went there: by account, balance against transfers. */
  moneyAstray: number;
}

/**
 * Counts what the database holds against what callers were told, once the server has stopped.
 *
 * A request that was cut off at the end of a run may have been carried out or not, and both are right: it is
 * not lost, since nobody was told, and it may account for one more payment.
 */
export async function audit(
  database: Client,
  told: Acknowledged,
  { paymentsBefore, keysStored, charges }: AuditOptions,
): Promise<Audit> {
  await database.query('CREATE TEMP TABLE told (key text, payment_id uuid)');
  await insert(database, 'INSERT INTO told SELECT * FROM unnest($1::text[], $2::uuid[])', [
    told.keys,
    told.paymentIds,
  ]);
  await database.query('CREATE TEMP TABLE charged (reference text, amount bigint)');
  await insert(database, 'INSERT INTO charged SELECT * FROM unnest($1::text[], $2::bigint[])', [
    charges?.map(({ reference }) => reference) ?? [],
    charges?.map(({ amount }) => amount) ?? [],
  ]);
  await database.query('ANALYZE told, charged');
  const { rows } = await database.query<Record<keyof Counted, string>>(counts, [keysStored]);
  const counted = Object.fromEntries(
    Object.entries(rows[0] ?? {}).map(([name, text]) => [name, Number(text)]),
  );
  const { payments, keysTold, unfinished, booksDiffer, moneyAstray, ...each } = counted as unknown as Counted;
  // Each key is sent once, or paid once and then replayed: so many payments are accounted for, and no more.
  const unanswered = told.sent - told.keys.length;
  const unaccounted = payments - paymentsBefore - keysTold - unanswered;
  return {
    payments,
    lost: each.lost + each.uncharged,
    doubled: each.paidTwice + each.movedTwice + each.chargedTwice + Math.max(0, unaccounted),
    unfinished,
    booksDiffer,
    moneyAstray,
  };
}

interface AuditOptions {
  paymentsBefore: number;
  /** Whether the server under test stores the caller's key; the naive one has no use for it. */
  keysStored: boolean;
  /** What the other bank has charged for; `null`: nobody paid through it. */
  charges: readonly Charge[] | null;
}

async function insert(database: Client, statement: string, columns: [unknown[], unknown[]]): Promise<void> {
  const chunk = 50_000;
  for (let start = 0; start < columns[0].length; start += chunk) {
    await database.query(
      statement,
      columns.map(column => column.slice(start, start + chunk)),
    );
  }
}

interface Counted {
  lost: number;
  uncharged: number;
  payments: number;
  keysTold: number;
  paidTwice: number;
  movedTwice: number;
  chargedTwice: number;
  unfinished: number;
  booksDiffer: number;
  moneyAstray: number;
}

/** $1: whether keys are stored. A payment's reference at the bank is its id; money of ours at the bank has to be there. */
const counts = `
  WITH transfers_of AS (
    SELECT payment_id, count(*) FILTER (WHERE state = 'posted') AS posted
      FROM transfers WHERE payment_id IS NOT NULL GROUP BY payment_id
  ), moved AS (
    SELECT account, sum(amount) AS balance
      FROM (SELECT credit_account_id AS account, amount FROM transfers WHERE state = 'posted'
            UNION ALL
            SELECT debit_account_id, -amount FROM transfers WHERE state = 'posted') AS both_sides
     GROUP BY account
  ), charges_of AS (
    SELECT reference, count(*) AS n, sum(amount) AS total FROM charged GROUP BY reference
  ), sent AS (
    SELECT id::text AS reference, amount FROM payments WHERE rail = 'bank' AND status = 'succeeded')
  SELECT
    (SELECT count(*) FROM told
       LEFT JOIN payments AS p ON p.id = told.payment_id AND p.status = 'succeeded'
                              AND (p.idempotency_key = told.key OR NOT $1)
       LEFT JOIN transfers_of AS t ON t.payment_id = p.id AND t.posted > 0
       LEFT JOIN idempotency_keys AS k ON k.customer_id = p.customer_id AND k.key = told.key
                                      AND k.recovery_point = 'finished' AND k.response_status = 200
      WHERE t.posted IS NULL OR ($1 AND k.key IS NULL)) AS lost,
    (SELECT count(*) FROM told
       JOIN payments AS p ON p.id = told.payment_id AND p.rail = 'bank'
       LEFT JOIN charges_of AS c ON c.reference = p.id::text
      WHERE c.n IS NULL) AS uncharged,
    (SELECT count(*) FROM payments) AS payments,
    (SELECT count(DISTINCT key) FROM told) AS "keysTold",
    (SELECT coalesce(sum(n - 1), 0) FROM (
       SELECT count(DISTINCT payment_id) AS n FROM told GROUP BY key) AS per_key WHERE n > 1) AS "paidTwice",
    (SELECT coalesce(sum(posted - 1), 0) FROM transfers_of WHERE posted > 1) AS "movedTwice",
    (SELECT coalesce(sum(n - 1), 0) FROM charges_of) AS "chargedTwice",
    (SELECT count(*) FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled')) AS unfinished,
    (SELECT count(*) FROM sent FULL JOIN charges_of AS c USING (reference)
      WHERE c.total IS DISTINCT FROM sent.amount) AS "booksDiffer",
    (SELECT coalesce(sum(abs(credits_posted - debits_posted - coalesce(balance, 0))), 0)
       FROM accounts LEFT JOIN moved ON moved.account = accounts.id) AS "moneyAstray"`;
