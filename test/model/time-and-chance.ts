import { jest } from '@jest/globals';
import * as crypto from 'node:crypto';

/** What a life of a process has in the place of a clock, of timers and of dice. */
export interface Surroundings {
  /** Milliseconds since it began, as far as it can tell. */
  elapsedMs: number;
  /** The next id it thinks up. */
  thinkUpId(): string;
  /** A timer that it sets. @returns what clears it */
  setTimer(fire: () => void, ms: number): { unref(): object; clear(): void };
}

/** Whose turn it is. One life runs at a time, until it waits for somebody. */
let current: Surroundings | undefined;

const afterThisTurn = globalThis.setImmediate;

/** Lets `life` do whatever it can do without an answer from outside. */
export async function takeTurn(life: Surroundings, work: () => void): Promise<void> {
  current = life;
  work();
  // Everything the engine does between two answers is promises: they are all settled before the next turn.
  await new Promise(resolve => afterThisTurn(resolve));
  current = undefined;
}

/**
 * Replaces time and chance, and nothing else, for whatever is imported from now on. The same life then does the same
 * again, however often it is lived.
 *
 * A pause is over as soon as it began: how long another life goes on meanwhile, the schedule decides anyway. Only
 * timers that race with something fire when the schedule says so.
 */
export function replaceTimeAndChance(): void {
  jest.unstable_mockModule('node:timers/promises', () => ({ setTimeout: pause }));
  jest.unstable_mockModule('node:crypto', () => ({ ...crypto, randomUUID: () => whoseTurn().thinkUpId() }));
  jest.unstable_mockModule('../../src/database/new-id.js', () => ({ newId: () => whoseTurn().thinkUpId() }));
  Object.assign(globalThis, {
    // In one process, whoever boards in the same turn leaves together, as with the real one.
    setImmediate: (leave: () => void) => {
      queueMicrotask(leave);
    },
    setTimeout: (fire: (value: unknown) => void, ms: number, value: unknown) =>
      whoseTurn().setTimer(() => {
        fire(value);
      }, ms),
    clearTimeout: (timer?: { clear(): void }) => {
      timer?.clear();
    },
  });
  Object.defineProperty(globalThis, 'performance', { value: { now: () => current?.elapsedMs ?? 0 } });
  Math.random = () => 0.5;
}

/** Who acts. Code that has been handed no life can ask here. */
export function whoseTurn(): Surroundings {
  if (!current) throw new Error('somebody acts out of turn');
  return current;
}

function pause(ms: number): Promise<void> {
  whoseTurn().elapsedMs += ms;
  return Promise.resolve();
}
