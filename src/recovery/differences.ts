import type { DataSource } from 'typeorm';
import { run, type Statement } from '../database/statement.js';
import { inTransaction } from '../database/transaction.js';
import type { Settings } from '../settings.js';
import type { Difference, DifferenceKind, Reconciled } from './events.js';

/** Differences that are listed. A thousand make the same point as a million; all of them are counted. */
const listedMax = 1_000;

/**
 * How long the comparison may take: milliseconds. It takes two seconds for a million payments, and grows with
 * them; a minute leaves room for thirty million. It locks nothing, so nobody waits for it.
 */
const comparisonTimeoutMs = 60_000;

/**
 * Compares our bank payments with the copy of the bank's statement, both ways. One statement, hence one snapshot.
 *
 * Ours is read after theirs was copied, so ours is newer, by as long as the copying took. A payment that ended
 * meanwhile may not be on the copy yet: what it says is held against the bank only if it had ended before
 * `copiedFrom`, the database's time at which the copying began. By then it was booked, since nobody records the end
 * of a payment before the bank has told it; and the copy holds whatever was booked by then. The other way round
 * there is no doubt: the bank hears of a payment only after its row is committed, so what is on the copy and not
 * among ours never was.
 */
export async function compare(
  dataSource: DataSource,
  { lockTimeoutMs }: Settings,
  copiedFrom: Date,
): Promise<Omit<Reconciled, 'copied'>> {
  const patience = { lockTimeoutMs, statementTimeoutMs: comparisonTimeoutMs };
  const rows = await inTransaction(dataSource, patience, tx =>
    run<FoundRow>(tx, compareBothSides, [copiedFrom, listedMax]),
  );
  const [{ payments, found } = { payments: '0', found: '0' }] = rows;
  return {
    payments: Number(payments),
    differencesFound: Number(found),
    differences: rows.flatMap(toDifference),
  };
}

/**
 * References are compared as text: the bank may hold some that were never ours, and no UUIDs. A pending payment is
 * in flight, charged or not; what no end could put right about it is a difference all the same.
 *
 * `query_timeout` is the driver's, which would else give up first.
 */
const compareBothSides: Statement & { query_timeout: number } = {
  name: 'compare_both_sides',
  query_timeout: comparisonTimeoutMs + 5_000,
  text: `
    WITH
      ours AS (
        SELECT id::text AS reference, amount, currency, status, completed_at < $1::timestamptz AS had_ended
          FROM payments
         WHERE rail = 'bank'),
      theirs AS (
        SELECT reference,
               count(*) FILTER (WHERE kind = 'charge') AS charges,
               count(*) FILTER (WHERE kind = 'return') AS returns,
               sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END) AS net,
               min(amount) AS amount_min, max(amount) AS amount_max,
               min(currency) AS currency_min, max(currency) AS currency_max
          FROM bank_bookings
         GROUP BY reference),
      judged AS (
        SELECT reference, ours.amount, ours.currency, status, net, charges, returns, currency_min, currency_max,
               CASE
                 WHEN status IS NULL         THEN 'unknown_to_us'
                 WHEN charges IS NULL        THEN CASE WHEN status = 'succeeded' AND had_ended
                                                       THEN 'unknown_to_bank' END
                 WHEN charges > 1            THEN 'charged_twice'
                 WHEN returns > charges      THEN 'returned_twice'
                 WHEN amount_min <> ours.amount OR amount_max <> ours.amount
                   OR currency_min <> ours.currency OR currency_max <> ours.currency
                                             THEN 'amount_differs'
                 WHEN charges = returns      THEN CASE WHEN status = 'succeeded'
                                                       THEN 'returned_though_succeeded' END
                 WHEN had_ended AND status IN ('declined', 'cancelled')
                                             THEN 'charged_though_' || status
               END AS kind
          FROM ours FULL JOIN theirs USING (reference)),
      differing AS (
        SELECT *, count(*) OVER () AS found FROM judged WHERE kind IS NOT NULL ORDER BY reference LIMIT $2)
    SELECT compared.payments, coalesce(found, 0) AS found, kind, reference, amount, currency, status,
           net, charges, returns, currency_min, currency_max
      FROM (SELECT count(*) AS payments FROM payments WHERE rail = 'bank') AS compared
      LEFT JOIN differing ON true
     ORDER BY reference`,
};

/** A difference beside the two totals, which every row repeats; or the totals alone, where there is none. */
interface FoundRow {
  payments: string;
  found: string;
  kind: DifferenceKind | null;
  reference: string;
  /** Ours; null where the payment is not. So are the bank's below, where it has booked nothing. */
  amount: string | null;
  currency: string;
  status: string;
  net: string | null;
  charges: string;
  returns: string;
  currency_min: string;
  currency_max: string;
}

function toDifference(row: FoundRow): Difference[] {
  const { kind, reference, amount, currency, status, net, currency_min: first, currency_max: last } = row;
  if (kind === null) return [];
  const ours = amount === null ? null : { amount: BigInt(amount), currency, status };
  const theirs =
    net === null
      ? null
      : {
          amount: BigInt(net),
          currency: first === last ? first : `${first}/${last}`,
          charges: Number(row.charges),
          returns: Number(row.returns),
        };
  return [{ kind, reference, ours, theirs }];
}
