import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { RecoveryPoint } from '../../database-witness.js';
import { Missed, type Crash } from './crash.js';
import type { Payment } from './directed-caller.js';
import type { Tally } from './tally.js';

/** What a crash has left behind: by payment, the last recovery point that was made true until then. */
export type Left = ReadonlyMap<Payment, RecoveryPoint | null>;

interface Change extends Record<string, unknown> {
  readonly key: string;
  readonly attempt: string;
  readonly point: RecoveryPoint;
  readonly transaction: string;
}

/**
 * Reads from the history of the keys what the dead process itself had written, whatever its heirs have done since, and
 * compares it with the table: after K0 and K1 nothing at all, else the recovery point as the table has it.
 *
 * @throws Missed when it had given the payment back before it died, so that it died with nothing in its hands
 */
export async function lookAtWhatIsLeft(database: Pool, crash: Crash, tally: Tally): Promise<Left> {
  const { kill, payments, struck, victim } = crash;
  const { leaves, id } = kill.place;
  await untilItsConnectionsAreGone(database, victim);
  const changes = await changesBy(database, victim, payments);
  // What a completer had not taken up yet is as its first holder gave it up.
  const before = kill.holder === 'completer' ? 'funds_reserved' : null;
  const left = new Map(
    payments.map(payment => [payment, changes.findLast(({ key }) => key === payment.key)?.point ?? before]),
  );
  if (leaves === null) {
    await lookForNothing(database, { crash, left, changes }, tally);
    return left;
  }
  const met =
    struck ?? payments.map(({ key }) => changes.findLast(change => change.key === key)?.attempt ?? key);
  const wrong = met.flatMap(attempt => {
    const its = changes.filter(change => change.attempt === attempt);
    return its.at(-1)?.point === leaves ? [] : [{ attempt, its }];
  });
  const isGivenBack = met.some(attempt => hasPostponed(changes.filter(change => change.attempt === attempt)));
  // On a busy machine an order may time out, and what the bank holds is the question about it, not the one that was meant.
  const isEarly = kill.place.strike.by === 'bank' && wrong.some(({ its }) => isBefore(kill.place.stage, its));
  if (isEarly) throw new Missed(`${id}, ${kill.holder}: it was met before it came there`, payments);
  // A completer that was kept from the processor for longer than a lease takes its own payments over, and the attempts
  // that it had before share its batch to no effect.
  const isFencedByItself = wrong.length > 0 && wrong.every(({ its }) => isTakenOver(its.at(-1), changes));
  if (isFencedByItself) throw new Missed(`${id}, ${kill.holder}: its lease had run out`, payments);
  const isMissed = isGivenBack && (wrong.length > 0 || kill.place.strike.by === 'bank');
  if (isMissed) throw new Missed(`${id}, ${kill.holder}: it had given the payment back`, payments);
  if (wrong.length > 0) {
    tally.found('I7', 'a dead holder has left its keys where it had brought them', id, {
      leaves,
      wrong,
      crash,
    });
  }
  return left;
}

/** How long the server may take to notice that somebody has died, in milliseconds. */
const noticedWithinMs = 5_000;

/** What it had sent before it died may be carried out after it: until then nobody knows what it has left. */
async function untilItsConnectionsAreGone(database: Pool, victim: string): Promise<void> {
  const until = performance.now() + noticedWithinMs;
  while (performance.now() < until) {
    const { rows } = await database.query('SELECT FROM pg_stat_activity WHERE application_name = $1', [
      victim,
    ]);
    if (rows.length === 0) return;
    await sleep(5);
  }
}

/** No row of any kind: no claim, also none that was taken back later, and nothing that was done under it. */
async function lookForNothing(
  database: Pool,
  { crash, left, changes }: { crash: Crash; left: Left; changes: readonly Change[] },
  tally: Tally,
): Promise<void> {
  const struck = crash.struck ?? [];
  const untouched = crash.payments.filter(payment => left.get(payment) === null).map(({ key }) => key);
  const { rows } = await database.query(rowsOf, [untouched]);
  const its = changes.filter(({ attempt }) => struck.includes(attempt));
  // In a batch we do not know whose attempt is whose, but how many of them there are.
  if (rows.length === 0 && its.length === 0 && untouched.length >= struck.length) return;
  const evidence = { rows: rows as object[], its, untouched, crash };
  tally.found('I10', 'a transaction that died has left nothing', crash.kill.place.id, evidence);
}

/**
 * Whoever calls from `stage` has written that point down first. Should a mistake of ours let it call without, the kills at
 * that call's own events, which are never excused, would show it.
 */
function isBefore(stage: RecoveryPoint, changes: readonly Change[]): boolean {
  return changes.every(({ point }) => point !== stage);
}

/** Whether the same process has taken the key over since. That it was not too early is for the checkers to find out. */
function isTakenOver(last: Change | undefined, changes: readonly Change[]): boolean {
  if (!last) return false;
  return changes
    .slice(changes.indexOf(last))
    .some(({ attempt, key }) => key === last.key && attempt !== last.attempt);
}

/** It wrote to its key and came no further: that is how a holder gives it back. */
function hasPostponed(changes: readonly Change[]): boolean {
  const transactions = new Map<RecoveryPoint, Set<string>>();
  for (const { point, transaction } of changes) {
    transactions.set(point, (transactions.get(point) ?? new Set()).add(transaction));
  }
  return [...transactions.values()].some(({ size }) => size > 1);
}

async function changesBy(database: Pool, writer: string, payments: readonly Payment[]): Promise<Change[]> {
  const keys = payments.map(({ key }) => key);
  const { rows } = await database.query<Change>(
    `SELECT key, attempt_id AS attempt, recovery_point AS point, transaction
       FROM key_history WHERE writer = $1 AND key = ANY ($2) ORDER BY id`,
    [writer, keys],
  );
  return rows;
}

const rowsOf = `
  SELECT 'key' AS row, key FROM idempotency_keys WHERE key = ANY ($1)
  UNION ALL
  SELECT 'payment', idempotency_key FROM payments WHERE idempotency_key = ANY ($1)
  UNION ALL
  SELECT 'refund', idempotency_key FROM refunds WHERE idempotency_key = ANY ($1)
  UNION ALL
  SELECT 'history', key FROM key_history WHERE key = ANY ($1)`;
