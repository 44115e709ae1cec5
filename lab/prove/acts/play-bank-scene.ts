import { setTimeout as sleep } from 'node:timers/promises';
import { readBank } from '../bank-witness.js';
import { checkEverything } from '../checkers/every-checker.js';
import { countAnswers } from '../checkers/i15-vacuity.js';
import { readDatabase } from '../database-witness.js';
import { readDriverLogs } from '../driver-log.js';
import { findLeaks } from '../watch-resources.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';
import { patienceOfHolders, slower } from './arm-pair.js';
import { bankKillPoints } from './bank-kill-points.js';
import type { SceneName } from './bank-modes.js';
import { pairsOf, type BankPair } from './bank-pairs.js';
import { BankStage, customer, type Env, type Lane } from './bank-stage.js';
import { countModes, countRecoveries, timesToTheEnd } from './count-pairs.js';
import { judgeDetection, judgePairs, withoutSecondCharges } from './judge-pairs.js';
import { outageEnv, strikeInAnOutage } from './strike-in-an-outage.js';
import { strikePairs, type StruckPair } from './strike-pair.js';

/** T of invariant I5, in milliseconds. Where leases had to be longer than planned for, it is as much longer. */
const endsWithinMs = 15_000;

/** Rounds whose pairs die together: one death for each kill point, or for each payment that nobody can share. */
const roundsAtOnce = 3;

/** APIs that are killed at once. Most of a pair's time is the start of a process, and two cores start two. */
const lanesAtOnce = 3;

/** Waits in the proportions of production; those that have to be long enough for a slow machine are strike-pair's. */
const patience = {
  ...Object.fromEntries(Object.entries(patienceOfHolders).map(([name, ms]) => [name, String(ms)])),
  // A machine that is busy starting others must not seem to have no database.
  CONNECT_TIMEOUT_MS: '20000',
  BANK_CONNECT_TIMEOUT_MS: '500',
  BANK_BACKOFF_MS: '10',
  BANK_BACKOFF_MAX_MS: '50',
  BANK_BREAK_MS: '100',
  // One bank for all of it: it fails more often than any that we know, and an empty budget would hide the rest.
  BANK_RETRY_TOKENS: '1000000',
  SWEEP_MS: '50',
  RECOVERY_BACKOFF_MS: '20',
  RECOVERY_BACKOFF_MAX_MS: '200',
  OUTAGE_BACKOFF_MAX_MS: '200',
  RECOVERY_ATTEMPTS_MAX: '1000',
  DATABASE_CONNECTIONS_MAX: '4',
};

/** What was accepted is still to be asked about after three more requests about the order. */
const bankEnv = { BANK_SETTLE_MS: '800', BANK_HANG_MS: '3000' };

interface Scene {
  readonly env: Env;
  /** How the reasons begin for which something may be parked. */
  readonly mayPark: readonly string[];
}

const scenes: Readonly<Record<SceneName, Scene>> = {
  // To ask and to send: whoever takes over meets as much trouble as one call can bear, and has to write it down.
  ordinary: { env: { BANK_REQUESTS_MAX: '2' }, mayPark: ["the bank's transfer has another"] },
  outage: { env: outageEnv, mayPark: [] },
  // Nothing is young enough to be sent again, and it is not asked about for half an hour.
  'past its memory': {
    env: { BANK_MEMORY_MS: '0', RECOVERY_ATTEMPTS_MAX: '10' },
    mayPark: ['the bank does not know', '1 requests are enough', 'taken up '],
  },
  'charging twice': { env: {}, mayPark: [] },
};

export interface ScenePlayed {
  readonly violations: readonly Violation[];
  readonly struck: readonly StruckPair[];
  readonly requests: number;
  readonly counts: Readonly<Record<string, number>>;
  /** From a holder's death to the end of its payment, in milliseconds. */
  readonly toTheEndMs: readonly number[];
}

export interface SceneOptions {
  readonly seed: number;
  /** Which of them: each tries every pair once. */
  readonly rounds: readonly number[];
  readonly say: (line: string) => void;
  /** Some pairs, to look at them again. All of them when left out. */
  readonly only?: (pair: BankPair) => boolean;
}

