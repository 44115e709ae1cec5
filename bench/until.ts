import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';

/** How long anything may take to come true, in milliseconds, before it counts as never. */
const patienceMs = 120_000;

/** Of a key that is leased, or waits to be taken up again, the database keeps until when; of all others it does not. */
export const allHaveEnded =
  'SELECT NOT EXISTS (SELECT FROM idempotency_keys WHERE locked_until IS NOT NULL) AS answer';

/**
 * Asks the database fifty times a second; that is nothing to an index which holds what is unfinished.
 *
 * @returns whether it came true in time
 */
export async function comesTrue(database: Client, question: string, signal: AbortSignal): Promise<boolean> {
  const until = performance.now() + patienceMs;
  while (performance.now() < until) {
    const { rows } = await database.query<{ answer: boolean }>(question);
    if (rows[0]?.answer) return true;
    await sleep(20, undefined, { signal });
  }
  return false;
}
