import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../../test/support/database.js';
import type { KillablePostgres } from '../../../test/support/killable-postgres.js';
import type { Act, ActResult, Stage } from '../act.js';
import { monotonicMs } from '../driver-log.js';
import { definitiveAnswers, join, mayChange } from '../joined.js';
import { Random } from '../random.js';
import { Findings } from '../violation.js';
import { MoneyWatch } from '../watch-money.js';
import { ResourceWatch } from '../watch-resources.js';
import type { Witnesses } from '../witnesses.js';
import { victims, World } from '../world.js';
import { endWithinMs, hearWitnesses, sumUp, timeOf, untilQuiet } from './judge.js';
import { startLoad } from './load.js';

/** How often PostgreSQL is struck, and how. The rows of the fault catalogue are F22 to F25. */
const blows = {
  'F22 kill all of PostgreSQL': { gate: 100, long: 1_000 },
  'F23 kill one backend': { gate: 5, long: 100 },
  'F24 fast shutdown': { gate: 5, long: 100 },
  'F25 immediate shutdown in a checkpoint': { gate: 5, long: 100 },
} as const;

type Blow = keyof typeof blows;

/** How long callers are served in between, in milliseconds: transactions are to be met at any of their points. */
const restMs = { least: 20, most: 120 };

interface Struck {
  readonly blow: Blow;
  /** By the clock of the driver's log, and by that of the database. Both are this machine's. */
  readonly at: number;
  readonly atEpoch: number;
  /** Milliseconds until the server could be asked something: what is left until a payment is ours. */
  readonly backAfterMs?: number;
}

/**
 * PostgreSQL dies again and again under the load of both rails: all of its processes at once, one of them, on request,
 * and at once in a checkpoint. The APIs live on, and their callers are owed all they were told.
 *
 * The page cache survives: this says nothing about a machine that loses power.
 */
export const postgresKills: Act = {
  name: 'postgres-kills',
  about: 'PostgreSQL is killed under load',
  perform,
};

async function perform({ seed, scale, say }: Stage): Promise<ActResult> {
  const random = Random.of(seed, 'postgres-kills');
  const planned = drawBlows(random, scale);
  const world = await World.create();
  // Many, and patient: whenever the server is back, somebody is about to try.
  const load = startLoad(world, seed, { atOnce: 32, thinkMs: 60 });
  const money = new MoneyWatch(world.postgres.url, world.bankAddress);
  const resources = new ResourceWatch(world.postgres.url, () => world.pids());
  const found = new Findings('I5');
  try {
    await load.untilPaid(endWithinMs);
    const struck: Struck[] = [];
    const seen: Record<string, number> = {};
    for (const blow of planned) {
      await sleep(random.between(restMs.least, restMs.most));
      const struckNow = await strike(world, blow);
      struck.push(struckNow);
      seen[blow] = (seen[blow] ?? 0) + 1;
      if (!(await load.untilPaid(endWithinMs))) found.add('payments go on', blow, { struckNow });
      if (struck.length % 50 === 0) say(`${struck.length} of ${planned.length} blows`);
    }
    await world.heal(victims);
    const healedAt = await timeOf(world.postgres.sql);
    await load.drain(2 * endWithinMs);
    await untilQuiet(world.postgres.sql);
    const witnesses = await hearWitnesses({
      databaseUrl: world.postgres.url,
      bank: world.bankAddress,
      logs: [load.log],
      healedAt,
      money: await money.stop(),
      samples: await resources.stop(),
      seen: { ...seen, ...(await repeatsOf(world)) },
      wanted: { ...wantedOf(scale), 'batches repeated': 10, 'answer 200': planned.length },
    });
    const result = sumUp(postgresKills.name, witnesses, {
      more: found.violations,
      timesMs: firstSuccesses(witnesses, struck),
    });
    return { ...result, counts: { ...result.counts, ...countAcknowledged(witnesses) } };
  } finally {
    load.kill();
    await Promise.all([money.stop(), resources.stop()]);
    await world.stop();
  }
}

function wantedOf(scale: Stage['scale']): Record<string, number> {
  return Object.fromEntries(Object.entries(blows).map(([blow, times]) => [blow, times[scale]]));
}

function drawBlows(random: Random, scale: Stage['scale']): Blow[] {
  return Object.entries(wantedOf(scale))
    .flatMap(([blow, times]) => Array.from({ length: times }, () => ({ blow, place: random.next() })))
    .sort((one, other) => one.place - other.place)
    .map(({ blow }) => blow as Blow);
}

