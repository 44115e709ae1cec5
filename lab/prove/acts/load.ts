import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DriverOptions } from '../driver.js';
import type { Reply } from '../driver-log.js';
import { startLoad as startDriver, type Load as Driving } from '../load.js';
import type { World } from '../world.js';

/** How often the log is looked into while somebody waits for a payment, in milliseconds. */
const lookEveryMs = 10;

/** The whole mixture of callers. */
export interface Load extends Driving {
  /** Where it writes down what it does. */
  readonly log: string;
  /** Resolves once a payment that nobody knew of before has succeeded. @returns false: not in time */
  readonly untilPaid: (withinMs: number) => Promise<boolean>;
}

export function startLoad(world: World, seed: number, more: Partial<DriverOptions> = {}): Load {
  const { name = 'd1' } = more;
  const log = join(world.folder, `${name}.jsonl`);
  closeSync(openSync(log, 'a'));
  const options: DriverOptions = {
    name,
    seed,
    log,
    callers: world.callers(),
    // Enough that batches are larger than one, and two cores still have time for everybody else.
    atOnce: 16,
    thinkMs: 30,
    urls: [world.doors['api-1'].url, world.doors['api-2'].url],
    ...more,
  };
  return {
    ...startDriver(options),
    log,
    untilPaid: async withinMs => {
      const until = Date.now() + withinMs;
      for (let from = statSync(log).size; Date.now() < until;) {
        await sleep(lookEveryMs);
        const lines = linesFrom(log, from);
        if (lines.some(line => isPaid(JSON.parse(line) as Partial<Reply>))) return true;
        from += lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
      }
      return false;
    },
  };
}

/** Whole lines only, from a place where one begins: the last one may still be on its way. */
function linesFrom(path: string, from: number): string[] {
  const bytes = Buffer.alloc(Math.max(0, statSync(path).size - from));
  const file = openSync(path, 'r');
  const length = readSync(file, bytes, 0, bytes.length, from);
  closeSync(file);
  return bytes.toString('utf8', 0, length).split('\n').slice(0, -1);
}

/** A first answer: a replay may come from an API's memory, and says nothing about the database. */
function isPaid({ headers, status }: Partial<Reply>): boolean {
  return status === 200 && headers?.['idempotency-status'] === 'completed';
}
