import { setTimeout as sleep } from 'node:timers/promises';
import type { Act, ActResult, Stage } from '../act.js';
import { readBank } from '../bank-witness.js';
import { checkEverything } from '../checkers/every-checker.js';
import { countAnswers } from '../checkers/i15-vacuity.js';
import { readDatabase } from '../database-witness.js';
import { monotonicMs, readDriverLogs } from '../driver-log.js';
import { join } from '../joined.js';
import { findLeaks } from '../watch-resources.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';
import type { Wanted } from './asking.js';
import { BankStage } from './bank-stage.js';
import { HealthWatch } from './watch-health.js';

/** `patience`: how many times as long as it is told a caller waits, so that all of them can be asking at once. */
const scales = {
  gate: { payments: 1_000, awayMs: 60_000, endWithinMs: 60_000, patience: 4 },
  long: { payments: 20_000, awayMs: 600_000, endWithinMs: 300_000, patience: 30 },
} as const;

/** In how much of the outage payments come in. */
const comingIn = 0.9;

/** One payment in so many goes over the ledger: whoever asks nobody outside does not notice. */
const ledgerEvery = 20;

const apis = 2;

/**
 * F53, the bank is away for a minute, or for ten, while payments through it come in. With the settings of production, but
 * for one customer's limit: each is taken on, or refused with a time to come back; nobody takes the API for ill; and when
 * the bank is back the backlog drains by itself, each payment charged once.
 */
export const bankOutage: Act = {
  name: 'bank-outage',
  about: 'the bank is away while payments come in, and the backlog drains',
  waits: true,
  perform,
};

async function perform({ seed, scale, say }: Stage): Promise<ActResult> {
  const { awayMs, endWithinMs, patience, payments } = scales[scale];
  // One customer is everybody here, and has as many payments on their way as everybody has.
  const env = { UNFINISHED_PER_CUSTOMER_MAX: String(payments) };
  const stage = await BankStage.open({ lanes: apis, env, bankEnv: {}, seed, patience });
  try {
    await stage.startSurvivors();
    await Promise.all(stage.lanes.map(lane => stage.start(lane)));
    const money = stage.watchMoney();
    const urls = stage.lanes.map(({ door }) => door.url);
    const health = new HealthWatch(urls);

    say(`the bank goes away for ${awayMs / 1_000} s`);
    await stage.bank.kill();
    const away = { from: monotonicMs(), until: Infinity };
    const [wanted] = await Promise.all([
      payAll(stage, { payments, withinMs: awayMs * comingIn }),
      sleep(awayMs),
    ]);
    away.until = monotonicMs();
    const looked = await health.stop();
    await stage.bank.restart();
    const healedAt = Date.now();
    say('the bank is back');
    const drainMs = await untilDrained(stage, healedAt, endWithinMs);
    say(`drained after ${(drainMs / 1_000).toFixed(1)} s`);
    await askOnceMore(stage, wanted);

    const witnesses: Witnesses = {
      log: await readDriverLogs([stage.logPath]),
      bank: await readBank(stage.bankAddress),
      database: await readDatabase(stage.postgres.url),
      run: {
        progress: { healedAt, endWithinMs, mayPark: [] },
        money: await money.stop(),
        resources: {
          ...{ samples: [], bounds: {}, attemptsMax: 1_000 },
          leaks: await findLeaks(stage.postgres.url),
        },
        coverage: { seen: {}, wanted: {}, succeededMin: payments, shareSucceededMin: 1 },
      },
    };
    return {
      name: bankOutage.name,
      violations: [
        ...checkEverything(witnesses),
        ...judgeAnswers(witnesses, away),
        ...looked.violations,
        ...judgeEnds(witnesses),
      ],
      operations: payments,
      requests: witnesses.log.length,
      counts: {
        ...countAnswers(witnesses),
        'bank F53': 1,
        'looks at readiness and liveness': looked.looks,
        'paid over the ledger meanwhile': countMeanwhile(witnesses, away),
        'unfinished when the bank came back': countUnfinished(witnesses, healedAt),
      },
      wanted: {
        'bank F53': 1,
        'answer 202': payments / 2,
        'looks at readiness and liveness': awayMs / 5_000,
        'paid over the ledger meanwhile': payments / ledgerEvery / 2,
        'unfinished when the bank came back': payments / 2,
      },
      timesMs: { 'healing to the end': timesAfter(witnesses, healedAt), drain: [Math.round(drainMs)] },
    };
  } finally {
    await stage.stop();
  }
}