/** Resolves when the server answers again. */
async function strike({ postgres }: World, blow: Blow): Promise<Struck> {
  const now = (): Struck => ({ blow, at: monotonicMs(), atEpoch: Date.now() });
  let struck = now();
  switch (blow) {
    case 'F22 kill all of PostgreSQL':
      await postgres.kill();
      break;
    case 'F23 kill one backend':
      return killOneBackend(postgres, now);
    case 'F24 fast shutdown':
      await postgres.shutDown('SIGINT');
      break;
    case 'F25 immediate shutdown in a checkpoint':
      struck = await shutDownInCheckpoint(postgres, now);
      break;
  }
  await postgres.start();
  return { ...struck, backAfterMs: monotonicMs() - struck.at };
}

/** The postmaster ends all others, and starts anew by itself. It is over when a bystander was cut off as well. */
async function killOneBackend(postgres: KillablePostgres, now: () => Struck): Promise<Struck> {
  const bystander = await connect(postgres.url);
  const struck = now();
  await postgres.killOneBackend();
  await bystander.sql('SELECT pg_sleep(60)').catch(() => undefined);
  while (
    !(await postgres.sql('SELECT').then(
      () => true,
      () => false,
    ))
  )
    await sleep(10);
  return struck;
}

/** @throws Error when no checkpoint can be caught under way: it would have proved something else */
async function shutDownInCheckpoint(postgres: KillablePostgres, now: () => Struck): Promise<Struck> {
  for (let tries = 0; tries < 20; tries += 1) {
    const operator = await connect(postgres.url);
    const checkpoint = operator.sql('CHECKPOINT').then(
      () => true,
      () => false,
    );
    await sleep(1);
    const struck = now();
    await postgres.shutDown('SIGQUIT');
    if (!(await checkpoint)) return struck;
    await postgres.start();
  }
  throw new Error('every checkpoint was over within a millisecond');
}

/**
 * From each blow until somebody held the first answer to a payment that was committed after it. A payment that had
 * been committed before, and was only told after, does not count: our books say when it was.
 */
function firstSuccesses(witnesses: Witnesses, struck: readonly Struck[]): Record<string, number[]> {
  const joined = join(witnesses);
  const paid = witnesses.log
    .filter(({ reply }) => reply?.status === 200 && reply.headers['idempotency-status'] === 'completed')
    .map(exchange => {
      const history = joined.history.get(joined.ownerOf(exchange) ?? '') ?? [];
      const end = history.find(({ recoveryPoint }) => recoveryPoint === 'finished');
      return { toldAt: exchange.reply?.at ?? 0, committedAt: end?.at ?? 0 };
    })
    .sort((one, other) => one.toldAt - other.toldAt);
  const times: Record<string, number[]> = {};
  for (const { at, atEpoch, backAfterMs, blow } of struck) {
    if (backAfterMs !== undefined) (times[`${blow}, until the server answers`] ??= []).push(backAfterMs);
    const first = paid.find(({ toldAt, committedAt }) => toldAt > at && committedAt > atEpoch);
    if (first) (times[`${blow}, until the first payment`] ??= []).push(first.toldAt - at);
  }
  return times;
}

/** How much was at stake: what was acknowledged, and what was done although its caller was told nothing certain. */
function countAcknowledged(witnesses: Witnesses): Record<string, number> {
  const joined = join(witnesses);
  const epochAtZero = Date.now() - monotonicMs();
  let [acknowledged, unknown, committed] = [0, 0, 0];
  for (const exchange of witnesses.log) {
    acknowledged += definitiveAnswers(exchange).length;
    const { invoke, reply } = exchange;
    const isUncertain = reply?.kind === 'unknown' && (reply.status === null || reply.status >= 500);
    if (!isUncertain || !mayChange(exchange)) continue;
    unknown += 1;
    const claim = joined.history.get(joined.ownerOf(exchange) ?? '')?.[0];
    const [from, to] = [invoke.at + epochAtZero, reply.at + epochAtZero];
    if (claim && claim.at >= from && claim.at <= to) committed += 1;
  }
  return {
    'definitive answers': acknowledged,
    'unknown outcomes told to callers': unknown,
    'of these, committed all the same': committed,
  };
}

/** What callers never saw: batches that were carried out again, by the APIs' own count. */
async function repeatsOf({ doors }: World): Promise<Record<string, number>> {
  let repeats = 0;
  for (const { url } of Object.values(doors)) {
    const text = await (await fetch(`${url}/metrics`)).text();
    repeats += Number(/^paysam_batch_repeats_total(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? 0);
  }
  return { 'batches repeated': repeats };
}
