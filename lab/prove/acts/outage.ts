import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../act.js';
import { monotonicMs, readDriverLogs, type Exchange } from '../driver-log.js';
import { Findings } from '../violation.js';
import { endWithinMs } from './judge.js';
import type { Part } from './part.js';
import type { Scene } from './scene.js';
import { quantile, timesToKnow } from './times.js';

/** How long nobody gets through, in milliseconds, from the moment at which the crowd is there. */
const outageMs = { gate: 3_000, long: 20_000 };

/** Payments that are meant while nobody gets through, by one process. */
const crowd = 1_000;

/** The client's default: requests that are under way at once. */
const atOnceMax = 64;

/**
 * Requests per call. The client's budget is that of a process: a hundred retries in a row, so a thousand calls are 1,100
 * requests however long nobody gets through. Per payment it is more, and published as well: what the client gave up on
 * is a call again when the journal is resumed.
 */
const amplificationMax = 1.2;

/**
 * Requests per payment, from the moment at which the service is back. Some payments take longer than their callers are
 * asked to wait, and are asked for again: more of them where the machine is slow.
 */
const onceBackMax = 1.5;

/**
 * How many times its usual p99 a second may have, and be well again; and how much more at least, in milliseconds. What is
 * usual is known from so many answers.
 */
const usual = { times: 3, moreMs: 1_000, answers: 100 };

/** Those who have always been there. The first answer to each is slow, since it comes over a new connection. */
const steady = { atOnce: 4, thinkMs: 50 };

/** Connections that broke are found to be broken at first, in milliseconds: a second dip comes later. */
const firstMs = 2_000;

/** How long is waited for anything to come to be so, in milliseconds: twice what an operation may take at most, since nobody is hurried here. */
const normalWithinMs = 2 * endWithinMs;

/** How long it has to be as before, in milliseconds, until it is called so. */
const calmMs = 2_000;

/**
 * - `refused`: nobody listens. Each call learns at once that it was not sent. A hundred retries are made, and then no
 *   more; what is left is in the journal, and is resumed four at a time.
 * - `hangs`: connections are taken and nothing comes back, until all of them break in the same moment. Those calls try
 *   again at once, and behind them is everybody who waited for a turn.
 */
export type Kind = 'refused' | 'hangs';

/**
 * F78: a thousand calls meet an outage, and come back when it is over. Beside them, some callers who have always been
 * there: what they feel is what the herd does to a service that has just come back.
 */
