import type { Slowness } from '../../test/support/slow-line.js';
import { Deck, shuffled } from './deck.js';
import type { BankFault, Fault, Reborn } from './fault.js';
import { Random } from './random.js';
import { victims } from './world.js';

export interface Scheduled {
  /** Milliseconds after the faults began. */
  readonly atMs: number;
  readonly fault: Fault;
  /** Where its victim was not there in time: how long it is left alone once it is. A busy machine starts slowly. */
  readonly restMs?: number;
}

/** All that goes wrong in a run, in two rows that do not wait for each other. */
export interface Schedule {
  /** How long it all takes, unless the kills take longer. */
  readonly lengthMs: number;
  /** One API after the other, and now and then everybody: each of these is struck, however late. */
  readonly kills: readonly Scheduled[];
  /** Everything else, for as long as it may take. What finds its place taken is left out. */
  readonly troubles: readonly Scheduled[];
}

/** Between two troubles, in milliseconds: most of the time one is active, and callers still get through. */
const pauseMs = { least: 100, most: 600 };

/** Where a process strikes itself, as fault-points.ts takes it: before and after each commit, and around each call. */
const faultPoints = [
  'boarding',
  'keys_claimed',
  'books_opened',
  'outcomes_recorded',
  'committed',
  'call_begins@funds_reserved',
  'call_ended@funds_reserved',
  'outcomes_recorded@funds_reserved',
  'call_begins@transfer_sent',
  'call_ended@transfer_sent',
  'outcomes_recorded@transfer_sent',
  'answered',
];

/** The workers meet only what lies after T1. */
const faultPointsOfWorker = [
  'taken_over',
  'call_begins',
  'call_ended',
  'outcomes_recorded@funds_reserved',
  'outcomes_recorded@transfer_sent',
];

/**
 * What the bank may do to us without breaking its own promises. Left out: a second charge, a reference forgotten, a
 * decline of what it has charged, a transfer that never settles: of those no caller can make one charge, or an end.
 */
export const bankFaults: readonly BankFault[] = [
  { kind: 'timeout_before', times: 6 },
  { kind: 'timeout_after', times: 6 },
  { kind: 'error_before', times: 20, status: 503 },
  { kind: 'error_after', times: 20, status: 500 },
  { kind: 'slow', times: 20, delay_ms: 300 },
  { kind: 'drip', times: 4, delay_ms: 20 },
  { kind: 'reset_in_answer', times: 20 },
  { kind: 'html', times: 12 },
  { kind: 'empty', times: 12 },
  { kind: 'broken_json', times: 12 },
  { kind: 'huge', times: 4 },
  { kind: 'redirect', times: 12, location: 'http://127.0.0.1:9/' },
  { kind: 'rate_limited', times: 3, retry_after: '1' },
  { kind: 'in_progress', times: 12 },
  { kind: 'not_found', times: 4 },
  { kind: 'decline', times: 2 },
  { kind: 'returned', times: 2 },
  { kind: 'wrong_amount', times: 1 },
  { kind: 'wrong_currency', times: 1 },
  { kind: 'wrong_reference', times: 1 },
];

/** How many times as long a busy machine may take for the kills; other faults go on meanwhile. */
const slowestTimes = 20;

/** Among so many kills, everybody goes down at once, and somebody is asked to stop. */
export const killsPerLightsOut = 20;

const parks = /^wrong_/;

const twoHoursMs = 7_200_000;

/** The same seed, length and number draw the same. What the faults meet there is not in anybody's hand. */
export function drawSchedule(seed: number, lengthMs: number, killsInAll = lengthMs / 600): Schedule {
  return {
    lengthMs,
    kills: drawKills(Random.of(seed, 'kills'), lengthMs, Math.ceil(killsInAll)),
    troubles: drawTroubles(Random.of(seed, 'schedule'), slowestTimes * lengthMs),
  };
}

/** Without a kill, and without what is parked for ever: what then grows, leaks. */
export function drawSoak(seed: number, lengthMs: number): Schedule {
  const troubles = drawTroubles(Random.of(seed, 'soak'), lengthMs, atTheNetwork);
  return {
    lengthMs,
    kills: [],
    troubles: troubles.filter(
      ({ fault }) => !(fault.kind === 'trouble at the bank' && parks.test(fault.plan.kind)),
    ),
  };
}

function drawKills(random: Random, lengthMs: number, kills: number): Scheduled[] {
  const fates = new Deck(random, [...reborn, {}, {}, {}, {}]);
  // Both come on top of the kills that were asked for.
  const kill = Array.from({ length: killsPerLightsOut - 2 }, () => 'kill');
  const extra = new Deck(random, ['lights out', 'stop', ...kill]);
  const scheduled: Scheduled[] = [];
  const everyMs = lengthMs / kills;
  for (let nth = 0; nth < kills; nth += 1) {
    const victim = nth % 2 === 0 ? 'api-1' : 'api-2';
    const atMs = (nth + random.next()) * everyMs;
    const restMs = random.between(10, 300);
    const what = extra.draw();
    if (what === 'lights out') {
      scheduled.push({
        atMs,
        fault: { kind: what, order: shuffled(random, [...victims, 'postgres'] as const) },
      });
    }
    if (what === 'stop') scheduled.push({ atMs, fault: { kind: what, victim, reborn: {} } });
    scheduled.push({
      atMs,
      restMs,
      fault: { kind: 'kill', victim, reborn: drawReborn(random, fates.draw(), faultPoints) },
    });
  }
  return scheduled;
}

