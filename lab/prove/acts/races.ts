import type { Act, ActResult, Stage } from '../act.js';
import type { PaymentAsked } from '../driver-log.js';
import { FetchSender } from '../fetch-sender.js';
import { spell, type Caller } from '../plan.js';
import { Random } from '../random.js';
import { Scribe } from '../scribe.js';
import type { Ended, Request } from '../send.js';
import { Findings } from '../violation.js';
import type { World } from '../world.js';
import { hangUp, sendAtOnce, type OneOfMany } from './same-moment.js';
import { Scene } from './scene.js';

/** Requests under one key, in one race. */
const runners = 100;

interface Race {
  readonly name: string;
  readonly rail: 'ledger' | 'bank';
  readonly apis: 1 | 2;
  /** How many different requests share the key. */
  readonly bodies: number;
  readonly prefer?: string;
}

/** F70 and F71: equal requests at one API, and at two. F72: a hundred different ones. F109: both, within a batch. */
const kinds: readonly Race[] = [
  { name: 'equal at one API, rail ledger', rail: 'ledger', apis: 1, bodies: 1 },
  { name: 'equal at two APIs, rail ledger', rail: 'ledger', apis: 2, bodies: 1 },
  { name: 'equal at one API, rail bank', rail: 'bank', apis: 1, bodies: 1 },
  { name: 'equal at two APIs, rail bank', rail: 'bank', apis: 2, bodies: 1 },
  { name: 'equal at two APIs, rail bank, all wait', rail: 'bank', apis: 2, bodies: 1, prefer: 'wait=20' },
  { name: 'all different at two APIs, rail ledger', rail: 'ledger', apis: 2, bodies: runners },
  { name: 'all different at two APIs, rail bank', rail: 'bank', apis: 2, bodies: runners },
  { name: 'five different at one API, rail ledger', rail: 'ledger', apis: 1, bodies: 5 },
];

const rounds = { gate: 100, long: 1_000 };

/** A crowd is slow, and nothing fails here: with the leases of other acts, some would be taken over meanwhile. */
const unhurried = { LEASE_MS: '20000', BANK_TIMEOUT_MS: '10000', BANK_REQUEST_TIMEOUT_MS: '10000' };

/** Seven digits, which are part of no time and no id: an answer that repeats one has it from the other request. */
const amountFrom = 1_000_000;

/**
 * A hundred requests under one key, in the same moment: one is carried out. The others are told its answer, or that it
 * is under way, or that the key is another's.
 */
export const races: Act = {
  name: 'races',
  about: '100 requests in the same moment under one key, over two APIs',
  perform: stage => Scene.play(stage, unhurried, scene => run(scene, stage)),
};

async function run(scene: Scene, { seed, scale, say }: Stage): Promise<ActResult> {
  const { world } = scene;
  const [alice] = world.callers() as [Caller];
  const scribe = new Scribe(scene.log('races'), 'races');
  const random = Random.of(seed, 'races');
  const patient = new FetchSender([world.doors['api-1'].url, world.doors['api-2'].url], random);
  const found = { once: new Findings('I1'), told: new Findings('I13'), collided: new Findings('I14') };
  const counts: Record<string, number> = {};
  const timesMs: Record<string, number[]> = {};
  for (let nth = 1; nth <= rounds[scale]; nth += 1) {
    const race = kinds[nth % kinds.length] as Race;
    const name = `race-${nth}`;
    const entrants = enter(world, { race, name, alice, random, scribe });
    const { ends, tookMs } = await sendAtOnce(entrants);
    const seen = count(ends);
    judge(found, { race, name, seen });
    // Whoever was told to wait comes to know: any of those that were taken on, asked once more, patiently.
    const first = entrants[Math.max(0, ends.findIndex(isTakenOn))];
    if (first) await patient.send(first.request, first.listener, new AbortController().signal);
    counts[race.name] = (counts[race.name] ?? 0) + 1;
    (timesMs[`race of ${runners}: ${race.name}`] ??= []).push(tookMs);
    if (nth % 25 === 0) say(`${nth} races of ${runners}`);
  }
  hangUp();
  scribe.close();
  const all = { ...counts, races: rounds[scale], ...(await batchesOf(world)) };
  const each = Math.floor(rounds[scale] / kinds.length);
  return scene.judge({
    name: races.name,
    counts: all,
    wanted: {
      races: rounds[scale],
      ...Object.fromEntries(kinds.map(({ name }) => [name, each])),
      'answer 409 collision_detected': each * (runners - 1),
      'answer 409 in_progress': each,
      replay: each * (runners - 1),
      'batches larger than one': rounds[scale],
    },
    timesMs,
    found: Object.values(found).flatMap(({ violations }) => violations),
    shareSucceededMin: 1,
  });
}

