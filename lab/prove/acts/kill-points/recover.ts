import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Reply } from '../../driver-log.js';
import type { Crash } from './crash.js';
import {
  endWithinMs,
  isFirstAnswer,
  isReplay,
  type DirectedCaller,
  type Payment,
} from './directed-caller.js';
import type { Left } from './left.js';
import type { Tally } from './tally.js';

export interface Heirs {
  readonly database: Pool;
  readonly caller: DirectedCaller;
  /** APIs that nobody kills. */
  readonly urls: readonly string[];
  /** Notes those whose order the bank had booked when its sender died. */
  readonly asked: Set<Payment>;
}

/** Long enough for a completer that sweeps every 50 ms to have looked twice. */
const twoSweepsMs = 110;

/**
 * Brings the payments of a crash to their end, by whoever is to come first, and then lets every caller ask. What they
 * are told has to fit what was left: where there was nothing, they are first callers; where all was done, it is a
 * replay, and so it is after the completer.
 *
 * That each of them ended at all, and as what, is for the checkers to find out.
 */
export async function recover(crash: Crash, left: Left, heirs: Heirs, tally: Tally): Promise<void> {
  const { kill, payments, release } = crash;
  const isCompleterFirst = kill.recovery === 'completer';
  /** As far as was waited for. */
  const done = new Set(payments.filter(payment => left.get(payment) === 'finished'));
  if (isCompleterFirst) {
    // The dead sender's request arrives before all else; below, when all is over.
    await release();
    const underway = payments.filter(payment => left.get(payment) !== null && !done.has(payment));
    const ends = await untilFinished(heirs.database, underway);
    for (const payment of underway) {
      const endedAt = ends.get(payment.key);
      if (endedAt === undefined) continue;
      time(crash, endedAt, tally);
      done.add(payment);
    }
    const nothing = payments.filter(payment => left.get(payment) === null);
    if (nothing.length > 0) await expectNothing(heirs.database, nothing, { crash, tally });
  }
  await Promise.all(
    payments.map(async payment => {
      const replies = await heirs.caller.untilTold(payment, heirs.urls);
      if (!isCompleterFirst) time(crash, Date.now(), tally);
      const [first] = replies;
      if (!first) return;
      if (first.code === 'in_progress') tally.count('a repeat was told in progress');
      const { operation } = payment;
      if (left.get(payment) === null && isRepeat(first) && !(await wasTakenOver(heirs.database, payment))) {
        tally.found('I3', 'where nothing was left, a retry is a first call', operation, { first, crash });
      }
      if (done.has(payment) && isOpen(first)) {
        tally.found('I3', 'where all is done, a retry is a replay', operation, { first, crash });
      }
    }),
  );
  await release();
}

/** Told that somebody was there before. Whoever is told nothing, or that nobody can be reached, is told neither. */
function isRepeat(reply: Reply): boolean {
  return isReplay(reply) || reply.code === 'in_progress';
}

/** Told that it is the first, or that nobody is done. */
function isOpen(reply: Reply): boolean {
  return isFirstAnswer(reply) || reply.status === 202 || reply.code === 'in_progress';
}

/** On a slow machine an heir may lose what it has taken up to the next one, and then answers from the row. */
async function wasTakenOver(database: Pool, { key }: Payment): Promise<boolean> {
  const { rows } = await database.query('SELECT FROM key_history WHERE key = $1 AND epoch > 1', [key]);
  return rows.length > 0;
}

function time({ kill, killedAt }: Crash, at: number, tally: Tally): void {
  const first = kill.recovery === 'repeat' ? 'repeat first' : 'completer first';
  tally.time(`${kill.holder} killed at ${kill.place.family}, ${first}: kill to end`, at - killedAt);
}

/** @returns when each of them was finished, by the database's clock, which is this machine's; or T is over */
export async function untilFinished(
  database: Pool,
  payments: readonly Payment[],
): Promise<ReadonlyMap<string, number>> {
  const keys = payments.map(({ key }) => key);
  const until = performance.now() + endWithinMs;
  for (;;) {
    const { rows } = await database.query<{ key: string; at: number }>(
      `SELECT key, min(extract(epoch FROM at) * 1000)::float8 AS at
         FROM key_history WHERE key = ANY ($1) AND recovery_point = 'finished' GROUP BY key`,
      [keys],
    );
    if (rows.length === keys.length || performance.now() > until) {
      return new Map(rows.map(({ key, at }) => [key, at]));
    }
    await sleep(15);
  }
}

/** A completer has nothing to go by, and must not make anything up. */
async function expectNothing(
  database: Pool,
  payments: readonly Payment[],
  { crash, tally }: { crash: Crash; tally: Tally },
): Promise<void> {
  await sleep(twoSweepsMs);
  const { rows } = await database.query('SELECT * FROM key_history WHERE key = ANY ($1)', [
    payments.map(({ key }) => key),
  ]);
  if (rows.length === 0) return;
  tally.found('I10', 'nobody takes up what nobody has claimed', crash.kill.place.id, {
    rows: rows as object[],
    crash,
  });
}
