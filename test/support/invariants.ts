import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Sql } from './database.js';

/** Which promise is broken, and the row that shows it. */
export interface Violation {
  broken: string;
  row: object;
}

/**
 * Money is conserved. One statement, hence one snapshot: payments may run meanwhile.
 * In a healthy database the answer is empty.
 */
export function checkMoney(sql: Sql): Promise<Violation[]> {
  return sql<Violation>(`
    WITH
      sides AS (
        SELECT debit_account_id AS id, state, amount AS debit, 0 AS credit FROM transfers
        UNION ALL
        SELECT credit_account_id, state, 0, amount FROM transfers),
      sums AS (
        SELECT id,
          sum(debit) FILTER (WHERE state = 'pending') AS pending,
          sum(debit) FILTER (WHERE state = 'posted') AS debits,
          sum(credit) FILTER (WHERE state = 'posted') AS credits
        FROM sides GROUP BY id),
      books AS (
        SELECT accounts.*, jsonb_build_object('debits_pending', coalesce(pending, 0),
          'debits_posted', coalesce(debits, 0), 'credits_posted', coalesce(credits, 0)) AS transfers_say
        FROM accounts LEFT JOIN sums USING (id)),
      totals AS (
        SELECT currency, sum(credits_posted) AS credits_posted, sum(debits_posted) AS debits_posted
        FROM accounts GROUP BY currency)
    SELECT 'credits posted equal debits posted' AS broken, to_jsonb(totals) AS row
    FROM totals WHERE credits_posted <> debits_posted
    UNION ALL
    SELECT 'each balance is the sum of its transfers', to_jsonb(books)
    FROM books WHERE NOT to_jsonb(books) @> transfers_say
    UNION ALL
    SELECT 'available is never negative', to_jsonb(books)
    FROM books WHERE kind <> 'bank' AND credits_posted - debits_posted - debits_pending < 0`);
}

/** One key, one effect: counted from the rows, believing no answer. Empty in a healthy database. */
export function checkOnePaymentPerKey(sql: Sql): Promise<Violation[]> {
  return sql<Violation>(`
    WITH
      counted AS (
        SELECT customer_id, idempotency_key, count(*) AS payments
        FROM payments GROUP BY customer_id, idempotency_key),
      answered AS (
        SELECT customer_id, response_status,
          -- A key that is a fingerprint is remembered together with the moment at which its window opened.
          CASE WHEN window_ms IS NULL THEN key
            ELSE key || '_' || (extract(epoch FROM created_at) * 1000)::bigint END AS idempotency_key,
          response_body::jsonb AS body,
          CASE response_status WHEN 200 THEN 'succeeded' ELSE 'declined' END AS status
        FROM idempotency_keys WHERE operation = 'payment' AND recovery_point = 'finished'),
      moved AS (
        SELECT payments.*, count(transfers.id) AS transfers
        FROM payments LEFT JOIN transfers ON transfers.payment_id = payments.id AND transfers.state = 'posted'
          AND transfers.debit_account_id = from_account_id AND transfers.credit_account_id = to_account_id
          AND transfers.amount = payments.amount
        WHERE rail = 'ledger' GROUP BY payments.customer_id, payments.id)
    SELECT 'a key has one payment' AS broken, to_jsonb(counted) AS row
    FROM counted WHERE payments > 1
    UNION ALL
    SELECT 'what was answered is what was recorded', to_jsonb(answered)
    FROM answered LEFT JOIN payments USING (customer_id, idempotency_key, status)
    WHERE payments.id::text IS DISTINCT FROM coalesce(body -> 'payment' ->> 'id', body ->> 'id')
    UNION ALL
    SELECT 'a payment that succeeded moved its money once, any other never', to_jsonb(moved)
    FROM moved WHERE transfers <> CASE status WHEN 'succeeded' THEN 1 ELSE 0 END`);
}

export interface RowCounts {
  keys: number;
  payments: number;
  transfers: number;
}

export async function countRows(sql: Sql): Promise<RowCounts> {
  const [counts] = await sql<RowCounts & Record<string, unknown>>(`
    SELECT (SELECT count(*) FROM idempotency_keys) AS keys,
      (SELECT count(*) FROM payments) AS payments,
      (SELECT count(*) FROM transfers) AS transfers`);
  return counts as RowCounts;
}

/** How many of each have been added since `before` was counted. */
export async function countNewRows(sql: Sql, before: RowCounts): Promise<RowCounts> {
  const after = await countRows(sql);
  return {
    keys: after.keys - before.keys,
    payments: after.payments - before.payments,
    transfers: after.transfers - before.transfers,
  };
}

/** Reads the books again and again while a test does its worst, on a connection of its own. */
export async function watchMoney(url: string, everyMs = 50) {
  const connection = await connect(url);
  const seen = { reads: 0, violations: [] as Violation[] };
  const stopped = new AbortController();
  const watching = watch().finally(() => connection.end());
  // A read that fails is reported by stop(); until then nobody awaits it.
  watching.catch(() => undefined);

  async function watch(): Promise<void> {
    while (!stopped.signal.aborted) {
      seen.violations.push(...(await checkMoney(connection.sql)));
      seen.reads++;
      await sleep(everyMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  }

  return {
    /** How often it looked, too: a watcher that saw nothing may have looked at nothing. */
    stop: async () => {
      stopped.abort();
      await watching;
      return seen;
    },
  };
}
