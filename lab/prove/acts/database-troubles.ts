import { setTimeout as sleep } from 'node:timers/promises';
import { KillablePostgres } from '../../../test/support/killable-postgres.js';
import type { Act, ActResult, Stage } from '../act.js';
import { monotonicMs } from '../driver-log.js';
import { SmallDisk } from '../small-disk.js';
import { Findings } from '../violation.js';
import { MoneyWatch } from '../watch-money.js';
import { ResourceWatch } from '../watch-resources.js';
import { victims, World } from '../world.js';
import { failOver, failOverWithLoss } from './fail-over.js';
import { endWithinMs, hearWitnesses, sumUp, timeOf, untilQuiet } from './judge.js';
import { startLoad, type Load } from './load.js';

/** How long each trouble lasts, in milliseconds. A silence must outlast the time-outs of world.ts. */
const lasts = { gate: 3_500, long: 30_000 };

/**
 * Latency of a second to five, both ways together, as the catalogue has it; scaled like the time-outs of world.ts, which
 * are a quarter of production's. Half of it each way.
 */
const slowness = { delayMs: 125, jitterMs: 500, sliceBytes: Infinity };

/** The database is away, silent, slow, full, or somewhere else: one scenario each, and everything ends well after it. */
export const databaseTroubles: Act = {
  name: 'database-troubles',
  about: 'the database is away, silent, slow, full, or replaced by its standby',
  perform,
};

async function perform(stage: Stage): Promise<ActResult> {
  const results = [
    await troubleOneAfterTheOther(stage),
    await failOver(databaseTroubles.name, stage),
    await failOverWithLoss(databaseTroubles.name, stage),
  ];
  return results.reduce(added);
}

function added(one: ActResult, other: ActResult): ActResult {
  const counts = { ...one.counts };
  for (const [what, times] of Object.entries(other.counts)) counts[what] = (counts[what] ?? 0) + times;
  return {
    name: one.name,
    violations: [...one.violations, ...other.violations],
    operations: one.operations + other.operations,
    requests: one.requests + other.requests,
    counts,
    wanted: { ...one.wanted, ...other.wanted },
    timesMs: { ...one.timesMs, ...other.timesMs },
  };
}

interface Scene {
  readonly world: World;
  /** Callers of the API that stays well. */
  readonly elsewhere: Load;
  readonly disk: SmallDisk | undefined;
  readonly lastsMs: number;
  /** What no checker of the witnesses can see. */
  readonly found: Findings;
  readonly seen: Record<string, number>;
}

/** In one world, one after the other; each begins when payments go on again after the one before. */
const troubles: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'F28 refused': refused,
  'F32 silence': silent,
  'F33 latency': slow,
  'F40 disk full': full,
};

async function troubleOneAfterTheOther({ seed, scale, say }: Stage): Promise<ActResult> {
  const disk = SmallDisk.mount();
  const world = await World.create(disk && { postgres: await KillablePostgres.create(disk.folder) });
  const load = startLoad(world, seed);
  // Who only knows the API that goes on working: the others all end up waiting for the one that does not.
  const elsewhere = startLoad(world, seed, { name: 'd2', atOnce: 4, urls: [world.doors['api-2'].url] });
  const money = new MoneyWatch(world.postgres.url, world.bankAddress);
  const resources = new ResourceWatch(world.postgres.url, () => world.pids());
  const found = new Findings('I13');
  const seen: Record<string, number> = {};
  const timesMs: Record<string, number[]> = {};
  try {
    await load.untilPaid(endWithinMs);
    await untilConnected(world);
    for (const [name, trouble] of Object.entries(troubles)) {
      say(name);
      await trouble({ world, elsewhere, disk, found, seen, lastsMs: lasts[scale] });
      const healedAt = performance.now();
      const isPaid = await load.untilPaid(endWithinMs);
      if (!isPaid) found.add('payments go on when the database does', name, {});
      timesMs[`${name}, until the first payment after it`] = [performance.now() - healedAt];
    }
    await world.heal(victims);
    const healedAt = await timeOf(world.postgres.sql);
    await Promise.all([load, elsewhere].map(each => each.drain(2 * endWithinMs)));
    await untilQuiet(world.postgres.sql);
    const witnesses = await hearWitnesses({
      databaseUrl: world.postgres.url,
      bank: world.bankAddress,
      logs: [load.log, elsewhere.log],
      healedAt,
      money: await money.stop(),
      samples: await resources.stop(),
      seen,
      wanted: {
        'F28 looks at health while refused': 10,
        'F32 silence': 1,
        'F32 payments of the other API meanwhile': 1,
        'F33 latency': 1,
        ...(disk && { 'F40 disk full': 1 }),
        'answer 503 unavailable': 10,
      },
    });
    return sumUp(databaseTroubles.name, witnesses, { more: found.violations, timesMs });
  } finally {
    load.kill();
    elsewhere.kill();
    await Promise.all([money.stop(), resources.stop()]);
    disk?.free();
    await world.stop();
    disk?.unmount();
  }
}

