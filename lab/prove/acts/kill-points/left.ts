import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { RecoveryPoint } from '../../database-witness.js';
import { Missed, type Crash } from './crash.js';
import type { Payment } from './directed-caller.js';
import { elsewhereThan, excuseOf, thatHadComeBack, type Change } from './excuse.js';
import type { Tally } from './tally.js';

/** What a crash has left behind: by payment, the last recovery point that was made true until then. */
export type Left = ReadonlyMap<Payment, RecoveryPoint | null>;

/**
 * Reads from the history of the keys what the dead process itself had written, whatever its heirs have done since, and
 * compares it with the table: after K0 and K1 nothing at all, else the recovery point as the table has it.
 *
 * @throws Missed when it was not met there with those payments in its hands: see excuse.ts
 */
export async function lookAtWhatIsLeft(database: Pool, crash: Crash, tally: Tally): Promise<Left> {
  const { kill, payments, struck, victim } = crash;
  const { leaves, id } = kill.place;
  await untilItsConnectionsAreGone(database, victim);
  const written = await changesOf(database, payments);
  const changes = written.filter(({ writer }) => writer === victim);
  // What a completer had not taken up yet is as its first holder gave it up.
  const before = kill.holder === 'completer' ? 'funds_reserved' : null;
  const left = new Map(
    payments.map(payment => [payment, changes.findLast(({ key }) => key === payment.key)?.point ?? before]),
  );
  if (leaves === null) {
    await lookForNothing(database, { crash, left, written, changes }, tally);
    return left;
  }
  const met =
    struck ?? payments.map(({ key }) => changes.findLast(change => change.key === key)?.attempt ?? key);
  const wrong = elsewhereThan(leaves, met, changes);
  const excuse = excuseOf(kill, { met, wrong, changes });
  if (excuse !== undefined) throw new Missed(`${id}, ${kill.holder}: ${excuse}`, payments);
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

/**
 * No row of any kind: no claim, also none that was taken back later, and nothing that was done under it.
 *
 * @throws Missed when it was met with payments that it had claimed long ago
 */
async function lookForNothing(
  database: Pool,
  { crash, left, written, changes }: { crash: Crash; left: Left; written: Change[]; changes: Change[] },
  tally: Tally,
): Promise<void> {
  const struck = crash.struck ?? [];
  const untouched = crash.payments.filter(payment => left.get(payment) === null).map(({ key }) => key);
  const { rows } = await database.query(rowsOf, [untouched]);
  const its = changes.filter(({ attempt }) => struck.includes(attempt));
  // In a batch we do not know whose attempt is whose, but how many of them there are.
  if (rows.length === 0 && its.length === 0 && untouched.length >= struck.length) return;
  const { place, holder } = crash.kill;
  const back = thatHadComeBack(struck, written, crash.metAt);
  if (rows.length === 0 && its.length > 0 && its.every(({ attempt }) => back.includes(attempt))) {
    throw new Missed(`${place.id}, ${holder}: they had come back as repeats`, crash.payments);
  }
  const evidence = { rows: rows as object[], its, untouched, crash, written };
  tally.found('I10', 'a transaction that died has left nothing', place.id, evidence);
}

/** By whoever made them. */
async function changesOf(
  database: Pool,
  payments: readonly Payment[],
): Promise<(Change & { writer: string })[]> {
  const keys = payments.map(({ key }) => key);
  const { rows } = await database.query<Change & { writer: string }>(
    `SELECT key, attempt_id AS attempt, recovery_point AS point, transaction, writer,
            extract(epoch FROM at)::float8 * 1000 AS at
       FROM key_history WHERE key = ANY ($1) ORDER BY id`,
    [keys],
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
