import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Act, ActResult, Stage } from '../act.js';
import { readDriverLogs } from '../driver-log.js';
import { Findings } from '../violation.js';
import { endWithinMs } from './judge.js';
import { ReadyDoor } from './ready-door.js';
import { Scene } from './scene.js';
import { timesToKnow } from './times.js';

const restarts = { gate: 20, long: 200 };

/** Of them, each so manieth meets a bank that does not answer (F18). */
const hangsEvery = 4;

/** The grace time, in milliseconds: by then a process that was told to stop has stopped. Half of it is for the bank. */
const graceMs = 4_000;

/** For the system, to end a process and tell of it, on a machine that has other things to do. */
const leewayMs = 1_000;

/**
 * Longer than a process that stops will wait for the bank: it gives back what it holds, and somebody else goes on. Longer
 * than grace and leeway together, too: whoever waited for the bank after all would be found out.
 */
const bankHangsMs = 5_500;

const leaseMs = 7_500;

const settings = {
  SHUTDOWN_GRACE_MS: String(graceMs),
  BANK_REQUEST_TIMEOUT_MS: '6500',
  BANK_TIMEOUT_MS: '6500',
  LEASE_MS: String(leaseMs),
};

/**
 * A new release, again and again: one API after the other is told to stop while payments go on, all of them through the
 * published client and one door. No call of it may fail: it may be answered late, or by the other API.
 */
export const rollingRestarts: Act = {
  name: 'rolling-restarts',
  about: 'SIGTERM to one API after the other under steady load, through the published client',
  waits: true,
  perform: stage => Scene.play(stage, settings, scene => run(scene, stage)),
};

async function run(scene: Scene, { seed, scale, say }: Stage): Promise<ActResult> {
  const { world } = scene;
  const apis = ['api-1', 'api-2'] as const;
  const door = await ReadyDoor.open(() => apis.map(api => world.doors[api].targetPort));
  const driver = scene.drive({
    name: 'steady',
    seed,
    urls: [door.url],
    callers: world.callers().filter(({ isKeyless }) => isKeyless !== true),
    sender: 'client',
    journal: join(world.folder, 'journal'),
    justPayments: true,
    atOnce: 16,
    thinkMs: 100,
  });
  const found = new Findings('I13');
  const stops: { tookMs: number; hangs: boolean }[] = [];
  await sleep(1_000);
  for (let nth = 1; nth <= restarts[scale]; nth += 1) {
    const api = apis[nth % 2] as (typeof apis)[number];
    const hangs = nth % hangsEvery === 0;
    if (hangs) {
      const plan = { kind: 'slow', times: 40, delay_ms: bankHangsMs };
      await world.bank.control('POST', '/faults', plan);
      await sleep(200);
    }
    const began = performance.now();
    const exit = await world.terminate(api);
    const tookMs = performance.now() - began;
    stops.push({ tookMs, hangs });
    if (exit.code !== 0 || tookMs > graceMs + leewayMs) {
      found.add('a process that is told to stop has stopped within its grace time', api, {
        nth,
        exit,
        tookMs,
      });
    }
    await world.bank.control('DELETE', '/faults');
    await world.start(api);
    await door.untilReady(world.doors[api].targetPort);
    if (nth % 5 === 0) say(`${nth} restarts`);
  }
  driver.stop();
  const { calls } = await driver.ended(45_000);
  const { refusals } = door;
  door.close();
  const { answered = 0, refused = 0, unknown = 0, not_sent: notSent = 0 } = calls;
  const failed = unknown + notSent;
  if (failed > 0) found.add('no client call fails because an API is restarted', 'the client', { calls });
  const log = await readDriverLogs([scene.log('steady')]);
  // The database is well all the time, and so is whoever was let in. A client would hide this by trying again.
  const turnedAway = log.filter(({ reply }) => (reply?.status ?? 0) >= 500);
  for (const { invoke, reply } of turnedAway) {
    found.add('a request that got in is answered, also by a process that stops', invoke.exchange, { reply });
  }
  return scene.judge({
    name: rollingRestarts.name,
    counts: {
      'rolling restarts': stops.length,
      'stops that had to give a bank call back': stops.filter(
        ({ hangs, tookMs }) => hangs && tookMs > graceMs / 2,
      ).length,
      'client calls': answered + refused + failed,
      'client calls that failed': failed,
      'attempts that were answered 5xx': turnedAway.length,
      'attempts that were cut off': log.filter(({ reply }) => reply?.status === null).length,
      'connections that the door sent elsewhere': refusals,
    },
    wanted: {
      'rolling restarts': restarts[scale],
      'stops that had to give a bank call back': Math.floor(restarts[scale] / hangsEvery / 2),
      'client calls': restarts[scale] * 10,
    },
    timesMs: {
      'SIGTERM to exit': stops.filter(({ hangs }) => !hangs).map(({ tookMs }) => tookMs),
      'SIGTERM to exit, the bank hangs': stops.filter(({ hangs }) => hangs).map(({ tookMs }) => tookMs),
      'payment during rolling restarts': timesToKnow(log),
    },
    found: found.violations,
    shareSucceededMin: 0.5,
    // Whoever is cut off in a call to the bank that hangs may wait for a lease, and meet such a call again.
    endWithinMs: endWithinMs + 2 * leaseMs,
  });
}
