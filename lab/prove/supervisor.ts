import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readBank } from './bank-witness.js';
import { checkEverything } from './checkers/every-checker.js';
import { measureProgress, type Progress } from './checkers/i05-progress.js';
import { countAnswers, countSucceeded } from './checkers/i15-vacuity.js';
import { readDatabase } from './database-witness.js';
import type { DriverOptions } from './driver.js';
import { goWrong } from './go-wrong.js';
import { readDriverLogs } from './driver-log.js';
import { Random } from './random.js';
import { drawSchedule, mayPark } from './schedule.js';
import type { Violation } from './violation.js';
import { MoneyWatch } from './watch-money.js';
import { findLeaks, ResourceWatch } from './watch-resources.js';
import type { Witnesses } from './witnesses.js';
import { victims, World } from './world.js';

/*
 * What is where: world.ts has the processes and the networks between them, schedule.ts draws the faults, strike.ts and
 * go-wrong.ts let them happen. driver.ts is the load, and writes the first witness; bank-witness.ts and
 * database-witness.ts read the other two; checkers/ judge all of them, each invariant in a file of its own.
 *
 * Not there yet, of what the design of this harness asks for:
 * - directed runs (each kill point so many times) and the vacuity that belongs to them: every fault point hit at least
 *   20 times, each of the four 409s, a rebuilt answer, a parked key, a batch larger than one;
 * - PostgreSQL: fail-over, disk full, clock skew, old snapshots; the event loop stalled; lights out;
 * - the published client as the sender (see send.ts), drivers that are killed themselves, rolling restarts;
 * - mutations: a patch, a run, and the checker that must find it; a page that is generated from many runs.
 */

/** T of invariant I5, in milliseconds: what the gate asks for at these leases. */
const endWithinMs = 15_000;

/** How long callers may go on after the faults, in milliseconds: T, and the slowest of them in doing as it is told. */
const drainWithinMs = endWithinMs + 15_000;

/** Of the minutes that a run is asked to take. Setting up, draining and judging come on top. */
const share = { warmUp: 0.1, safety: 0.8, liveness: 0.1 };

export interface RunOptions {
  readonly seed: number;
  readonly minutes: number;
}

export interface Verdict {
  readonly seed: number;
  readonly minutes: number;
  readonly violations: readonly Violation[];
  readonly operations: { readonly succeeded: number; readonly operations: number };
  readonly exchanges: number;
  readonly answers: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly faultPoints: Readonly<Record<string, number>>;
  readonly progress: Progress;
  readonly money: { readonly reads: number; readonly longestGapMs: number };
}

/**
 * One run: warm-up without faults, faults, healing, drain, judgement. One seed draws the load and the faults; it does
 * not draw how real processes interleave, so a seed repeats a schedule, not a history.
 *
 * @throws Error when the harness itself failed: that is no verdict
 */
export async function prove({ seed, minutes }: RunOptions, say: (line: string) => void): Promise<Verdict> {
  const runMs = minutes * 60_000;
  const schedule = drawSchedule(seed, runMs * share.safety);
  say(`seed ${seed}: ${schedule.length} faults drawn for ${minutes} min; two APIs, one worker, one bank`);
  const world = await World.create();
  const log = join(world.folder, 'driver.jsonl');
  const driver = startDriver({
    name: 'd1',
    seed,
    log,
    callers: world.callers(),
    // Enough that batches are larger than one, and two cores still have time for everybody else.
    atOnce: 16,
    thinkMs: 30,
    urls: [world.doors['api-1'].url, world.doors['api-2'].url],
  });
  const money = new MoneyWatch(world.postgres.url, world.bankAddress);
  const resources = new ResourceWatch(world.postgres.url, () => world.pids());
  try {
    say('warm-up');
    await sleep(runMs * share.warmUp);
    say('safety: faults on');
    const faults = await goWrong(world, schedule);
    say('heal');
    await world.heal(shuffled(seed));
    const healedAt = await timeOf(world);
    say('liveness: what is under way comes to its end');
    await sleep(runMs * share.liveness);
    await driver.drain(drainWithinMs);
    await untilQuiet(world);

    say('check');
    const witnesses: Witnesses = {
      log: await readDriverLogs([log]),
      bank: await readBank(world.bankAddress),
      database: await readDatabase(world.postgres.url),
      run: {
        progress: { healedAt, endWithinMs, mayPark },
        money: await money.stop(),
        resources: {
          samples: await resources.stop(),
          bounds: { api: bounds, worker: bounds },
          attemptsMax: 100_000,
          leaks: await findLeaks(world.postgres.url),
        },
        coverage: {
          seen: { ...faults, ...whatWasMet(world) },
          wanted,
          succeededMin: minutes * 100,
          shareSucceededMin: 0.5,
        },
      },
    };
    return judge({ seed, minutes }, witnesses, world);
  } finally {
    driver.kill();
    await Promise.all([money.stop(), resources.stop()]);
    await world.stop();
  }
}

function judge(options: RunOptions, witnesses: Witnesses, { faultPoints }: World): Verdict {
  const { coverage, money } = witnesses.run;
  return {
    ...options,
    violations: checkEverything(witnesses),
    operations: countSucceeded(witnesses),
    exchanges: witnesses.log.length,
    answers: countAnswers(witnesses),
    faults: coverage.seen,
    faultPoints,
    progress: measureProgress(witnesses),
    money: { reads: money.reads, longestGapMs: Math.round(money.longestGapMs) },
  };
}

