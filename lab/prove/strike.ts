import { setTimeout as sleep } from 'node:timers/promises';
import { fast, type Slowness } from '../../test/support/slow-line.js';
import type { Fault, Reborn } from './fault.js';
import { victims, type Special, type Victim, type World } from './world.js';

/** Makes it go wrong, and, where that does not happen by itself, right again. Resolves when it is over. */
export async function strike(world: World, fault: Fault): Promise<void> {
  const { bank, bankLink, databaseLinks, doors, postgres } = world;
  switch (fault.kind) {
    case 'kill':
      await world.kill(fault.victim);
      await beBorn(world, fault.victim, fault.reborn);
      return;
    case 'stop':
      await world.terminate(fault.victim);
      await beBorn(world, fault.victim, fault.reborn);
      return;
    case 'lights out':
      await putOutTheLights(world, fault.order);
      return;
    case 'freeze':
      // A process that was killed meanwhile takes neither signal; its successor is not frozen.
      world.signal(fault.victim, 'SIGSTOP');
      await sleep(fault.forMs);
      world.signal(fault.victim, 'SIGCONT');
      return;
    case 'kill the reaper':
      await killTheReaper(world, fault.side);
      return;
    case 'kill postgres':
      await postgres.kill();
      await sleep(fault.forMs);
      await postgres.start();
      return;
    case 'kill one backend':
      // There may be none at this moment: the server was killed a moment ago.
      await postgres.killOneBackend().catch(() => undefined);
      // The postmaster ends all others too, and starts them anew. It takes a fraction of a second.
      await world.untilDatabaseAnswers();
      return;
    case 'end backends one by one':
      await endBackends(world);
      return;
    case 'restart postgres':
      await postgres.shutDown(fault.signal);
      await postgres.start();
      return;
    case 'kill bank':
      await world.toll.noteBank(bank);
      await bank.kill();
      await sleep(fault.forMs);
      await bank.restart();
      return;
    case 'lose a commit':
      // It waits there for the next one that writes something; until then nothing is wrong.
      databaseLinks[fault.victim].cutCommit(fault.side);
      return;
    case 'reset the database':
      databaseLinks[fault.victim].resetAtMessage(fault.atMessage);
      return;
    case 'silence the database':
      databaseLinks[fault.victim].goSilent();
      await sleep(fault.forMs);
      await databaseLinks[fault.victim].heal();
      return;
    case 'slow the database':
      await slowFor(databaseLinks[fault.victim], fault);
      return;
    case 'cut an answer':
      // As above: it waits for an answer long enough.
      doors[fault.door].cutAnswerAfter(fault.afterBytes);
      return;
    case 'close a door':
      doors[fault.door].refuse();
      doors[fault.door].resetAll();
      await sleep(fault.forMs);
      await doors[fault.door].heal();
      return;
    case 'slow a door':
      await slowFor(doors[fault.door], fault);
      return;
    case 'slow the road to the bank':
      await slowFor(bankLink, fault);
      return;
    case 'trouble to the bank':
      if (fault.how === 'reset') bankLink.resetAll();
      if (fault.how === 'refuse') bankLink.refuse();
      if (fault.how === 'silence') bankLink.goSilent();
      if (fault.how === 'reset') return;
      await sleep(fault.forMs);
      await bankLink.heal();
      return;
    case 'trouble at the bank':
      // A bank that was killed has forgotten what was planned, and cannot be told anything while it is away.
      await bank.control('POST', '/faults', fault.plan).catch(() => undefined);
      return;
  }
}

/** Comes back at the same address, perhaps with a flaw of its own. */
async function beBorn(world: World, victim: Victim, reborn: Reborn): Promise<void> {
  const { clockMs, clockStepMs, faultPoint, faultSignal, stallMs, workersInside } = reborn;
  const special: Special = {
    ...(faultSignal && { faultSignal }),
    ...(clockMs !== undefined && { imports: ['./test/support/shifted-clock.ts'] }),
    env: {
      ...(stallMs !== undefined && { FAULT_STALL_MS: String(stallMs) }),
      ...(clockMs !== undefined && { CLOCK_SHIFT_MS: String(clockMs) }),
      // From its first line on, so that it has been ready for a moment by then.
      ...(clockStepMs !== undefined && { CLOCK_STEP_MS: String(clockStepMs), CLOCK_STEP_AFTER_MS: '1200' }),
      ...(workersInside && { WORKERS: 'inside' }),
    },
  };
  await world.start(victim, faultPoint, special);
}

/** Signals for all of them leave before any is awaited: within milliseconds nobody runs. */
async function putOutTheLights(world: World, order: readonly (Victim | 'postgres')[]): Promise<void> {
  const dying = victims.map(victim => world.kill(victim));
  await Promise.all([...dying, world.postgres.kill()]);
  const starting: Promise<unknown>[] = [];
  for (const one of order) {
    starting.push(one === 'postgres' ? world.postgres.start() : world.start(one));
    await sleep(50);
  }
  await Promise.all(starting);
}

/** How long the reaper is waited for, in milliseconds: it comes by often, but may find nothing to delete. */
const untilReaping = 2_000;

/** In its batch: the rows are deleted, and the COMMIT has not reached the server, or its answer not the reaper. */
async function killTheReaper(world: World, side: 'before' | 'after'): Promise<void> {
  const link = world.databaseLinks.worker;
  const isReaping = (statements: string[]) =>
    statements.some(text => /delete from idempotency_keys/i.test(text));
  const held = link.holdCommit(side, { which: isReaping });
  const isHeld = await Promise.race([held.then(() => true), sleep(untilReaping, false)]);
  await world.kill('worker');
  if (isHeld) world.toll.reapersKilled += 1;
  // A COMMIT that never came is not waited for any more.
  await link.heal();
  await world.start('worker');
}

/** As an operator would who looks for somebody to blame: 57P01 for each, and the server runs on. */
async function endBackends(world: World): Promise<void> {
  const backends = await world.postgres
    .sql<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND application_name IN ('api-1', 'api-2', 'worker') ORDER BY random()`,
    )
    .catch(() => []);
  for (const { pid } of backends) {
    const ended = await world.postgres.sql('SELECT pg_terminate_backend($1)', [pid]).catch(() => []);
    world.toll.backendsEnded += ended.length;
    await sleep(10);
  }
}

interface Slowable {
  slowDown: (slowness: Slowness) => void;
}

async function slowFor(line: Slowable, { forMs, how }: { forMs: number; how: Slowness }): Promise<void> {
  line.slowDown(how);
  await sleep(forMs);
  line.slowDown(fast);
}
