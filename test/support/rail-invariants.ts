import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Sql } from './database.js';
import { checkMoney, checkOnePaymentPerKey, type Violation } from './invariants.js';
import { checkMonotone } from './key-history.js';

/**
 * The invariants I1 to I7 for payments that leave through the other bank: one charge, one payment, one answer,
 * whatever died in between.
 *
 * There are three witnesses: what callers were told, the bank's own books, and our database. Each checker brings
 * them together and believes none alone. Empty: nothing is wrong. The bank's books are handed to PostgreSQL as
 * JSON, so that a checker is one statement, hence one snapshot of ours.
 */
export interface Witnesses {
  sql: Sql;
  /** Read before the database is: what the bank has booked by now must be known to us, not the other way round. */
  bookings: readonly Booking[];
  told: readonly Told[];
}

/** A line of the bank's statement. */
export interface Booking {
  kind: 'charge' | 'return';
  reference: string;
  /** Minor units. */
  amount: number;
  currency: string;
}

/** What a caller was told about a payment: an answer that arrived whole. No answer at all is never a witness. */
export interface Told {
  customerId: string;
  key: string;
  status: number;
  body: string;
}

export interface BrokenInvariant extends Violation {
  invariant: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7';
}

type Checker = (witnesses: Witnesses) => Promise<Violation[]>;

/** What must hold at any time, also in the middle of the worst. */
export function checkRail(witnesses: Witnesses): Promise<BrokenInvariant[]> {
  return checkAll(witnesses, [
    ['I1', checkOneCharge],
    ['I2', checkNoLostAcknowledgement],
    ['I3', checkSameAnswer],
    ['I4', ({ sql }) => checkMoney(sql)],
    ['I4', checkChargedIsReserved],
    ['I6', checkUnknownIsNotFailed],
    ['I7', ({ sql }) => checkMonotone(sql)],
  ]);
}

/** What must hold besides, once every fault is healed and nothing is under way. */
export async function checkQuietRail(witnesses: Witnesses): Promise<BrokenInvariant[]> {
  const always = await checkRail(witnesses);
  const quiet = await checkAll(witnesses, [
    ['I1', ({ sql }) => checkOnePaymentPerKey(sql)],
    ['I4', checkPostedIsCharged],
    ['I5', ({ sql }) => checkEnded(sql)],
  ]);
  return [...always, ...quiet];
}

async function checkAll(
  witnesses: Witnesses,
  checkers: [BrokenInvariant['invariant'], Checker][],
): Promise<BrokenInvariant[]> {
  const found = await Promise.all(
    checkers.map(async ([invariant, check]) =>
      (await check(witnesses)).map(violation => ({ invariant, ...violation })),
    ),
  );
  return found.flat();
}

/** The bank's bookings ($1) and what callers were told ($2), as tables. `net` leaves out what was sent back. */
const witnessTables = `
  bookings AS (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS b (kind text, reference text, amount bigint, currency text)),
  charges AS (
    SELECT reference AS charged_id, currency, amount, count(*) FILTER (WHERE kind = 'charge') AS times,
           count(*) FILTER (WHERE kind = 'charge') - count(*) FILTER (WHERE kind = 'return') AS net
      FROM bookings GROUP BY reference, currency, amount),
  told AS (
    SELECT * FROM jsonb_to_recordset($2::jsonb) AS t (customer_id uuid, key text, status int, body text)),
  bank_payments AS (
    SELECT * FROM payments WHERE rail = 'bank')`;

function ask({ sql, bookings, told }: Witnesses, select: string): Promise<Violation[]> {
  const toldRows = told.map(({ customerId, key, status, body }) => ({
    customer_id: customerId,
    key,
    status,
    body,
  }));
  return sql<Violation & Record<string, unknown>>(`WITH ${witnessTables} ${select}`, [
    JSON.stringify(bookings),
    JSON.stringify(toldRows),
  ]);
}

/** I1: however often it was tried, a key has at most one payment, and that at most one charge. */
export function checkOneCharge(witnesses: Witnesses): Promise<Violation[]> {
  return ask(
    witnesses,
    `SELECT 'a payment is charged at most once' AS broken, to_jsonb(charged) AS row
       FROM (SELECT charged_id, sum(times) AS times FROM charges GROUP BY charged_id) AS charged WHERE times > 1
     UNION ALL
     SELECT 'each charge belongs to a payment of ours', to_jsonb(charges)
       FROM charges LEFT JOIN bank_payments ON id::text = charged_id WHERE id IS NULL
     UNION ALL
     SELECT 'a charge is of its payment''s amount and currency', to_jsonb(charges) || to_jsonb(bank_payments)
       FROM charges JOIN bank_payments ON id::text = charged_id
      WHERE (charges.amount, charges.currency) IS DISTINCT FROM (bank_payments.amount, bank_payments.currency)
     UNION ALL
     SELECT 'a key has one payment', to_jsonb(counted)
       FROM (SELECT customer_id, idempotency_key, count(*) AS payments FROM payments
              GROUP BY customer_id, idempotency_key) AS counted WHERE payments > 1
     UNION ALL
     SELECT 'a key has one charge', to_jsonb(counted)
       FROM (SELECT customer_id, idempotency_key, sum(times) AS times
               FROM bank_payments JOIN charges ON id::text = charged_id
              GROUP BY customer_id, idempotency_key) AS counted WHERE times > 1`,
  );
}