/** A fault that was planned may never have struck: what the proxies say they did is the evidence. */
function whatWasMet({ bankLink, databaseLinks, doors, faultPoints }: World): Record<string, number> {
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  const at = (what: string) =>
    sum([...Object.values(doors), bankLink].map(({ struck }) => struck[what] ?? 0));
  return {
    'met: a cut at the database': sum(Object.values(databaseLinks).map(({ cuts }) => cuts)),
    'met: a fault point': sum(Object.values(faultPoints)),
    'met: an answer cut short': at('cut'),
    'met: a reset': at('reset'),
    'met: a silence': at('silence'),
  };
}

/** Four connections of its pool, and room for the one that was cut off and is not yet forgotten by the server. */
const bounds = { connections: 8, rssBytes: 512 * 2 ** 20, sockets: 400 };

/** What has to be seen even in a run of a minute, or it proves little. */
const wanted = {
  'answer 200': 100,
  'answer 202': 1,
  'answer 402 insufficient_funds': 1,
  'answer 402 declined_by_bank': 1,
  'answer 409 collision_detected': 1,
  'answer 409 in_progress': 1,
  'answer 409 operation_cancelled': 1,
  'no answer': 1,
  replay: 10,
  'replay of a key that is reaped by now': 1,
  'taken over': 1,
  'met: a cut at the database': 1,
  'met: a fault point': 1,
  'met: a reset': 1,
};

/** The driver as a process of its own, so that it is as busy as it likes. */
function startDriver(options: DriverOptions) {
  const script = join(import.meta.dirname, 'driver.js');
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const gone = once(child, 'exit');
  return {
    kill: () => {
      child.kill('SIGKILL');
    },
    /** Lets callers come to an end. Those that have not by then never will: they wait for what is parked, say. */
    drain: async (withinMs: number) => {
      child.kill('SIGTERM');
      const impatience = setTimeout(() => child.kill('SIGTERM'), withinMs);
      const [code] = (await gone) as [number | null];
      clearTimeout(impatience);
      if (code !== 0) throw new Error(`the driver ended with ${String(code)}`);
    },
  };
}

/** Until nobody works on anything any more, or T is over: what is unfinished then is I5's to tell. */
async function untilQuiet({ postgres }: World): Promise<void> {
  const until = Date.now() + endWithinMs;
  while (Date.now() < until) {
    const unfinished = await postgres.sql(
      "SELECT FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled') AND parked_because IS NULL",
    );
    if (unfinished.length === 0) return;
    await sleep(100);
  }
}

async function timeOf({ postgres }: World): Promise<number> {
  const [row] = await postgres.sql<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  return row?.now ?? 0;
}

/** In which order things heal is drawn, too. */
function shuffled(seed: number) {
  const random = Random.of(seed, 'healing');
  return victims
    .map(victim => ({ victim, place: random.next() }))
    .sort((one, other) => one.place - other.place)
    .map(({ victim }) => victim);
}

const exitCodes = { well: 0, broken: 1, harnessFailed: 2 };

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
      minutes: { type: 'string', default: '1' },
      json: { type: 'string' },
    },
  });
  const options = { seed: Number(values.seed), minutes: Number(values.minutes) };
  try {
    const began = performance.now();
    const verdict = await prove(options, line => {
      console.log(`${String(Math.round((performance.now() - began) / 1_000)).padStart(4)} s  ${line}`);
    });
    if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(verdict, null, 2) + '\n');
    tell(verdict);
    process.exitCode = verdict.violations.length === 0 ? exitCodes.well : exitCodes.broken;
  } catch (error) {
    console.error('The harness failed, which says nothing about the product:', error);
    process.exitCode = exitCodes.harnessFailed;
  }
}

function tell({ answers, exchanges, faultPoints, faults, money, ...verdict }: Verdict): void {
  const { minutes, operations, progress, seed, violations } = verdict;
  console.log(
    `${operations.succeeded} of ${operations.operations} operations succeeded, in ${exchanges} attempts.`,
  );
  console.log('Faults:', faults, 'At fault points:', faultPoints);
  console.log('Answers:', answers);
  console.log(`The books were read ${money.reads} times meanwhile, at most ${money.longestGapMs} ms apart.`);
  console.log('From claim to end, in ms:', progress.endToEnd);
  console.log('After the healing, in ms:', progress.afterHealing);
  for (const [what, some] of Map.groupBy(violations, ({ invariant, what }) => `${invariant}: ${what}`)) {
    console.log(`BROKEN ${what} (${some.length} times), first at ${some[0]?.about ?? ''}:`);
    console.log(JSON.stringify(some[0]?.evidence).slice(0, 2_000));
  }
  // With nothing found in n trials, the rate is below 3/n with 95 % confidence. Zero is never written alone.
  if (violations.length === 0) {
    console.log(
      `No violation: at most 1 in ${Math.floor(operations.operations / 3)} operations, at 95 % confidence.`,
    );
  }
  console.log(`Again: npm run prove -- --seed ${seed} --minutes ${minutes}`);
}
