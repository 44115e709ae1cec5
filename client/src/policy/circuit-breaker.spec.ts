import fc from 'fast-check';
import type { Exchange } from '../exchange.js';
import {
  afterAttempt,
  CircuitBreaker,
  healthAfter,
  type BreakerState,
  type Health,
} from './circuit-breaker.js';

const answer = (status: number): Exchange => ({
  kind: 'answered',
  status,
  code: null,
  shouldRetry: null,
  retryAfterMs: null,
});
const well = answer(200);
const failing: Exchange = { kind: 'broken' };
const aborted: Exchange = { kind: 'aborted' };

const settings = { failuresMax: 3, coolDownMs: 1_000 };

/** @returns its pass; the test is wrong where the breaker turns it away */
function enter(breaker: CircuitBreaker, now: number): number {
  const pass = breaker.enter(now);
  if (pass === null) throw new Error(`turned away at ${now}`);
  return pass;
}

/** One attempt from beginning to end. */
function attempt(breaker: CircuitBreaker, exchange: Exchange, now = 0): void {
  breaker.leave(enter(breaker, now), exchange, now);
}

/** Fails until it opens, at that time. */
function openedAt(now: number): CircuitBreaker {
  const breaker = new CircuitBreaker(settings);
  for (let failures = 0; failures < settings.failuresMax; failures += 1) attempt(breaker, failing, now);
  return breaker;
}