/** All pairs of a scene, some rounds at a time, in a world of its own: kill after kill, drain, judgement. */
export async function playBankScene(
  name: SceneName,
  { seed, rounds, say, only = () => true }: SceneOptions,
): Promise<ScenePlayed> {
  const scene = scenes[name];
  const first = pairsOf(name, 0).filter(only);
  const perRound = first.length;
  const lanes = name === 'outage' ? bankKillPoints.length : Math.min(lanesAtOnce, deathsOf(first).length);
  const stage = await BankStage.open({
    lanes,
    env: { ...patience, ...scene.env },
    bankEnv,
    seed,
    // A run has no whole seconds to give away.
    patience: 0.1,
  });
  try {
    const survivor = await stage.startSurvivors();
    // Books that the bank itself spoils have nothing to be watched for; they are judged at the end.
    const money = name === 'charging twice' ? undefined : stage.watchMoney();
    const struck: StruckPair[] = [];
    // In an outage each kill point has a lane of its own.
    const atOnce = name === 'outage' ? 1 : roundsAtOnce;
    for (let begun = 0; begun < rounds.length; begun += atOnce) {
      const some = rounds.slice(begun, begun + atOnce);
      const pairs = some.flatMap(round => pairsOf(name, round)).filter(only);
      struck.push(...(await strikeAll({ stage, survivor, say }, pairs)));
      await stopAskingOfParked(stage);
      say(`${name}: ${struck.length} of ${perRound * rounds.length} pairs struck`);
    }
    const healedAt = Date.now();
    const endWithinMs = slower(endsWithinMs, Math.max(...struck.map(({ misses }) => misses)));
    await untilEnded(stage, endWithinMs);
    const differences = await stage.reconcile();
    const bankFaults = (await stage.bank.control('GET', '/faults')) as { struck: Record<string, number> };
    const watched = await money?.stop();
    const witnesses: Witnesses = {
      log: await readDriverLogs([stage.logPath]),
      bank: await readBank(stage.bankAddress),
      database: await readDatabase(stage.postgres.url),
      run: {
        progress: { healedAt, endWithinMs, mayPark: scene.mayPark },
        money: watched ?? { reads: 0, longestGapMs: 0, violations: [] },
        resources: {
          samples: [],
          bounds: {},
          attemptsMax: 1_000,
          leaks: await findLeaks(stage.postgres.url),
        },
        coverage: { seen: {}, wanted: {}, succeededMin: 0, shareSucceededMin: 0 },
      },
    };
    const violations = judge(struck, witnesses, differences);
    return {
      violations: [...violations, ...judgeVisitors(stage.visitors)],
      struck,
      requests: witnesses.log.length,
      counts: {
        ...countModes(struck, bankFaults.struck),
        ...countAnswers(witnesses),
        ...countRecoveries(struck, witnesses),
        'differences reported': differences.length,
        'looks at the money': watched?.reads ?? 0,
      },
      toTheEndMs: timesToTheEnd(struck, witnesses),
    };
  } finally {
    await stage.stop();
  }
}

async function strikeAll(
  { stage, survivor, say }: { stage: BankStage; survivor: string; say: (line: string) => void },
  pairs: readonly BankPair[],
): Promise<StruckPair[]> {
  if (pairs[0]?.mode.scene === 'outage') return strikeInAnOutage(stage, survivor, pairs);
  const left = deathsOf(pairs);
  const struck: StruckPair[] = [];
  const strikeIn = async (lane: Lane) => {
    for (let death = left.shift(); death; death = left.shift()) {
      // To arm it for the next death is to bring it back from the one before.
      const met = await strikePairs({ stage, lane, survivor }, death);
      struck.push(...met);
      say(`${met.length} died at ${met[0]?.pair.point.id ?? ''}`);
    }
    await stage.start(lane);
  };
  const lanes = stage.lanes.map(strikeIn);
  try {
    await Promise.all(lanes);
  } finally {
    // Where one of them failed, the others end what they are at: nothing is torn down under their feet.
    left.length = 0;
    await Promise.allSettled(lanes);
  }
  return struck;
}

/** One for each kill point, and one for each pair that nobody can share. */
function deathsOf(pairs: readonly BankPair[]): BankPair[][] {
  return [
    ...Map.groupBy(
      pairs.filter(({ isAlone }) => !isAlone),
      ({ point }) => point.id,
    ).values(),
    ...pairs.filter(({ isAlone }) => isAlone).map(pair => [pair]),
  ];
}

/** Until every caller has been told, or its payment is parked, or T is over: the rest is for the checkers to tell. */
async function untilEnded(stage: BankStage, withinMs: number): Promise<void> {
  const until = Date.now() + withinMs;
  while (stage.asking.open > 0 && Date.now() < until) {
    await stopAskingOfParked(stage);
    await sleep(100);
  }
  await stage.asking.close();
}

/** A person has to decide about these. Left alone, hundreds of their callers would be most of the load. */
async function stopAskingOfParked({ asking, postgres }: BankStage): Promise<void> {
  const parked = await postgres.sql<{ key: string }>(
    'SELECT key FROM idempotency_keys WHERE parked_because IS NOT NULL',
  );
  asking.stopAsking(parked.map(({ key }) => key));
}

function judge(
  struck: readonly StruckPair[],
  witnesses: Witnesses,
  differences: Awaited<ReturnType<BankStage['reconcile']>>,
): Violation[] {
  const isHonest = struck.every(({ pair }) => pair.mode.scene !== 'charging twice');
  const judged = isHonest ? witnesses : withoutSecondCharges(witnesses);
  return [
    ...checkEverything(judged),
    ...judgePairs(struck, witnesses, customer),
    ...judgeDetection(struck, {
      witnesses,
      customer,
      differences,
      found: isHonest ? [] : checkEverything(witnesses),
    }),
  ];
}

/** F65: whoever is sent elsewhere does not go, and our credentials least of all. */
function judgeVisitors(visitors: readonly string[]): Violation[] {
  const found = new Findings('I9');
  for (const visitor of visitors) found.add('a redirect of the bank’s is not followed', visitor, { visitor });
  return found.violations;
}
