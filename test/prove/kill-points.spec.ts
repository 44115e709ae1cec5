import { performKills } from '../../lab/prove/acts/kill-points.js';
import type { ActResult } from '../../lab/prove/act.js';
import { KillablePostgres } from '../support/killable-postgres.js';

const whyNot = KillablePostgres.whyNot();
const here = whyNot === undefined ? describe : describe.skip;

/** The act of `npm run prove`, each place once: that it meets every one of them, and finds nothing in what we ship. */
here('an API or a completer that dies at any place leaves nothing unpaid, and nothing paid twice', () => {
  let result: ActResult;

  beforeAll(async () => {
    const said: string[] = [];
    result = await performKills({ seed: 1, scale: 'gate', say: line => said.push(line) }, 1);
  }, 600_000);

  it('nothing that was promised was broken', () => {
    expect(result.violations).toEqual([]);
  });

  it('each place was met, with requests and with completers (I15)', () => {
    const { counts, wanted } = result;
    const short = Object.entries(wanted).filter(([what, times]) => (counts[what] ?? 0) < times);
    expect(short).toEqual([]);
    expect(counts['kill of a request']).toBe(32);
    expect(counts['kill of a completer']).toBe(21);
  });

  it('payments ended that nobody held any more, in the time that was promised', () => {
    const times = Object.values(result.timesMs).flat();
    expect(times.length).toBeGreaterThan(50);
    expect(Math.max(...times)).toBeLessThan(15_000);
  });
});
