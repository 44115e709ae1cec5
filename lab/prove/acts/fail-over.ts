import { setTimeout as sleep } from 'node:timers/promises';
import { KillablePostgres } from '../../../test/support/killable-postgres.js';
import type { ActResult, Stage } from '../act.js';
import { checkEverything } from '../checkers/every-checker.js';
import { readDatabase } from '../database-witness.js';
import { TcpProxy } from '../tcp-proxy.js';
import { Findings } from '../violation.js';
import { MoneyWatch } from '../watch-money.js';
import { ResourceWatch } from '../watch-resources.js';
import { victims, World } from '../world.js';
import { endWithinMs, hearWitnesses, sumUp, timeOf, untilQuiet, type Course } from './judge.js';
import { startLoad, type Load } from './load.js';
import { findLost, judgeLoss, reconcile } from './lost-tail.js';

/** Under load before the fail-over, and with the standby cut off: milliseconds. */
const lasts = { gate: 1_000, long: 10_000 };

/** Bank payments that a tail should at least have: one would do, if one could be sure that it was told. */
const tailMin = 3;

/** A primary, and the standby that takes its place. */
interface Pair {
  readonly primary: KillablePostgres;
  readonly standby: KillablePostgres;
  /** The way from one to the other. */
  readonly replication: TcpProxy;
  readonly world: World;
  readonly load: Load;
  /** Of the primary, until it is no longer one. */
  readonly money: MoneyWatch;
  readonly seen: Record<string, number>;
}

/**
 * F26, fail-over to a synchronous standby: nothing is lost. The old server stays up and turns read-only, so that
 * nothing but its own complaint (25006) tells the pools to let go of it.
 */
export function failOver(act: string, { seed, scale, say }: Stage): Promise<ActResult> {
  return withStandby(seed, async pair => {
    const { primary, standby, world, load, seen } = pair;
    say('F26 fail-over');
    // From here on a COMMIT is answered when the standby has it, too.
    await primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    await primary.sql('SELECT pg_reload_conf()');
    await load.untilPaid(endWithinMs);
    await sleep(lasts[scale]);
    const money = await pair.money.stop();

    await primary.sql('ALTER SYSTEM SET default_transaction_read_only = on');
    await primary.sql('SELECT pg_reload_conf()');
    await promote(pair);
    const switchedAt = performance.now();
    const found = new Findings('I11');
    if (await load.untilPaid(endWithinMs)) seen['F26 paid after the fail-over'] = 1;
    const paidAt = performance.now();
    await untilLeft(primary, found);
    const leftAt = performance.now();
    await primary.shutDown('SIGQUIT');
    const resources = new ResourceWatch(standby.url, () => world.pids());
    await load.untilPaid(endWithinMs);

    const course = await settle(pair, { 'F26 paid after the fail-over': 1 });
    const samples = await resources.stop();
    const witnesses = await hearWitnesses({ ...course, money, samples });
    return sumUp(act, witnesses, {
      more: found.violations,
      timesMs: {
        'F26, until the first payment': [paidAt - switchedAt],
        'F26, until nothing leads to the old server any more': [leftAt - switchedAt],
      },
    });
  });
}

/**
 * F27, fail-over to an asynchronous standby that has fallen behind: its tail is lost, acknowledged payments among it.
 * No API can prevent that. What is promised: the reconciler names every charge that our books have forgotten, and
 * whatever was not in the tail is as if nothing had happened.
 */