/** I2: whoever was told something can rely on it. A 202 promises an end, which `checkEnded` looks for. */
export function checkNoLostAcknowledgement(witnesses: Witnesses): Promise<Violation[]> {
  return ask(
    witnesses,
    `, acknowledged AS (
       SELECT told.*, coalesce(body::jsonb -> 'payment' ->> 'id', body::jsonb ->> 'id') AS payment_id
         FROM told WHERE status IN (200, 202, 402)),
     compared AS (
       SELECT acknowledged.*, payments.id IS NOT NULL AS is_known, payments.status AS payment_status, rail,
              coalesce((SELECT sum(net) FROM charges WHERE charged_id = payment_id), 0) AS charges
         FROM acknowledged LEFT JOIN payments
           ON payments.customer_id = acknowledged.customer_id AND idempotency_key = key AND id::text = payment_id)
     SELECT 'what was acknowledged is a payment under this key' AS broken, to_jsonb(compared) AS row
       FROM compared WHERE NOT is_known
     UNION ALL
     SELECT 'a 200 is a payment that succeeded, and was charged once', to_jsonb(compared)
       FROM compared
      WHERE status = 200
        AND (payment_status, charges) IS DISTINCT FROM ('succeeded', CASE rail WHEN 'bank' THEN 1 ELSE 0 END)
     UNION ALL
     SELECT 'a 402 is a payment that was declined, and not charged', to_jsonb(compared)
       FROM compared WHERE status = 402 AND (payment_status, charges) IS DISTINCT FROM ('declined', 0)
     UNION ALL
     SELECT 'a 202 leaves a key that remembers it', to_jsonb(compared)
       FROM compared LEFT JOIN idempotency_keys AS k USING (customer_id, key)
      WHERE status = 202 AND k.key IS NULL`,
  );
}

/** I3: a definitive answer never changes, not by a byte. */
export function checkSameAnswer(witnesses: Witnesses): Promise<Violation[]> {
  return ask(
    witnesses,
    `, definitive AS (SELECT DISTINCT * FROM told WHERE status IN (200, 402))
     SELECT 'a key has one definitive answer' AS broken, to_jsonb(counted) AS row
       FROM (SELECT customer_id, key, count(*) AS answers, jsonb_agg(definitive) AS told
               FROM definitive GROUP BY customer_id, key) AS counted WHERE answers > 1
     UNION ALL
     SELECT 'what was told is what is stored', to_jsonb(definitive)
       FROM definitive JOIN idempotency_keys AS k USING (customer_id, key)
      WHERE (status, body) IS DISTINCT FROM (response_status, response_body)`,
  );
}

/** I4, the bank before ours: whatever has been charged was promised before, and nobody could spend it meanwhile. */
function checkChargedIsReserved(witnesses: Witnesses): Promise<Violation[]> {
  return ask(
    witnesses,
    `, held AS (
       SELECT p.id::text AS charged_id, sum(t.amount) FILTER (WHERE t.state IN ('pending', 'posted')) AS held
         FROM bank_payments AS p JOIN transfers AS t ON t.payment_id = p.id AND t.refund_id IS NULL GROUP BY p.id)
     SELECT 'what is charged is posted or pending' AS broken, to_jsonb(charges) || to_jsonb(held) AS row
       FROM charges LEFT JOIN held USING (charged_id)
      WHERE net * amount > coalesce(held, 0)`,
  );
}

