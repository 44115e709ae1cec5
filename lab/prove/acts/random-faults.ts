import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startWorker } from '../../../test/support/api-process.js';
import type { Act, ActResult, Stage } from '../act.js';
import { readBank } from '../bank-witness.js';
import { checkEverything } from '../checkers/every-checker.js';
import { progressTimes } from '../checkers/i05-progress.js';
import { countAnswers, countSucceeded } from '../checkers/i15-vacuity.js';
import { readDatabase } from '../database-witness.js';
import { shuffled } from '../deck.js';
import { monotonicMs, readDriverLogs } from '../driver-log.js';
import { goWrong, type GoneWrong } from '../go-wrong.js';
import { startLoad } from '../load.js';
import { Random } from '../random.js';
import { drawSchedule, drawSoak, killsPerLightsOut } from '../schedule.js';
import { checkMemorySlope, checkTableIsFlat, countSlopes, type Point } from '../slopes.js';
import { MoneyWatch } from '../watch-money.js';
import { findLeaks, ResourceWatch } from '../watch-resources.js';
import { countLargeBatches, countWhatStruck, wantedIn } from '../what-struck.js';
import { strikeWhatIsLeft } from '../strike-what-is-left.js';
import type { Witnesses } from '../witnesses.js';
import { victims, World } from '../world.js';

/** T of invariant I5, in milliseconds: what the gate asks for at these leases. */
const endWithinMs = 15_000;

/** How long callers may go on after the faults, in milliseconds: T, and the slowest of them in doing as it is told. */
const drainWithinMs = endWithinMs + 15_000;

/** How long the bank's faults that nobody met are offered once more, in milliseconds. */
const leftWithinMs = 10_000;

/**
 * `killsPerMinute`: random kills of an API, faster than anybody would have it at the gate; two more with each lights out,
 * so that the two minutes of the gate have 200. A start is most of what a kill costs.
 */
const scales = {
  gate: { minutes: 2, killsPerMinute: 93 },
  long: { minutes: 12, killsPerMinute: 60 },
};

/**
 * Of the minutes that a long run was told to take, the part in which nobody is killed, so that what leaks shows. It takes
 * ten minutes to tell a slope from noise, and an hour to be believed.
 */
const soakShare = 5 / 6;

/** Of the minutes that are not a soak. Setting up, draining and judging come on top. */
const share = { warmUp: 0.04, liveness: 0.04 };

/** Enough that batches are larger than one, while two cores still have time for everybody else. */
const load = { atOnce: 32, thinkMs: 20 };

/** Four connections of its pool, and room for those that were cut off and are not yet forgotten by the server. */
const bounds = { connections: 12, rssBytes: 512 * 2 ** 20, sockets: 600 };

/**
 * Everything at once, drawn by the seed: processes, networks, clocks, PostgreSQL and the other bank, under load. Warm-up
 * without faults, faults, healing, drain, judgement by three witnesses. A seed repeats the load and the schedule of the
 * faults; how real processes interleave is not in its hand.
 */
export const randomFaults: Act = {
  name: 'random-faults',
  about: 'kills at any instant, two APIs in turn, and whatever else the seed draws',
  perform,
};