/** Evenly, as customers come. Nobody is waited for. */
async function payAll(
  { asking, lanes }: BankStage,
  { payments, withinMs }: { payments: number; withinMs: number },
): Promise<Wanted[]> {
  const all: Wanted[] = [];
  const urls = lanes.map(({ door }) => door.url);
  const began = monotonicMs();
  for (let nth = 1; nth <= payments; nth += 1) {
    await sleep(Math.max(0, began + (withinMs * nth) / payments - monotonicMs()));
    const lane = lanes[nth % lanes.length];
    if (!lane) break;
    const rail = nth % ledgerEvery === 0 ? 'ledger' : 'bank';
    const amount = 1_000 + ((nth * 37) % 9_000);
    const wanted = { name: `outage-${nth}`, from: lane.account, to: 'sam', amount, rail, urls } as const;
    all.push(wanted);
    void asking.pay(wanted);
  }
  return all;
}

/** @returns milliseconds since the healing, or all that there were */
async function untilDrained({ postgres }: BankStage, healedAt: number, withinMs: number): Promise<number> {
  while (Date.now() - healedAt < withinMs) {
    const [row] = await postgres.sql<{ left: number }>(
      "SELECT count(*)::int AS left FROM idempotency_keys WHERE recovery_point <> 'finished'",
    );
    if (row?.left === 0) break;
    await sleep(100);
  }
  return Date.now() - healedAt;
}

/** Those who still wait would come back when they were told to, some in minutes. They come now, a few at once. */
async function askOnceMore({ asking }: BankStage, wanted: readonly Wanted[]): Promise<void> {
  asking.stopAsking();
  const left = [...wanted];
  const one = async () => {
    for (let next = left.shift(); next; next = left.shift()) await asking.pay(next);
  };
  await Promise.all(Array.from({ length: callersAtOnce }, one));
  await asking.close();
}

const callersAtOnce = 20;

interface Away {
  readonly from: number;
  readonly until: number;
}

/** 202, or 409 to whoever repeats, or 503: each says when to come back. Never an error that says: it failed. */
function judgeAnswers({ log }: Witnesses, { until }: Away): Violation[] {
  const found = new Findings('I13');
  for (const exchange of log) {
    const { invoke, reply } = exchange;
    const isThroughBank = invoke.params !== null && 'rail' in invoke.params && invoke.params.rail === 'bank';
    if (!isThroughBank || !reply || reply.at > until) continue;
    const isToWait =
      reply.status === 202 || reply.status === 503 || (reply.status === 409 && reply.code === 'in_progress');
    if (!isToWait || !/^\d+$/.test(reply.headers['retry-after'] ?? '')) {
      found.add('in an outage whoever asks is told when to come back', invoke.operation, { exchange });
    }
  }
  return found.violations;
}

/** Exactly once: the checkers say at most, and this says at least. */
function judgeEnds(witnesses: Witnesses): Violation[] {
  const found = new Findings('I5');
  const joined = join(witnesses);
  for (const payment of witnesses.database.payments) {
    const charges = joined.atTheBank(payment.id).charges.length;
    if (payment.status !== 'succeeded' || charges !== (payment.rail === 'bank' ? 1 : 0)) {
      found.add('whatever was taken on in an outage is paid once', payment.id, { payment, charges });
    }
  }
  return found.violations;
}

function countMeanwhile({ log }: Witnesses, { until }: Away): number {
  return log.filter(({ reply }) => reply?.status === 200 && reply.at <= until).length;
}

function countUnfinished(witnesses: Witnesses, healedAt: number): number {
  return timesAfter(witnesses, healedAt).length;
}

/** Of whatever was open then, by the database's clock, which is this machine's. */
function timesAfter(witnesses: Witnesses, healedAt: number): number[] {
  return [...join(witnesses).history.values()].flatMap(changes => {
    const end = changes.find(({ recoveryPoint }) => recoveryPoint === 'finished');
    const [first] = changes;
    return end && first && first.at <= healedAt && end.at > healedAt ? [Math.round(end.at - healedAt)] : [];
  });
}