describe('the circuit breaker', () => {
  it('opens after so many failures in a row, not before, and then lets nothing through until it has cooled down', () => {
    const breaker = new CircuitBreaker(settings);
    attempt(breaker, failing, 100);
    attempt(breaker, failing, 200);
    expect(breaker.kind).toBe('closed');
    expect(breaker.isOpen(300)).toBe(false);
    attempt(breaker, failing, 300);
    expect(breaker.kind).toBe('open');
    for (const now of [300, 1_299]) {
      expect(breaker.isOpen(now)).toBe(true);
      expect(breaker.enter(now)).toBeNull();
    }
    expect(breaker.isOpen(1_300)).toBe(false);
    expect(breaker.kind).toBe('open');
    expect(breaker.enter(1_300)).not.toBeNull();
    expect(breaker.kind).toBe('half_open');
  });

  it('starts counting again after a success', () => {
    const breaker = new CircuitBreaker(settings);
    for (const exchange of [failing, failing, well, failing, failing]) attempt(breaker, exchange);
    expect(breaker.kind).toBe('closed');
    attempt(breaker, failing);
    expect(breaker.kind).toBe('open');
  });

  it('learns nothing from an attempt that its caller aborted', () => {
    const breaker = new CircuitBreaker(settings);
    for (const exchange of [failing, failing, aborted]) attempt(breaker, exchange);
    expect(breaker.kind).toBe('closed');
    attempt(breaker, failing);
    expect(breaker.kind).toBe('open');
  });

  it('closes when the probe succeeds, and counts from nothing', () => {
    const breaker = openedAt(0);
    attempt(breaker, well, 1_000);
    expect(breaker.kind).toBe('closed');
    attempt(breaker, failing, 1_000);
    attempt(breaker, failing, 1_000);
    expect(breaker.kind).toBe('closed');
    attempt(breaker, failing, 1_000);
    expect(breaker.kind).toBe('open');
  });

  it('cools down once more when the probe fails, from then on', () => {
    const breaker = openedAt(0);
    const probe = enter(breaker, 5_000);
    breaker.leave(probe, failing, 5_500);
    expect(breaker.kind).toBe('open');
    expect(breaker.isOpen(6_499)).toBe(true);
    expect(breaker.isOpen(6_500)).toBe(false);
  });

  it('lets the next one probe at once when the probe was aborted by its caller', () => {
    const breaker = openedAt(0);
    const probe = enter(breaker, 1_000);
    expect(breaker.isOpen(1_200)).toBe(true);
    breaker.leave(probe, aborted, 1_200);
    expect(breaker.isOpen(1_200)).toBe(false);
    attempt(breaker, well, 1_200);
    expect(breaker.kind).toBe('closed');
  });

  it('pays no heed to answers that were asked for in an earlier era', () => {
    const breaker = new CircuitBreaker(settings);
    const [slow, slower] = [enter(breaker, 0), enter(breaker, 0)];
    for (let failures = 0; failures < 3; failures += 1) attempt(breaker, failing);
    breaker.leave(slow, well, 10);
    expect(breaker.kind).toBe('open');
    const probe = enter(breaker, 1_000);
    breaker.leave(slower, failing, 1_010);
    expect(breaker.kind).toBe('half_open');
    breaker.leave(probe, well, 1_020);
    expect(breaker.kind).toBe('closed');
    breaker.leave(probe, failing, 1_030);
    breaker.leave(probe, failing, 1_030);
    breaker.leave(probe, failing, 1_030);
    expect(breaker.kind).toBe('closed');
  });

  it('is not moved by an attempt that says it was let through while nothing was', () => {
    const open: BreakerState = { kind: 'open', era: 1, untilMs: 1_000 };
    for (const health of ['well', 'failing', 'unclear'] satisfies Health[]) {
      expect(afterAttempt(open, { passedIn: 1, health, now: 500 }, settings)).toBe(open);
    }
  });

  it('lets one probe through at a time, whoever asks, and nothing while it is open, in any history', () => {
    const step = fc.record({
      afterMs: fc.nat(700),
      /** Who ends, of those on their way, if anybody does: otherwise somebody asks. */
      ends: fc.option(fc.nat(100)),
      exchange: fc.constantFrom(well, failing, failing, aborted),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const breaker = new CircuitBreaker({ failuresMax: 2, coolDownMs: 1_000 });
        const onTheirWay: { pass: number; isProbe: boolean }[] = [];
        let [now, openedAtMs] = [0, -Infinity];
        for (const { afterMs, ends, exchange } of steps) {
          now += afterMs;
          if (ends === null) {
            const before = breaker.kind;
            const isTurnedAway = breaker.isOpen(now);
            const pass = breaker.enter(now);
            expect(pass === null).toBe(isTurnedAway);
            if (before === 'closed') expect(pass).not.toBeNull();
            if (before === 'half_open') expect(pass).toBeNull();
            if (pass === null) continue;
            if (before === 'open') expect(now).toBeGreaterThanOrEqual(openedAtMs + 1_000);
            onTheirWay.push({ pass, isProbe: before === 'open' });
          } else {
            const [ended] = onTheirWay.splice(ends % Math.max(1, onTheirWay.length), 1);
            if (!ended) continue;
            const before = breaker.kind;
            breaker.leave(ended.pass, exchange, now);
            if (exchange === failing && before !== 'open' && breaker.kind === 'open') openedAtMs = now;
          }
          const probes = onTheirWay.filter(({ isProbe }) => isProbe).length;
          expect(probes).toBe(breaker.kind === 'half_open' ? 1 : 0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each<[Health, Exchange]>([
    ['well', answer(200)],
    ['well', answer(402)],
    ['well', answer(429)],
    ['well', answer(499)],
    ['failing', answer(500)],
    ['failing', answer(503)],
    ['failing', { kind: 'not_sent' }],
    ['failing', { kind: 'broken' }],
    ['failing', { kind: 'timed_out' }],
    ['unclear', { kind: 'aborted' }],
  ])('takes the server for %s after %j', (health, exchange) => {
    expect(healthAfter(exchange)).toBe(health);
  });

  it('opens after twenty failures, for five seconds, unless told otherwise', () => {
    const breaker = new CircuitBreaker();
    for (let failures = 0; failures < 19; failures += 1) attempt(breaker, failing);
    expect(breaker.kind).toBe('closed');
    attempt(breaker, failing);
    expect(breaker.isOpen(4_999)).toBe(true);
    expect(breaker.isOpen(5_000)).toBe(false);
  });

  it.each([
    [{ failuresMax: 0 }, 'CircuitBreaker: failuresMax must be 1 or more, not 0.'],
    [{ failuresMax: NaN }, 'CircuitBreaker: failuresMax must be 1 or more, not NaN.'],
    [{ coolDownMs: -1 }, 'CircuitBreaker: coolDownMs must be 0 or more, and end, not -1.'],
    [{ coolDownMs: Infinity }, 'CircuitBreaker: coolDownMs must be 0 or more, and end, not Infinity.'],
  ])('takes no settings that make no sense: %j', (wrong, sentence) => {
    expect(() => new CircuitBreaker(wrong)).toThrow(new RangeError(sentence));
  });

  it('may open at the first failure, and probe at once', () => {
    const breaker = new CircuitBreaker({ failuresMax: 1, coolDownMs: 0 });
    attempt(breaker, failing);
    expect(breaker.kind).toBe('open');
    expect(breaker.isOpen(0)).toBe(false);
  });
});
