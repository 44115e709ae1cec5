import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, Scheduled } from './schedule.js';
import { nameOf, strike } from './strike.js';
import { victims, type Victim, type World } from './world.js';

/** How often it is looked whether somebody has died at a fault point, in milliseconds. */
const lookEveryMs = 100;

/** What a fault does something to. Two of them at once at one place would undo each other. */
function placeOf(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
    case 'freeze':
      return fault.victim;
    case 'kill postgres':
    case 'kill one backend':
    case 'restart postgres':
      return 'postgres';
    case 'kill bank':
    case 'trouble at the bank':
      return 'bank';
    case 'lose a commit':
    case 'reset the database':
    case 'silence the database':
      return `database of ${fault.victim}`;
    case 'cut an answer':
    case 'close a door':
      return `door of ${fault.door}`;
    case 'trouble to the bank':
      return 'road to the bank';
  }
}

/**
 * Lets it go wrong as it was drawn: each fault at its time, several at once at different places. One whose place is
 * still busy with the fault before it is left out, so that a slow machine has fewer faults, not a longer run.
 *
 * @returns how often each was struck, when the last of them is over
 */
export async function goWrong(world: World, schedule: readonly Scheduled[]): Promise<Record<string, number>> {
  const struck: Record<string, number> = {};
  const busy = new Map<string, Promise<void>>();
  const begin = (place: string, work: () => Promise<void>) => {
    const done = work().then(() => void busy.delete(place));
    // A failure stays in the map, and is thrown where all are awaited.
    done.catch(() => undefined);
    busy.set(place, done);
  };

  const began = performance.now();
  for (const { atMs, fault } of schedule) {
    while (performance.now() - began < atMs) {
      await sleep(Math.min(lookEveryMs, Math.max(1, atMs - (performance.now() - began))));
      for (const victim of victims) {
        if (world.hasDied(victim) && !busy.has(victim)) begin(victim, () => raise(world, victim));
      }
    }
    const place = placeOf(fault);
    if (busy.has(place)) continue;
    begin(place, () => strike(world, fault));
    const name = nameOf(fault);
    struck[name] = (struck[name] ?? 0) + 1;
  }
  await Promise.all(busy.values());
  return struck;
}

/** Whoever died at a fault point, or by a mistake of ours, comes back. */
async function raise(world: World, victim: Victim): Promise<void> {
  await world.kill(victim);
  await world.start(victim);
}
