import { replaceTimeAndChance } from './time-and-chance.js';

const { performance } = globalThis;
replaceTimeAndChance();
const { runAtRandom } = await import('./random.js');

/** `MODEL_SEED=7` lives through one schedule again; `MODEL_SCHEDULES` says how many. */
const first = Number(process.env.MODEL_SEED ?? 1);
const schedules = Number(process.env.MODEL_SCHEDULES ?? (process.env.MODEL_SEED === undefined ? 100_000 : 1));

/** Larger worlds than a search can go through: more lives, two keys, shared transactions, several faults. */
describe('at random, one key is one charge', () => {
  it(
    `in ${schedules} schedules`,
    async () => {
      const began = performance.now();
      const seen: Record<string, number> = {};
      let steps = 0;
      for (let seed = first; seed < first + schedules; seed += 1) {
        const { broken, way } = await runAtRandom(seed);
        if (broken !== null) throw new Error(`MODEL_SEED=${seed}: ${broken}\n${way.join('\n')}`);
        steps += way.length;
        for (const each of way) count(seen, each);
      }
      const seconds = Math.round((performance.now() - began) / 1_000);
      console.log(`${schedules} schedules, ${steps} steps, ${seconds} s.`, seen);
      if (schedules < 1_000) return;
      for (const each of mustBeSeen) expect(seen[each] ?? 0).toBeGreaterThan(schedules / 500);
    },
    600_000 + 3 * schedules,
  );
});

/** Schedules in which nothing goes wrong prove nothing. */
const mustBeSeen = [
  'crash',
  ': cut',
  'committed and cut',
  'answer lost',
  'bank fails',
  'late PUT',
  'late arrives',
  'not sent',
  'lease ends',
  'answers expire',
  'bank forgets',
  'timer',
  'take_over_keys',
  'take_over_any_keys',
  'take_over_unsent_key',
  'close_key',
];

function count(seen: Record<string, number>, step: string): void {
  for (const each of mustBeSeen) if (step.includes(each)) seen[each] = (seen[each] ?? 0) + 1;
}
