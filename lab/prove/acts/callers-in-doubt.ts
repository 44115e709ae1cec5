import { setTimeout as sleep } from 'node:timers/promises';
import { headerOf } from '../../../test/support/wire.js';
import type { Stage } from '../act.js';
import { ClientSender, type ClientSenderOptions } from '../client-sender.js';
import { readDriverLogs } from '../driver-log.js';
import { FetchSender } from '../fetch-sender.js';
import type { Caller } from '../plan.js';
import { Random } from '../random.js';
import { Scribe } from '../scribe.js';
import type { Ended } from '../send.js';
import { Findings } from '../violation.js';
import { LateDoor } from './late-door.js';
import { TcpProxy } from '../tcp-proxy.js';
import type { Part } from './part.js';
import type { Scene } from './scene.js';

/** How often each of them happens. */
const times = {
  gate: { lost: 1_000, impatient: 20, late: 20 },
  long: { lost: 27_500, impatient: 200, late: 100 },
};

/** Callers of each API who lose something side by side, each on a road of its own. */
const losersPerApi = 4;

/** How long an attempt is kept on its way, in milliseconds: longer than the stored answer, so that it is rebuilt. */
const heldMs = { gate: 3_000, long: 30_000 };

/** Longer than an impatient caller waits for an answer, and shorter than the API waits for the bank. */
const bankTakesMs = 800;
const impatientMs = 400;

/** Nothing that is sent or answered here has fewer bytes, headers and all. */
const bytesMin = { request: 400, answer: 700 };

/** Those who lose something are many, one after the other: their first wait is short, in milliseconds. */
const hasty = { backoff: { baseMs: 10 } };

/** Payments through the published client, one after the other or many at once, with a log of their own. */
class Payer {
  readonly sender: ClientSender;
  private readonly scribe: Scribe;
  private readonly alice: Caller;
  private begun = 0;

  constructor(
    scene: Scene,
    private readonly name: string,
    options: ClientSenderOptions,
  ) {
    [this.alice] = scene.world.callers() as [Caller];
    this.scribe = new Scribe(scene.log(name), name);
    this.sender = new ClientSender(options, new FetchSender(options.urls, new Random(name)));
  }

  pay(rail: 'ledger' | 'bank'): Promise<Ended | null> {
    const { apiKey, name: from } = this.alice;
    const operation = `${this.name}-${(this.begun += 1)}`;
    const params = { to: 'sam', amount: 1_000, currency: 'GBP', from, rail, reference: operation };
    const [key, asked] = [`key-${operation}`, 'pay'] as const;
    return this.sender.send(
      { apiKey, key, asked, method: 'POST', path: '/payments', body: JSON.stringify(params) },
      this.scribe.listen({ operation, customer: from, key, asked, params }),
      new AbortController().signal,
    );
  }
}

const rails = ['ledger', 'bank'] as const;

/** F67: the work is done and the answer is lost, anywhere between its first byte and its last. */
export function answersLost(scene: Scene, stage: Stage): Promise<Part> {
  return lose(scene, stage, {
    what: 'F67 answers lost',
    counter: 'cut',
    cut: (road, random) => {
      road.cutAnswerAfter(random.between(0, bytesMin.answer));
    },
    check: (end, found, operation) => {
      if (!isReplay(end)) found.add('who lost an answer is given it again', operation, { end });
    },
  });
}

/** F68: the request is lost, anywhere between its first byte and its last; what came through is no request. */
export function requestsLost(scene: Scene, stage: Stage): Promise<Part> {
  return lose(scene, stage, {
    what: 'F68 requests lost',
    counter: 'request cut',
    cut: (road, random) => {
      road.cutRequestAfter(random.between(0, bytesMin.request));
    },
    check: (end, found, operation) => {
      if (isReplay(end)) found.add('half a request has no answer to be given again', operation, { end });
    },
  });
}

interface Loss {
  readonly what: string;
  /** How the road counts it. */
  readonly counter: string;
  readonly cut: (road: TcpProxy, random: Random) => void;
  readonly check: (end: Ended | null, found: Findings, operation: string) => void;
}

