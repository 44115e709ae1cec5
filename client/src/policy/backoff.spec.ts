import fc from 'fast-check';
import { backoffMs, defaultBackoff, type Backoff, type Jitter } from './backoff.js';

const jitters: readonly Jitter[] = ['full', 'equal', 'decorrelated', 'none'];

const bounds = fc.record({ baseMs: fc.nat(1_000), capMs: fc.nat(10_000) });
const draw = fc.record({
  retry: fc.integer({ min: 1, max: 3_000 }),
  previousMs: fc.double({ min: 0, max: 10_000, noNaN: true }),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

/** Kept apart from the code under test: doubled step by step, as one would on paper. */
function boundOf({ baseMs, capMs }: Omit<Backoff, 'jitter'>, retry: number): number {
  let boundMs = baseMs;
  for (let step = 1; step < retry && boundMs < capMs; step += 1) boundMs *= 2;
  return Math.min(boundMs, capMs);
}

describe('the wait before a retry', () => {
  it.each(jitters)('is never longer than the cap, and never less than nothing (%s)', jitter => {
    fc.assert(
      fc.property(bounds, draw, (given, drawn) => {
        const ms = backoffMs({ ...given, jitter }, drawn);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(given.capMs);
      }),
    );
  });

  it('lies between nothing, half the bound or the bound itself, and a bound that doubles with each retry', () => {
    fc.assert(
      fc.property(bounds, draw, (given, drawn) => {
        const bound = given.baseMs === 0 ? 0 : boundOf(given, drawn.retry);
        expect(backoffMs({ ...given, jitter: 'full' }, drawn)).toBeLessThanOrEqual(bound);
        expect(backoffMs({ ...given, jitter: 'equal' }, drawn)).toBeLessThanOrEqual(bound);
        expect(backoffMs({ ...given, jitter: 'equal' }, drawn)).toBeGreaterThanOrEqual(bound / 2);
        expect(backoffMs({ ...given, jitter: 'none' }, drawn)).toBe(bound);
      }),
    );
  });

  it('lies between the base and three times the wait before it where the waits are decorrelated', () => {
    fc.assert(
      fc.property(bounds, draw, ({ baseMs, capMs }, drawn) => {
        const ms = backoffMs({ baseMs, capMs, jitter: 'decorrelated' }, drawn);
        expect(ms).toBeGreaterThanOrEqual(Math.min(baseMs, capMs));
        expect(ms).toBeLessThanOrEqual(Math.min(capMs, 3 * Math.max(baseMs, drawn.previousMs)) + 1e-9);
      }),
    );
  });

  it.each<[Jitter, number, number[]]>([
    ['full', 0, [0, 0, 0, 0, 0]],
    ['full', 0.5, [50, 100, 200, 400, 500]],
    ['equal', 0, [50, 100, 200, 400, 500]],
    ['equal', 0.5, [75, 150, 300, 600, 750]],
    ['none', 0.5, [100, 200, 400, 800, 1_000]],
  ])('with jitter %s and chance %d is %j', (jitter, random, waits) => {
    const backoff: Backoff = { baseMs: 100, capMs: 1_000, jitter };
    const drawn = [1, 2, 3, 4, 5].map(retry => backoffMs(backoff, { retry, previousMs: 0, random }));
    expect(drawn).toEqual(waits);
  });

  it.each<[number, number, number]>([
    [0, 0, 100],
    [0, 0.5, 200],
    [50, 0.5, 200],
    [300, 0, 100],
    [300, 0.5, 500],
    [300, 0.75, 700],
    [800, 0.5, 550],
  ])('decorrelated, after %d ms and with chance %d, is %d ms', (previousMs, random, ms) => {
    const backoff: Backoff = { baseMs: 100, capMs: 1_000, jitter: 'decorrelated' };
    expect(backoffMs(backoff, { retry: 1, previousMs, random })).toBe(ms);
    expect(backoffMs(backoff, { retry: 9, previousMs, random })).toBe(ms);
  });

  it('is nothing where the base is nothing, however many retries there were', () => {
    for (const jitter of jitters) {
      for (const retry of [1, 2, 2_000]) {
        expect(backoffMs({ baseMs: 0, capMs: 0, jitter }, { retry, previousMs: 0, random: 0.9 })).toBe(0);
      }
    }
  });

  it('starts at a tenth of a second, ends at five, and is spread over all of it, unless told otherwise', () => {
    expect(defaultBackoff).toEqual({ baseMs: 100, capMs: 5_000, jitter: 'full' });
  });
});