export async function outage(scene: Scene, kind: Kind, { scale, seed, say }: Stage): Promise<Part> {
  const { world } = scene;
  const doors = Object.values(world.doors);
  const urls = doors.map(({ url }) => url);
  const [alice] = world.callers();
  const ofAlice = {
    seed,
    urls,
    callers: alice ? [alice] : [],
    sender: 'client',
    justPayments: true,
  } as const;
  const others = scene.drive({ ...ofAlice, ...steady, name: `others-${kind}` });
  const felt = () => readDriverLogs([scene.log(`others-${kind}`)]).catch(() => []);
  await until(async () => (await felt()).length >= usual.answers);

  const wentAt = monotonicMs();
  for (const door of doors) {
    if (kind === 'refused') door.refuse();
    else door.goSilent();
    if (kind === 'refused') door.resetAll();
  }
  const herd = scene.drive({
    ...ofAlice,
    name: `herd-${kind}`,
    journal: join(world.folder, `journal-${kind}`),
    operations: crowd,
    atOnce: crowd,
    thinkMs: 0,
  });
  const sent = () => readDriverLogs([scene.log(`herd-${kind}`)]).catch(() => []);
  // The whole crowd has come by then: each with a first attempt, or as many as the client lets through at once.
  const crowdMin = kind === 'refused' ? crowd : atOnceMax;
  await until(async () => (await sent()).length >= crowdMin);
  await sleep(outageMs[scale]);
  if (kind === 'hangs') for (const door of doors) door.resetAll();
  for (const door of doors) await door.heal();
  const backAt = monotonicMs();
  say(`${kind}: back`);
  const { calls } = await herd.ended(90_000);
  const doneAt = monotonicMs();
  say(`${kind}: the herd is through`);
  const feeling = async () => recovery(await felt(), { wentAt, backAt });
  await sleep(calmMs);
  const isAsBefore = await until(async () => (await feeling()).normalAt <= monotonicMs() - calmMs);
  others.stop();
  await others.ended(45_000);

  const requests = await sent();
  const made = Object.values(calls).reduce((sum, times) => sum + times, 0);
  const after = await feeling();
  const amplification = requests.length / made;
  const onceBack = requests.filter(({ invoke }) => invoke.at >= backAt).length;
  const found = new Findings('I11');
  const { failedLater } = after;
  const normalAfterMs = after.normalAt - backAt;
  const sums = { calls, requests: requests.length, amplification, onceBack };
  const evidence = { kind, ...sums, normalAfterMs, failedLater };
  if (amplification > amplificationMax) found.add('retries add at most a fifth to the calls', kind, evidence);
  if (onceBack > onceBackMax * crowd)
    found.add('a service that is back is asked about once for each payment', kind, evidence);
  if (!isAsBefore) found.add('a service that is back is as before once the herd is through', kind, evidence);
  if (failedLater > 0) found.add('there is no second dip', kind, evidence);
  return {
    counts: {
      'F78 outages that a thousand calls met': 1,
      [`${kind}: payments of the herd`]: crowd,
      [`${kind}: client calls`]: made,
      [`${kind}: requests`]: requests.length,
      [`${kind}: requests per 1,000 calls`]: Math.round(amplification * 1_000),
      [`${kind}: requests per 1,000 payments`]: requests.length * (1_000 / crowd),
      [`${kind}: requests while nobody got through`]: requests.length - onceBack,
    },
    wanted: { 'F78 outages that a thousand calls met': 1, [`${kind}: requests`]: crowd },
    timesMs: {
      [`${kind}: answers before`]: after.before,
      [`${kind}: answers after`]: after.after,
      [`${kind}: return until p99 is as before`]: [normalAfterMs],
      [`${kind}: return until the herd is through`]: [doneAt - backAt],
      [`${kind}: payment of the herd`]: timesToKnow(requests),
    },
    found: found.violations,
  };
}

/** @returns whether it came to be so, before nobody would believe it any more */
async function until(isTrue: () => Promise<boolean>): Promise<boolean> {
  const end = monotonicMs() + normalWithinMs;
  while (monotonicMs() < end) {
    if (await isTrue()) return true;
    await sleep(200);
  }
  return false;
}

/** How those fared who were there before. */
function recovery(felt: readonly Exchange[], { wentAt, backAt }: { wentAt: number; backAt: number }) {
  const before = felt
    .slice(steady.atOnce)
    .filter(({ reply }) => reply && reply.at < wentAt)
    .map(tookMs);
  const back = felt.filter(({ invoke }) => invoke.at >= backAt);
  const bound = Math.max(usual.times * quantile(before, 0.99), quantile(before, 0.99) + usual.moreMs);
  const bySecond = Map.groupBy(back, exchange => Math.floor((endOf(exchange) - backAt) / 1_000));
  let lastSlow = -1;
  for (const [second, exchanges] of bySecond) {
    if (quantile(exchanges.map(tookMs), 0.99) > bound) lastSlow = Math.max(lastSlow, second);
  }
  const failedLater = back.filter(exchange => exchange.invoke.at > backAt + firstMs && isFailure(exchange));
  return {
    before,
    after: back.map(tookMs),
    normalAt: backAt + (lastSlow + 1) * 1_000,
    failedLater: failedLater.length,
  };
}

/** Waits that the caller asked for are in it, before the outage as after it. */
function tookMs(exchange: Exchange): number {
  return endOf(exchange) - exchange.invoke.at;
}

/** What is still waited for has taken until now at least. */
function endOf({ reply }: Exchange): number {
  return reply?.at ?? monotonicMs();
}

function isFailure({ reply }: Exchange): boolean {
  return reply?.status == null || reply.status >= 500;
}