/** A worker that starts without a database ends, and rightly: it has to be up before anything goes wrong. */
async function untilConnected({ postgres }: World): Promise<void> {
  const connected =
    "SELECT FROM pg_stat_activity WHERE application_name = 'worker' AND query LIKE '%idempotency_keys%'";
  for (const until = Date.now() + endWithinMs; Date.now() < until;) {
    if ((await postgres.sql(connected)).length > 0) return;
    await sleep(50);
  }
  throw new Error('the workers did not get ready');
}

/** F28: nobody listens. The API lives and says so, is not ready and says so, and is not started again. */
async function refused({ world, lastsMs, found, seen }: Scene): Promise<void> {
  const pids = [...world.pids().values()].join();
  await world.postgres.shutDown('SIGINT');
  for (const until = monotonicMs() + lastsMs; monotonicMs() < until;) {
    await lookAtHealth(world, { found, seen });
    await sleep(50);
  }
  await world.postgres.start();
  const hasDied = victims.some(victim => world.hasDied(victim));
  if (hasDied || [...world.pids().values()].join() !== pids) {
    const dead = victims.filter(victim => world.hasDied(victim));
    found.add('nobody dies because the database is away', 'F28', { pids, dead });
  }
}

async function lookAtHealth({ doors }: World, { found, seen }: Pick<Scene, 'found' | 'seen'>): Promise<void> {
  for (const [name, { url }] of Object.entries(doors)) {
    const [live, ready] = await Promise.all(
      ['live', 'ready'].map(async which => (await fetch(`${url}/health/${which}`)).status),
    );
    if (live !== 200) found.add('a process without its database is alive', name, { live });
    if (ready !== 503) found.add('a process without its database is not ready', name, { ready });
    seen['F28 looks at health while refused'] = (seen['F28 looks at health while refused'] ?? 0) + 1;
  }
}

/** F32: to one API and the workers nothing is said any more, not even that the connection is gone. */
async function silent({ world, elsewhere, lastsMs, found, seen }: Scene): Promise<void> {
  const links = [world.databaseLinks['api-1'], world.databaseLinks.worker];
  for (const link of links) link.goSilent();
  // What was on its way to the caller is through by then.
  await sleep(lastsMs / 4);
  // What the silent one had locked stays so until the database ends its transaction: as long as a statement may take.
  const isPaid = await elsewhere.untilPaid(lastsMs);
  if (isPaid) seen['F32 payments of the other API meanwhile'] = 1;
  const ready = await fetch(`${world.doors['api-1'].url}/health/ready`);
  if (ready.status !== 503)
    found.add('a process that hears nothing is not ready', 'api-1', { status: ready.status });
  for (const link of links) await link.heal();
  seen['F32 silence'] = 1;
}

/** F33: every answer of the database takes its time, and no two the same. */
async function slow({ world, lastsMs, seen }: Scene): Promise<void> {
  for (const link of Object.values(world.databaseLinks)) {
    link.slowDown(slowness);
  }
  await sleep(lastsMs);
  for (const link of Object.values(world.databaseLinks)) await link.heal();
  seen['F33 latency'] = 1;
}

/** F40: on a disk of its own. Where none can be had, it is not tested, and counted as that. */
async function full({ world, disk, lastsMs, seen }: Scene): Promise<void> {
  if (!disk) {
    seen['F40 disk full: NOT TESTED, no small disk can be mounted here'] = 1;
    return;
  }
  const { postgres } = world;
  disk.fill();
  for (const until = monotonicMs() + lastsMs; monotonicMs() < until;) {
    // A table of the harness, so that it is known what the server says, and not only what the API makes of it.
    const why = await postgres.sql(writeALot).then(() => undefined, sqlState);
    const name =
      why === diskFull ? 'F40 disk full' : why === undefined ? undefined : 'F40 server down on a full disk';
    if (name !== undefined) seen[name] = (seen[name] ?? 0) + 1;
    await sleep(100);
  }
  disk.free();
  // It stays up while only tables want room. Without room for its log it gives up, and is started again by whoever
  // runs it: here, that is us.
  if (postgres.isDown) await postgres.start();
}

const diskFull = '53100';

const writeALot =
  'CREATE TEMPORARY TABLE written AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 2000) AS n';

function sqlState(error: unknown): string {
  return (error as { code?: string }).code ?? 'lost';
}
