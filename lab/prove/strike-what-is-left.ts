import { setTimeout as sleep } from 'node:timers/promises';
import { bankFaults } from './schedule.js';
import type { World } from './world.js';

/** Between two plans for the same kind, in milliseconds: long enough for some payments to come by. */
const againAfterMs = 1_000;

/**
 * What the bank was to do wrong and has not: it waits for a call, and is forgotten when the bank is killed first. Under
 * load, each kind gets its turn now. Whether it came to that is counted as for all others, and wanted as before.
 */
export async function strikeWhatIsLeft({ bank, toll }: World, withinMs: number): Promise<void> {
  const until = Date.now() + withinMs;
  while (Date.now() < until) {
    const { struck_by_kind: struck = {} } = (await bank.control('GET', '/faults')) as {
      struck_by_kind?: Record<string, number>;
    };
    const left = bankFaults.filter(({ kind }) => !(kind in toll.atBank) && !(kind in struck));
    if (left.length === 0) return;
    for (const plan of left) await bank.control('POST', '/faults', plan);
    await sleep(againAfterMs);
  }
}
