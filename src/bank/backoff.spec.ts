import fc from 'fast-check';
import { fullJitter, halfJitter, readRetryAfter } from './backoff.js';

const bounds = fc.record({
  firstMs: fc.integer({ min: 1, max: 1_000 }),
  maxMs: fc.integer({ min: 1, max: 5_000 }),
});
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('the wait before another request', () => {
  it('is drawn between nothing and a bound that doubles up to the longest', () => {
    fc.assert(
      fc.property(bounds, fc.nat(2_000), random, (given, repeats, drawn) => {
        const bound = Math.min(given.maxMs, given.firstMs * 2 ** repeats);
        const full = fullJitter(given, repeats, drawn);
        const half = halfJitter(given, repeats, drawn);
        expect(full).toBeGreaterThanOrEqual(0);
        expect(full).toBeLessThanOrEqual(bound);
        expect(half).toBeGreaterThanOrEqual(bound / 2);
        expect(half).toBeLessThanOrEqual(bound);
      }),
    );
    expect([0, 1, 2, 3, 4].map(repeats => fullJitter({ firstMs: 100, maxMs: 1_000 }, repeats, 0.5))).toEqual([
      50, 100, 200, 400, 500,
    ]);
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(2026, 1, 3, 4, 5, 6);

  it('is read as seconds', () => {
    fc.assert(fc.property(fc.nat(), seconds => readRetryAfter(String(seconds), now) === seconds * 1_000));
  });

  it('is read as a date, and a date that has passed means: now', () => {
    fc.assert(
      fc.property(fc.integer({ min: -100_000, max: 100_000 }), seconds => {
        const date = new Date(now + seconds * 1_000).toUTCString();
        expect(readRetryAfter(date, now)).toBe(Math.max(0, seconds * 1_000));
      }),
    );
  });

  it('is never less than nothing, nor NaN, whatever was sent', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map(text => `${text}GMT`),
        ),
        text => {
          const ms = readRetryAfter(text, now);
          expect(ms === undefined || ms >= 0).toBe(true);
        },
      ),
    );
    expect(['', '-1', '1.5', '2026-02-03', 'soon', undefined].map(text => readRetryAfter(text, now))).toEqual(
      Array(6).fill(undefined),
    );
  });
});
