import type { Client } from 'pg';

/** What the load generator was told, and what it did. */
export interface Acknowledged {
  /** Requests sent, answered or not. */
  sent: number;
  /** Keys that were answered 200, and the id of the payment in each answer, at the same index. */
  keys: string[];
  paymentIds: string[];
}

export interface Audit {
  payments: number;
  /** Acknowledged with 200, but not in the database with its transfer and, where keys are kept, its finished key. */
  lost: number;
  /** Payments beyond one for each key that was sent, or transfers beyond one for each payment. */
  doubled: number;
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
  { paymentsBefore, keysStored }: { paymentsBefore: number; keysStored: boolean },
): Promise<Audit> {
  await database.query('CREATE TEMP TABLE told (key text, payment_id uuid)');
  const chunk = 50_000;
  for (let start = 0; start < told.keys.length; start += chunk) {
    await database.query('INSERT INTO told SELECT * FROM unnest($1::text[], $2::uuid[])', [
      told.keys.slice(start, start + chunk),
      told.paymentIds.slice(start, start + chunk),
    ]);
  }
  await database.query('ANALYZE told');
  const { rows } = await database.query<Record<keyof Counted, string>>(counts, [keysStored]);
  const counted = Object.fromEntries(
    Object.entries(rows[0] ?? {}).map(([name, text]) => [name, Number(text)]),
  );
  const { lost, payments, keysTold, paidTwice, movedTwice, moneyAstray } = counted as unknown as Counted;
  // Each key is sent once, or paid once and then replayed: so many payments are accounted for, and no more.
  const unanswered = told.sent - told.keys.length;
  const unaccounted = payments - paymentsBefore - keysTold - unanswered;
  return { payments, lost, doubled: paidTwice + movedTwice + Math.max(0, unaccounted), moneyAstray };
}

interface Counted {
  lost: number;
  payments: number;
  keysTold: number;
  paidTwice: number;
  movedTwice: number;
  moneyAstray: number;
}

/** $1: whether the server under test stores the caller's key; the naive one has no use for it. */
const counts = `
  WITH transfers_of AS (
    SELECT payment_id, count(*) FILTER (WHERE state = 'posted') AS posted
      FROM transfers WHERE payment_id IS NOT NULL GROUP BY payment_id
  ), moved AS (
    SELECT account, sum(amount) AS balance
      FROM (SELECT credit_account_id AS account, amount FROM transfers WHERE state = 'posted'
            UNION ALL
            SELECT debit_account_id, -amount FROM transfers WHERE state = 'posted') AS both_sides
     GROUP BY account)
  SELECT
    (SELECT count(*) FROM told
       LEFT JOIN payments AS p ON p.id = told.payment_id AND p.status = 'succeeded'
                              AND (p.idempotency_key = told.key OR NOT $1)
       LEFT JOIN transfers_of AS t ON t.payment_id = p.id AND t.posted > 0
       LEFT JOIN idempotency_keys AS k ON k.customer_id = p.customer_id AND k.key = told.key
                                      AND k.recovery_point = 'finished' AND k.response_status = 200
      WHERE t.posted IS NULL OR ($1 AND k.key IS NULL)) AS lost,
    (SELECT count(*) FROM payments) AS payments,
    (SELECT count(DISTINCT key) FROM told) AS "keysTold",
    (SELECT coalesce(sum(n - 1), 0) FROM (
       SELECT count(DISTINCT payment_id) AS n FROM told GROUP BY key) AS per_key WHERE n > 1) AS "paidTwice",
    (SELECT coalesce(sum(posted - 1), 0) FROM transfers_of WHERE posted > 1) AS "movedTwice",
    (SELECT coalesce(sum(abs(credits_posted - debits_posted - coalesce(balance, 0))), 0)
       FROM accounts LEFT JOIN moved ON moved.account = accounts.id) AS "moneyAstray"`;
