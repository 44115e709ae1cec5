import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from './schedule.js';
import type { World } from './world.js';

/** A fault as one word or two, to count by: `kill api-1`, `lose a commit after`. */
export function nameOf(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
    case 'freeze':
      return `${fault.kind} ${fault.victim}`;
    case 'lose a commit':
      return `${fault.kind} ${fault.side}`;
    case 'trouble to the bank':
      return `${fault.kind}: ${fault.how}`;
    case 'trouble at the bank':
      return `${fault.kind}: ${fault.plan.kind}`;
    case 'cut an answer':
    case 'close a door':
    case 'kill bank':
    case 'kill one backend':
    case 'kill postgres':
    case 'reset the database':
    case 'restart postgres':
    case 'silence the database':
      return fault.kind;
  }
}

/** Makes it go wrong, and, where that does not happen by itself, right again. Resolves when it is over. */
export async function strike(world: World, fault: Fault): Promise<void> {
  const { bank, bankLink, databaseLinks, doors, postgres } = world;
  switch (fault.kind) {
    case 'kill':
      await world.kill(fault.victim);
      await world.start(fault.victim, fault.faultPoint);
      return;
    case 'freeze':
      // A process that was killed meanwhile takes neither signal; its successor is not frozen.
      world.signal(fault.victim, 'SIGSTOP');
      await sleep(fault.forMs);
      world.signal(fault.victim, 'SIGCONT');
      return;
    case 'kill postgres':
      await postgres.kill();
      await sleep(fault.forMs);
      await postgres.start();
      return;
    case 'kill one backend':
      // There may be none at this moment: the server was killed a moment ago.
      await postgres.killOneBackend().catch(() => undefined);
      await untilAnswering(world);
      return;
    case 'restart postgres':
      await postgres.shutDown(fault.signal);
      await postgres.start();
      return;
    case 'kill bank':
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

/** The postmaster ends all other backends too, and starts them anew. It takes a fraction of a second. */
async function untilAnswering({ postgres }: World): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    const rows = await postgres.sql('SELECT').catch(() => []);
    if (rows.length > 0) return;
    await sleep(25);
  }
}
