import { replaceTimeAndChance } from './time-and-chance.js';

replaceTimeAndChance();
const { runAtRandom } = await import('./random.js');

const schedulesMax = 20_000;

/**
 * A search that finds nothing proves nothing, unless it would have found something. So the database forgets one rule at
 * a time; each time the random schedules must come upon what breaks, and say which promise that was.
 */
describe('the model would notice a database that forgets', () => {
  it.each([
    ['epoch', 'who holds a key', /^I7: a stale epoch wrote/],
    ['lease', 'that a lease still runs', /^I7: taken over while its lease held/],
    ['unsent', 'that something may have been sent', /^I[67]:/],
    ['guard', 'to keep unfinished keys', /^I12: an unfinished key was removed/],
    ['finished', 'which keys are finished', /^500: .*PS-301/],
    ['expiry', 'how long an answer is promised', /^I12: a key was removed before its time/],
    ['remembered key', 'which keys payments remember', /^I1: two payments for one key/],
  ] as const)(
    '%s: %s',
    async (forgotten, _, promise) => {
      for (let seed = 1; seed <= schedulesMax; seed += 1) {
        const { broken } = await runAtRandom(seed, forgotten);
        if (broken === null) continue;
        expect(broken).toMatch(promise);
        return;
      }
      throw new Error('nobody noticed');
    },
    60_000,
  );
});