/** What may be special about a process; the point where it strikes itself is drawn apart. */
const reborn: readonly Reborn[] = [
  { faultSignal: 'SIGKILL' },
  { faultSignal: 'SIGKILL' },
  { faultSignal: 'STALL' },
  { clockMs: twoHoursMs },
  { clockMs: -twoHoursMs },
  { clockMs: twoHoursMs, clockStepMs: -twoHoursMs - 3_600_000 },
  { workersInside: true },
];

function drawReborn(random: Random, fate: Reborn, points: readonly string[]): Reborn {
  if (fate.faultSignal === undefined) return fate;
  const faultPoint = `${random.oneOf(points)}${random.one(['', ':2', ':5', ':10'])}`;
  return {
    ...fate,
    faultPoint,
    ...(fate.faultSignal === 'STALL' && { stallMs: random.between(400, 1_500) }),
  };
}

function drawTroubles(random: Random, lengthMs: number, draws = anything): Scheduled[] {
  const bank = new Deck(random, bankFaults);
  const kinds = new Deck(random, draws);
  const scheduled: Scheduled[] = [];
  for (let atMs = 0; ;) {
    atMs += random.between(pauseMs.least, pauseMs.most);
    if (atMs > lengthMs) return scheduled;
    scheduled.push({ atMs, fault: kinds.draw()(random, bank) });
  }
}

type Draw = (random: Random, bank: Deck<BankFault>) => Fault;

const victimOf = (random: Random) => random.one(victims);
const doorOf = (random: Random) => random.one(['api-1', 'api-2'] as const);
const sideOf = (random: Random) => random.one(['before', 'after'] as const);
/** Longer than a lease, so that somebody is taken over. */
const lasting = (random: Random) => random.between(350, 1_000);

function slowness(random: Random, delayMostMs: number): Slowness {
  return {
    delayMs: random.between(1, delayMostMs),
    jitterMs: random.between(0, delayMostMs),
    sliceBytes: random.one([Infinity, 64, 7]),
  };
}

const atTheBank: Draw = (_, bank) => ({ kind: 'trouble at the bank', plan: bank.draw() });
const loseCommit: Draw = random => ({
  kind: 'lose a commit',
  victim: victimOf(random),
  side: sideOf(random),
});
const killWorker: Draw = random => ({
  kind: 'kill',
  victim: 'worker',
  reborn: drawReborn(
    random,
    random.one<Reborn>([{}, { faultSignal: 'SIGKILL' }, { faultSignal: 'STALL' }]),
    faultPointsOfWorker,
  ),
});

/** What befalls the networks and the bank. One card each; more for what only strikes when somebody comes by. */
const atTheNetwork: readonly Draw[] = [
  atTheBank,
  atTheBank,
  atTheBank,
  atTheBank,
  atTheBank,
  loseCommit,
  loseCommit,
  loseCommit,
  random => ({ kind: 'reset the database', victim: victimOf(random), atMessage: random.between(1, 60) }),
  random => ({ kind: 'reset the database', victim: victimOf(random), atMessage: random.between(1, 60) }),
  random => ({ kind: 'silence the database', victim: victimOf(random), forMs: lasting(random) }),
  random => ({
    kind: 'slow the database',
    victim: victimOf(random),
    forMs: lasting(random) + 500,
    how: slowness(random, random.one([20, 300, 2_000])),
  }),
  () => ({ kind: 'end backends one by one' }),
  random => ({ kind: 'cut an answer', door: doorOf(random), afterBytes: random.between(1, 1_200) }),
  random => ({ kind: 'cut an answer', door: doorOf(random), afterBytes: random.between(1, 1_200) }),
  random => ({ kind: 'close a door', door: doorOf(random), forMs: lasting(random) }),
  random => ({
    kind: 'slow a door',
    door: doorOf(random),
    forMs: lasting(random),
    how: slowness(random, 300),
  }),
  random => ({ kind: 'slow the road to the bank', forMs: lasting(random), how: slowness(random, 150) }),
  () => ({ kind: 'trouble to the bank', how: 'reset', forMs: 0 }),
  random => ({ kind: 'trouble to the bank', how: random.one(['refuse', 'silence']), forMs: lasting(random) }),
];

const anything: readonly Draw[] = [
  ...atTheNetwork,
  killWorker,
  killWorker,
  random => ({ kind: 'freeze', victim: victimOf(random), forMs: lasting(random) }),
  random => ({ kind: 'kill the reaper', side: sideOf(random) }),
  random => ({ kind: 'kill postgres', forMs: random.between(0, 500) }),
  () => ({ kind: 'kill one backend' }),
  random => ({ kind: 'restart postgres', signal: random.one(['SIGINT', 'SIGQUIT']) }),
  random => ({ kind: 'kill bank', forMs: random.between(0, 600) }),
];