export function failOverWithLoss(act: string, { seed, scale, say }: Stage): Promise<ActResult> {
  return withStandby(seed, async pair => {
    const { primary, replication, standby, world, load } = pair;
    say('F27 fail-over with a loss');
    await load.untilPaid(endWithinMs);
    await sleep(lasts[scale]);
    const money = await pair.money.stop();

    replication.refuse();
    replication.resetAll();
    const since = await timeOf(primary.sql);
    await sleep(lasts[scale]);
    await untilTail(primary, since);
    await primary.kill();
    await promote(pair);
    const promotedAt = performance.now();
    await load.untilPaid(endWithinMs);
    const paidAt = performance.now();
    await sleep(lasts[scale]);

    const course = await settle(pair, {
      'F27 payments lost': 1,
      'F27 charges lost, and named by the reconciler': 1,
    });
    const witnesses = await hearWitnesses({ ...course, money, samples: [] });
    // Nobody but us reaches it any more: it tells what the tail was.
    await primary.start();
    const lost = findLost(await readDatabase(primary.url), witnesses.database);
    const named = await reconcile(standby.url, world.bank.env);
    const loss = judgeLoss(witnesses, lost, named);
    Object.assign(pair.seen, loss.counts);
    return sumUp(act, witnesses, {
      // About what was lost, checkers are right, and nobody to blame. About anything else they are as strict as ever.
      violations: checkEverything(witnesses).filter(violation => !lost.isAbout(violation)),
      more: loss.violations,
      timesMs: { 'F27, until the first payment': [paidAt - promotedAt] },
    });
  });
}

async function withStandby(seed: number, work: (pair: Pair) => Promise<ActResult>): Promise<ActResult> {
  const primary = await KillablePostgres.create();
  const replication = await TcpProxy.start(Number(new URL(primary.url).port));
  const standby = await primary.makeStandby(new URL(replication.url).port);
  const world = await World.create({ postgres: primary });
  // Whoever sends no keys is known by what he asks for; a lost tail is told by its keys.
  const callers = world.callers().filter(({ isKeyless }) => isKeyless !== true);
  const load = startLoad(world, seed, { callers });
  const money = new MoneyWatch(primary.url, world.bankAddress);
  try {
    return await work({ primary, standby, replication, world, load, money, seen: {} });
  } finally {
    load.kill();
    await money.stop();
    await world.stop();
    await standby.stop();
    replication.stop();
  }
}

/** Until something is there to be lost: payments through the bank that callers were told of. A slow machine takes long. */
async function untilTail(primary: KillablePostgres, since: number): Promise<void> {
  const tail = `
    SELECT FROM payments
     WHERE rail = 'bank' AND status = 'succeeded' AND created_at > to_timestamp($1::float8 / 1000)`;
  for (const until = Date.now() + endWithinMs; Date.now() < until;) {
    if ((await primary.sql(tail, [since])).length >= tailMin) return;
    await sleep(50);
  }
}

/** The standby writes from here on, and new connections lead to it. Those that stand are not touched. */
async function promote({ standby, world }: Pair): Promise<void> {
  await standby.sql('SELECT pg_promote()');
  for (const link of Object.values(world.databaseLinks)) link.pointTo(standby.url);
}

/**
 * Until no process of ours has a connection to a server that it cannot write to. A COMMIT that waits there for a standby
 * which is none any more does not notice that its caller has hung up: that one is not in anybody's pool.
 */
async function untilLeft(primary: KillablePostgres, found: Findings): Promise<void> {
  const connected = `
    SELECT application_name, state, query FROM pg_stat_activity
     WHERE application_name = ANY ($1) AND wait_event IS DISTINCT FROM 'SyncRep'`;
  const until = Date.now() + endWithinMs;
  for (;;) {
    const left = await primary.sql(connected, [victims]);
    if (left.length === 0) return;
    if (Date.now() > until) {
      found.add('a pool lets go of a server that turned read-only', 'F26', { left });
      return;
    }
    await sleep(50);
  }
}

async function settle(
  { standby, world, load, seen }: Pair,
  wanted: Course['wanted'],
): Promise<Omit<Course, 'money' | 'samples'>> {
  await world.heal(victims);
  const healedAt = await timeOf(standby.sql);
  await load.drain(2 * endWithinMs);
  await untilQuiet(standby.sql);
  return {
    databaseUrl: standby.url,
    bank: world.bankAddress,
    logs: [load.log],
    healedAt,
    seen,
    wanted,
  };
}
