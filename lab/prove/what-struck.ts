import { bankFaults } from './schedule.js';
import type { Witnesses } from './witnesses.js';
import type { World } from './world.js';

type Counts = Readonly<Record<string, number>>;

/**
 * What happened, by those to whom it happened: a fault that was planned may never have struck, so what proxies, bank
 * and processes say they did is the evidence. Pieces that came late are counted apart: one slow second has hundreds.
 */
export function countWhatStruck(world: World): Counts {
  const { bankLink, databaseLinks, doors, faultPoints, toll } = world;
  const counts = new Map<string, number>();
  const add = (what: string, struck: Counts) => {
    for (const [kind, times] of Object.entries(struck)) {
      // An answer that the bank delays is a fault of its own.
      const isLate = what !== 'bank' && (kind === 'slow' || kind === 'delay');
      const name = isLate ? `seen: pieces that came late, ${what}` : `${what}: ${kind}`;
      counts.set(name, (counts.get(name) ?? 0) + times);
    }
  };
  for (const door of Object.values(doors)) add('door', door.struck);
  for (const link of Object.values(databaseLinks)) add('database', link.struck);
  add('road to the bank', bankLink.struck);
  add('bank', toll.atBank);
  add('fault point', faultPoints);
  return {
    ...Object.fromEntries(counts),
    'a clock set back': toll.clocksSet,
    'reaper killed in its batch': toll.reapersKilled,
    'backend ended': toll.backendsEnded,
    'seen: processes that stalled': toll.stalls,
    'seen: starts that failed': toll.failedStarts,
  };
}

/** How many transactions took more than one key a step further: a crash of one payment proves little about fifty. */
export function countLargeBatches({ database: { history } }: Witnesses): number {
  const keys = new Map<string, string | null>();
  for (const { change, customerId, key, transaction } of history) {
    if (change === 'DELETE') continue;
    const one = `${customerId} ${key}`;
    const before = keys.get(transaction);
    if (before !== null) keys.set(transaction, before === undefined || before === one ? one : null);
  }
  return [...keys.values()].filter(key => key === null).length;
}

/** Seen at least once in a run of a minute or more; below that, a run only shows that it works. */
const wantedAlways: Counts = {
  'answer 200': 100,
  'answer 202': 1,
  'answer 402 insufficient_funds': 1,
  'answer 402 declined_by_bank': 1,
  'answer 409 collision_detected': 1,
  'answer 409 in_progress': 1,
  'answer 409 operation_cancelled': 1,
  'answer 409 already_completed': 1,
  'answer 503 unavailable': 1,
  'no answer': 1,
  replay: 10,
  'replay of a key that is reaped by now': 1,
  'taken over': 1,
  'seen: batches larger than one': 10,
  'database: lost COMMIT before': 1,
  'database: lost COMMIT after': 1,
  'road to the bank: reset': 1,
};

/** Each mode of a proxy and of the bank takes its turn, which takes a while. */
const wantedInTime: Counts = {
  parked: 1,
  'lights out': 1,
  'stop api-1': 1,
  'stop api-2': 1,
  'kill worker': 1,
  'reaper killed in its batch': 1,
  'backend ended': 1,
  'a clock two hours wrong': 1,
  'a clock set back': 1,
  'seen: processes that stalled': 1,
  'database: reset at a message': 1,
  'database: silence': 1,
  'slow the database': 1,
  'slow a door': 1,
  'slow the road to the bank': 1,
  'door: cut': 1,
  'door: refuse': 1,
  'door: reset': 1,
  'road to the bank: silence': 1,
  'road to the bank: refuse': 1,
  ...Object.fromEntries(bankFaults.map(({ kind }) => [`bank: ${kind}`, 1])),
};

/** What has to happen in so many minutes, or the run proves too little. */
export function wantedIn(minutes: number, kills: number): Counts {
  return {
    'seen: APIs killed at a random instant': kills,
    ...(minutes >= 1 && wantedAlways),
    ...(minutes >= 2 && wantedInTime),
  };
}