/** I4, once quiet: both companies' books say the same, and no money is promised to anybody. */
export function checkPostedIsCharged(witnesses: Witnesses): Promise<Violation[]> {
  return ask(
    witnesses,
    `, posted AS (
       SELECT p.currency, sum(t.amount) AS posted
         FROM bank_payments AS p JOIN transfers AS t ON t.payment_id = p.id AND t.refund_id IS NULL
        WHERE t.state = 'posted' GROUP BY p.currency),
     charged AS (SELECT currency, sum(net * amount) AS charged FROM charges GROUP BY currency)
     SELECT 'once quiet, what is posted is what is charged' AS broken,
            jsonb_build_object('currency', currency, 'posted', posted, 'charged', charged) AS row
       FROM posted FULL JOIN charged USING (currency) WHERE coalesce(posted, 0) <> coalesce(charged, 0)
     UNION ALL
     SELECT 'once quiet, nothing is pending', to_jsonb(accounts) FROM accounts WHERE debits_pending <> 0
     UNION ALL
     SELECT 'once quiet, nothing is pending', to_jsonb(transfers) FROM transfers WHERE state = 'pending'`,
  );
}

/** I5, once quiet: each operation has ended. One that is parked waits for a person: only some faults allow that. */
export function checkEnded(sql: Sql): Promise<Violation[]> {
  return sql<Violation & Record<string, unknown>>(`
    SELECT 'once quiet, each key has ended' AS broken, to_jsonb(k) AS row
      FROM idempotency_keys AS k WHERE recovery_point NOT IN ('finished', 'cancelled')
    UNION ALL
    SELECT 'once quiet, each payment has ended', to_jsonb(payments) FROM payments WHERE status = 'pending'`);
}

/** I6: an answer that never came is no decline. Nothing is given up while the bank has taken the money. */
export function checkUnknownIsNotFailed(witnesses: Witnesses): Promise<Violation[]> {
  return ask(
    witnesses,
    `SELECT 'a payment that the bank has charged is neither declined nor cancelled' AS broken,
            to_jsonb(p) || to_jsonb(charges) AS row
       FROM bank_payments AS p JOIN charges ON p.id::text = charged_id
      WHERE net > 0 AND status IN ('declined', 'cancelled')
     UNION ALL
     SELECT 'the transfer of a payment that the bank has charged is not voided', to_jsonb(t) || to_jsonb(charges)
       FROM transfers AS t JOIN charges ON t.payment_id::text = charged_id
      WHERE net > 0 AND t.state = 'voided' AND t.refund_id IS NULL`,
  );
}

/** The bank's whole statement, from its own books. `env` is what an API needs to reach it. */
export async function readBookings(env: { BANK_URL: string; BANK_API_KEY: string }): Promise<Booking[]> {
  const all: Booking[] = [];
  for (let since = 0; ;) {
    const answer = await fetch(`${env.BANK_URL}/transfers?since=${since}`, {
      headers: { authorization: `Bearer ${env.BANK_API_KEY}` },
    });
    if (!answer.ok) throw new Error(`the bank does not show its books: ${answer.status}`);
    const { bookings, next } = (await answer.json()) as { bookings: Booking[]; next: number };
    if (bookings.length === 0) return all;
    all.push(...bookings);
    since = next;
  }
}

/**
 * I4 again and again while a test does its worst: ours ≤ the bank's ≤ ours with what is pending. The order of reading
 * makes both true although no snapshot spans two companies: what is posted was charged before, and what is charged
 * was promised before.
 */
export async function watchRail(url: string, env: Parameters<typeof readBookings>[0], everyMs = 50) {
  const connection = await connect(url);
  const seen = { reads: 0, violations: [] as Violation[] };
  const stopped = new AbortController();
  const watching = watch().finally(() => connection.end());
  // A read that fails is reported by stop(); until then nobody awaits it.
  watching.catch(() => undefined);

  async function watch(): Promise<void> {
    while (!stopped.signal.aborted) {
      const { posted } = await railTotals(connection.sql);
      const charged = netOf(await readBookings(env));
      const { reserved, violations } = await railTotals(connection.sql);
      seen.violations.push(...violations);
      if (posted > charged || charged > reserved) {
        const row = { posted, charged, reserved };
        seen.violations.push({ broken: 'posted ≤ charged at the bank ≤ posted and pending', row });
      }
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

async function railTotals(sql: Sql) {
  const violations = await checkMoney(sql);
  const [totals] = await sql<{ posted: string; reserved: string }>(`
    SELECT coalesce(sum(t.amount) FILTER (WHERE t.state = 'posted'), 0) AS posted,
           coalesce(sum(t.amount) FILTER (WHERE t.state IN ('posted', 'pending')), 0) AS reserved
      FROM payments AS p JOIN transfers AS t ON t.payment_id = p.id AND t.refund_id IS NULL
     WHERE p.rail = 'bank'`);
  return { posted: Number(totals?.posted), reserved: Number(totals?.reserved), violations };
}

/** In minor units, of whatever currency: enough for books that hold one. */
function netOf(bookings: readonly Booking[]): number {
  return bookings.reduce((sum, { kind, amount }) => sum + (kind === 'charge' ? amount : -amount), 0);
}