interface Entry {
  readonly race: Race;
  readonly name: string;
  readonly alice: Caller;
  readonly random: Random;
  readonly scribe: Scribe;
}

/** Which of the different requests comes first is drawn; so is how each is spelled. */
function enter(world: World, { race, name, alice, random, scribe }: Entry): OneOfMany[] {
  const { apis, bodies, prefer, rail } = race;
  const key = `${name}-key`;
  const from = random.between(0, runners - 1);
  const ports = [world.doors['api-1'].targetPort, world.doors['api-2'].targetPort];
  return Array.from({ length: runners }, (_, index) => {
    const amount = amountFrom + ((from + index) % bodies);
    const params: PaymentAsked = {
      to: 'sam',
      amount,
      currency: 'GBP',
      from: alice.name,
      rail,
      reference: name,
    };
    const others = Array.from({ length: bodies }, (_each, other) => amountFrom + other);
    const notToTell = others.filter(other => other !== amount).map(String);
    const request: Request = {
      apiKey: alice.apiKey,
      method: 'POST',
      path: '/payments',
      key,
      asked: 'pay',
      body: spell(params, random),
      ...(prefer !== undefined && { prefer }),
    };
    const wish = { operation: name, customer: alice.name, key, asked: 'pay' as const, params };
    return {
      request,
      port: ports[index % apis] ?? 0,
      listener: scribe.listen({ ...wish, ...(prefer !== undefined && { prefer }), notToTell }),
    };
  });
}

/** What a crowd was told. */
type Seen = Record<'first' | 'replay' | 'in progress' | 'collision' | 'else', number>;

function count(ends: readonly Ended[]): Seen {
  const seen: Seen = { first: 0, replay: 0, 'in progress': 0, collision: 0, else: 0 };
  for (const end of ends) seen[wordFor(end)] += 1;
  return seen;
}

function wordFor(end: Ended): keyof Seen {
  if (end.kind === 'silence') return 'else';
  const status = end.headers.get('idempotency-status');
  if (isTakenOn(end)) return end.headers.get('idempotent-replayed') === 'true' ? 'replay' : 'first';
  if (end.status !== 409) return 'else';
  return status === 'in_progress' ? 'in progress' : status === 'collision_detected' ? 'collision' : 'else';
}

function isTakenOn(end: Ended): boolean {
  return end.kind === 'answered' && (end.status === 200 || end.status === 202);
}

function judge(
  { once, told, collided }: Record<'once' | 'told' | 'collided', Findings>,
  { race, name, seen }: { race: Race; name: string; seen: Seen },
): void {
  const equal = runners / race.bodies;
  const evidence = { race, seen };
  if (seen.first !== 1) once.add('of a hundred at once, one is carried out', name, evidence);
  if (seen.else > 0) told.add('of a hundred at once, each is told one of four things', name, evidence);
  if (seen.collision !== runners - equal) {
    collided.add('of a hundred at once, all that differ from the first are told so', name, evidence);
  }
  const mayBeTold = race.rail === 'bank' && race.prefer === undefined;
  if (!mayBeTold && seen['in progress'] > 0) {
    told.add('who pays within our books, or waits, is told how it ended', name, evidence);
  }
}

/** Those that the APIs count: requests that shared a transaction. */
async function batchesOf({ doors }: World): Promise<Record<string, number>> {
  let larger = 0;
  for (const { targetPort } of Object.values(doors)) {
    const metrics = await (await fetch(`http://127.0.0.1:${targetPort}/metrics`)).text();
    const [, all = '0'] = /^paysam_batch_size_count\S* (\d+)$/m.exec(metrics) ?? [];
    const [, ones = '0'] = /^paysam_batch_size_bucket\{le="1"\} (\d+)$/m.exec(metrics) ?? [];
    larger += Number(all) - Number(ones);
  }
  return { 'batches larger than one': larger };
}
