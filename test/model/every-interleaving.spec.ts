import type { Allowance } from './world.js';
import { replaceTimeAndChance } from './time-and-chance.js';

replaceTimeAndChance();
const { searchAll } = await import('./search.js');

/** Two lives at once, one payment, one sweep of the completer, and time for one lease to end. */
const small: Allowance = {
  pay: 1,
  sweep: 1,
  cancel: 0,
  reap: 0,
  atOnce: 2,
  crash: 0,
  impatient: 0,
  cut: 0,
  bankFault: 0,
  leaseEnds: 1,
  answersExpire: 0,
  bankForgets: 0,
};

/** `MODEL=large` goes through all of them, in minutes. */
const isLarge = process.env.MODEL === 'large';

/**
 * The engine as it is, every order of its steps and every fault that a scope allows: no state is left out. What must
 * hold does in each of them (I1 to I4, I6, I7, I12), and from each of them the way out is open (I5).
 */
describe('in every interleaving, one key is one charge', () => {
  it.each([
    [
      'a request and the completer, either killed at any step, the bank at its worst',
      { crash: 1, bankFault: 1 },
    ],
    ['the same, and the caller leaves early', { crash: 1, bankFault: 1, impatient: 1 }],
    ['a request and its repeat, either killed', { pay: 2, sweep: 0, crash: 1 }],
    ['the same, the bank at its worst', { pay: 2, sweep: 0, bankFault: 1 }],
    ['a connection lost before or after any COMMIT', { cut: 1 }],
    ['a cancel that meets the payment and the completer', { cancel: 1, crash: 1 }],
    ['a cancel, and a bank at its worst', { cancel: 1, sweep: 0, bankFault: 1 }],
    ['a repeat that meets the reaper', { pay: 2, sweep: 0, reap: 1, answersExpire: 1, leaseEnds: 0 }],
    [
      'a caller who leaves, and an answer that is gone when he is told',
      { impatient: 1, reap: 1, answersExpire: 1, leaseEnds: 0 },
    ],
    ['a bank that has forgotten', { bankForgets: 1, leaseEnds: 0, bankFault: 1, crash: 1 }],
    ...(isLarge
      ? ([
          [
            'a request and its repeat, killed, the bank at its worst',
            { pay: 2, sweep: 0, crash: 1, bankFault: 1 },
          ],
          ['two completers, two leases', { sweep: 2, leaseEnds: 2, bankFault: 1 }],
          ['lost connections and kills', { cut: 1, crash: 1, bankFault: 1 }],
          [
            'a caller who leaves, an answer that is gone when he is told, and a lease that ends',
            { impatient: 1, reap: 1, answersExpire: 1 },
          ],
        ] as const)
      : []),
  ] as const)(
    '%s',
    async (name, more) => {
      await goThrough(name, { ...small, ...more }, 'settles');
    },
    600_000,
  );

  it.each(['declines', 'returns'] as const)(
    'a bank that %s',
    async fate => {
      await goThrough(`a bank that ${fate}`, { ...small, crash: 1, bankFault: 1 }, fate);
    },
    120_000,
  );
});

async function goThrough(
  name: string,
  allowance: Allowance,
  fate: 'settles' | 'declines' | 'returns',
): Promise<void> {
  const { counterexample, states, transitions, pasts, ends } = await searchAll({
    keys: ['k1'],
    fate,
    allowance,
  });
  console.log(
    `${name}: ${states} states, ${transitions} transitions, ${pasts} points in the lives of an engine.`,
  );
  expect(counterexample).toBeNull();
  expect(ends.finished).toBeGreaterThan(0);
  if (allowance.cancel > 0) expect(ends.cancelled).toBeGreaterThan(0);
}