/** A payment for each cut, one after the other on each road. */
async function lose(
  scene: Scene,
  { scale, seed }: Stage,
  { check, counter, cut, what }: Loss,
): Promise<Part> {
  const found = new Findings('I3');
  const losers = Object.entries(scene.world.doors).flatMap(([api, { targetPort }]) =>
    Array.from({ length: losersPerApi }, (_, nth) => ({ name: `${api}-${nth + 1}`, targetPort })),
  );
  const lanes = losers.map(async ({ name, targetPort }) => {
    const road = await TcpProxy.start(targetPort);
    const payer = new Payer(scene, `${counter.replace(' ', '-')}-${name}`, {
      urls: [road.url],
      client: hasty,
    });
    const random = Random.of(seed, what, name);
    for (let nth = 0; nth < times[scale].lost / losers.length; nth += 1) {
      cut(road, random);
      check(await payer.pay(random.one(rails)), found, `${what}, ${name}, ${nth + 1}`);
    }
    road.stop();
    return road.struck[counter] ?? 0;
  });
  const lost = (await Promise.all(lanes)).reduce((sum, each) => sum + each, 0);
  return {
    counts: { [what]: lost },
    wanted: { [what]: times[scale].lost },
    timesMs: {},
    found: found.violations,
  };
}

/** F79: the client has hung up before the bank answers the API, and asks again and again what became of it. */
export async function impatience(scene: Scene, { scale }: Stage): Promise<Part> {
  const { bank, doors } = scene.world;
  const client = { attemptTimeoutMs: impatientMs };
  const urls = [doors['api-1'].url, doors['api-2'].url];
  const payer = new Payer(scene, 'impatient', { urls, client });
  const all = times[scale].impatient;
  await bank.control('POST', '/faults', { kind: 'slow', times: all, delay_ms: bankTakesMs, method: 'PUT' });
  await Promise.all(Array.from({ length: all }, () => payer.pay('bank')));
  await bank.control('DELETE', '/faults');
  const log = await readDriverLogs([scene.log('impatient')]);
  const gaveUp = log.filter(({ reply }) => reply?.status === null).length;
  return {
    counts: { 'F79 attempts given up before the bank had answered': gaveUp },
    wanted: { 'F79 attempts given up before the bank had answered': all / 2 },
    timesMs: {},
    found: [],
  };
}

/** F76: the first attempt is held on its way, and arrives when the second has long been answered. */
export async function lateAttempts(scene: Scene, { scale }: Stage): Promise<Part> {
  const { doors } = scene.world;
  const late = await LateDoor.open();
  // One attempt in two is held, and tried again elsewhere when its time is over.
  const urls = [doors['api-2'].url, late.url];
  const payer = new Payer(scene, 'late', { urls, client: { attemptTimeoutMs: 1_000 } });
  const all = Array.from({ length: times[scale].late }, (_, nth) => payer.pay(rails[nth % 2] ?? 'bank'));
  const ends = await Promise.all(all);
  await sleep(heldMs[scale]);
  const answers = await late.deliver(doors['api-1'].targetPort);
  late.close();

  const told = new Set(ends.map(end => (end?.kind === 'answered' ? `${end.status} ${end.text}` : '')));
  const found = new Findings('I3');
  for (const answer of answers) {
    const isSame = answer !== undefined && told.has(`${answer.status} ${answer.body}`);
    if (!isSame || headerOf(answer, 'idempotent-replayed') !== 'true') {
      found.add('an attempt that arrives late is given the first answer', 'late', { answer });
    }
  }
  return {
    counts: { 'F76 attempts that arrived late': answers.length },
    wanted: { 'F76 attempts that arrived late': times[scale].late / 2 },
    timesMs: {},
    found: found.violations,
  };
}

function isReplay(end: Ended | null): boolean {
  return end?.kind === 'answered' && end.headers.get('idempotent-replayed') === 'true';
}