async function perform(stage: Stage): Promise<ActResult> {
  const { say, seed } = stage;
  const scale = scales[stage.scale];
  const minutes = stage.minutes ?? scale.minutes;
  const runMs = minutes * 60_000;
  const soakMs = stage.scale === 'long' && stage.minutes !== undefined ? runMs * soakShare : 0;
  const withKillsMs = runMs - soakMs;
  const kills = Math.ceil((withKillsMs / 60_000) * scale.killsPerMinute);
  const safetyMs = withKillsMs * (1 - share.warmUp - share.liveness);
  const schedule = drawSchedule(seed, safetyMs, kills);

  say(`${kills} kills, and other faults until the last of them, in ${minutes} min or as long as they take`);
  const world = await World.create({ env: { LOG_LEVEL: 'error' }, keepIn: stage.folder });
  const log = join(stage.folder, 'driver.jsonl');
  const driver = startLoad({
    name: 'd1',
    seed,
    log,
    callers: world.callers(),
    ...load,
    urls: [world.doors['api-1'].url, world.doors['api-2'].url],
  });
  const money = new MoneyWatch(world.postgres.url, world.bankAddress);
  const resources = new ResourceWatch(world.postgres.url, () => world.pids());
  try {
    say('warm-up');
    await sleep(withKillsMs * share.warmUp);
    say('faults');
    const gone = [await goWrong(world, schedule, say)];
    await strikeWhatIsLeft(world, Math.min(leftWithinMs, safetyMs));
    const soak = { from: monotonicMs(), to: 0, rows: [] as Point[] };
    if (soakMs > 0) {
      say('soak: faults of networks and bank, and nobody is killed');
      const counting = countFinishedKeys(world, soak.rows, soakMs);
      gone.push(await goWrong(world, drawSoak(seed, soakMs), say));
      await counting;
    }
    soak.to = monotonicMs();

    say('healing, and what is under way comes to its end');
    await world.heal(shuffled(Random.of(seed, 'healing'), victims));
    const healedAt = await timeOf(world);
    await sleep(withKillsMs * share.liveness);
    await Promise.all([driver.drain(drainWithinMs), untilQuiet(world).then(() => unpark(world))]);
    await untilQuiet(world);

    say('judgement');
    await world.toll.noteBank(world.bank);
    const samples = await resources.stop();
    const witnesses: Witnesses = {
      log: await readDriverLogs([log]),
      bank: await readBank(world.bankAddress),
      database: await readDatabase(world.postgres.url),
      run: {
        progress: { healedAt, endWithinMs, mayPark: [] },
        money: await money.stop(),
        resources: {
          samples,
          bounds: { api: bounds, worker: bounds },
          attemptsMax: 100_000,
          leaks: await findLeaks(world.postgres.url),
        },
        // What has to be seen is judged by whoever reads the counts below, once for all acts.
        coverage: { seen: {}, wanted: {}, succeededMin: minutes * 100, shareSucceededMin: 0.5 },
      },
    };
    const steady = samples.filter(({ at }) => at > soak.from + warmMs && at < soak.to);
    return {
      name: randomFaults.name,
      violations: [
        ...checkEverything(witnesses),
        ...checkMemorySlope(steady),
        ...checkTableIsFlat(soak.rows),
      ],
      operations: countSucceeded(witnesses).operations,
      // Those that were answered: while both APIs are down, a caller knocks at a door behind which nobody is.
      requests: witnesses.log.filter(({ reply }) => reply?.status != null).length,
      counts: { ...countAll(witnesses, world, gone), ...countSlopes(steady, soak.rows) },
      wanted: wantedIn(minutes, kills + 2 * Math.floor(kills / killsPerLightsOut)),
      timesMs: timesOf(witnesses),
    };
  } finally {
    driver.kill();
    await Promise.all([money.stop(), resources.stop()]);
    await world.stop();
  }
}

/** Into a soak, in milliseconds, before its memory is looked at: what was restarted last is still warming up. */
const warmMs = 180_000;

function countAll(witnesses: Witnesses, world: World, gone: readonly GoneWrong[]) {
  const struck: Record<string, number> = {};
  for (const each of gone) {
    for (const [name, times] of Object.entries(each.struck)) struck[name] = (struck[name] ?? 0) + times;
  }
  const { money } = witnesses.run;
  const killed = (struck['kill api-1'] ?? 0) + (struck['kill api-2'] ?? 0) + 2 * (struck['lights out'] ?? 0);
  return {
    ...countAnswers(witnesses),
    ...struck,
    ...countWhatStruck(world),
    'seen: APIs killed at a random instant': killed,
    'seen: batches larger than one': countLargeBatches(witnesses),
    'seen: operations that succeeded': countSucceeded(witnesses).succeeded,
    'seen: looks at the books meanwhile': money.reads,
    'seen: longest time between two looks, in ms': Math.round(money.longestGapMs),
    'seen: percent of the time with a fault active': Math.round(100 * (gone[0]?.activeShare ?? 0)),
  };
}

function timesOf(witnesses: Witnesses) {
  const { afterHealing, endToEnd, takenOver } = progressTimes(witnesses);
  return {
    'claim to end': endToEnd,
    'claim to end, taken over in between': takenOver,
    'healing to the end': afterHealing,
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

/**
 * As an operator would, once the bank no longer contradicts itself: `npm run recover -- --unpark all`. From then on
 * nothing may stay parked, and callers who wait for it come to their end like all others.
 */
async function unpark({ postgres }: World): Promise<void> {
  const command = startWorker({ args: ['--unpark', 'all'], databaseUrl: postgres.url });
  const { code } = await command.exited;
  if (code !== 0) throw new Error(`--unpark all ended with ${String(code)}:\n${command.stderr()}`);
}

/** Those that the reaper may delete meanwhile. Who pays without a key is recognised for a day, so those rows outlive the run. */
async function countFinishedKeys({ postgres }: World, rows: Point[], forMs: number): Promise<void> {
  const until = monotonicMs() + forMs;
  while (monotonicMs() < until) {
    const [row] = await postgres.sql<{ n: number }>(finishedKeys).catch(() => []);
    if (row) rows.push({ at: monotonicMs(), value: row.n });
    await sleep(5_000);
  }
}

const finishedKeys = `
  SELECT count(*)::int AS n FROM idempotency_keys WHERE recovery_point = 'finished' AND window_ms IS NULL`;

async function timeOf({ postgres }: World): Promise<number> {
  const [row] = await postgres.sql<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  return row?.now ?? 0;
}
