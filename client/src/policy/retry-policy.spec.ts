import fc from 'fast-check';
import type { Exchange } from '../exchange.js';
import { attemptTimeoutMs, nextStep, verdictOn, type Standing, type Verdict } from './retry-policy.js';

type Answer = Extract<Exchange, { kind: 'answered' }>;

const answer = (status: number, more: Partial<Answer> = {}): Answer => ({
  kind: 'answered',
  status,
  code: null,
  shouldRetry: null,
  retryAfterMs: null,
  ...more,
});

const statuses = [0, 200, 202, 301, 400, 401, 402, 404, 408, 409, 422, 429, 500, 502, 503] as const;

const anyAnswer: fc.Arbitrary<Answer> = fc.record({
  kind: fc.constant('answered' as const),
  status: fc.oneof(fc.constantFrom(...statuses), fc.integer({ min: 100, max: 599 })),
  code: fc.constantFrom(null, 'in_progress', 'collision_detected', 'unavailable'),
  shouldRetry: fc.constantFrom(null, true, false),
  retryAfterMs: fc.option(fc.nat(120_000)),
});
const silence = fc.constantFrom('not_sent', 'broken', 'timed_out', 'aborted').map(kind => ({ kind }));
const anyExchange = fc.oneof(anyAnswer, silence);

const anyStanding: fc.Arbitrary<Standing> = fc.record({
  exchange: anyExchange,
  attempts: fc.integer({ min: 1, max: 8 }),
  elapsedMs: fc.double({ min: 0, max: 70_000, noNaN: true }),
  limits: fc.record({
    attemptsMax: fc.integer({ min: 1, max: 8 }),
    attemptTimeoutMs: fc.integer({ min: 1, max: 20_000 }),
    deadlineMs: fc.integer({ min: 0, max: 70_000 }),
  }),
  backoffMs: fc.double({ min: 0, max: 5_000, noNaN: true }),
  isCircuitOpen: fc.boolean(),
  isAffordable: fc.boolean(),
});

describe('whether trying again might help', () => {
  it('follows the rules, in their order', () => {
    fc.assert(
      fc.property(anyExchange, exchange => {
        const { kind } = exchange;
        const status = kind === 'answered' ? exchange.status : 0;
        const said = kind === 'answered' ? exchange.shouldRetry : null;
        const isInProgress = kind === 'answered' && status === 409 && exchange.code === 'in_progress';
        const rules: [boolean, Verdict][] = [
          [kind === 'aborted', 'stop'],
          [status >= 200 && status < 300, 'done'],
          [kind !== 'answered', 'retry'],
          [said === true, 'retry'],
          [said === false, 'stop'],
          [isInProgress || [408, 429].includes(status) || status >= 500, 'retry'],
          [true, 'stop'],
        ];
        expect(verdictOn(exchange)).toBe(rules.find(([applies]) => applies)?.[1]);
      }),
      { numRuns: 500 },
    );
  });

  it.each<[Verdict, Exchange]>([
    ['done', answer(200)],
    ['done', answer(202)],
    ['done', answer(299)],
    ['retry', { kind: 'not_sent' }],
    ['retry', { kind: 'broken' }],
    ['retry', { kind: 'timed_out' }],
    ['stop', { kind: 'aborted' }],
    ['retry', answer(408)],
    ['retry', answer(429)],
    ['retry', answer(500)],
    ['retry', answer(503)],
    ['retry', answer(409, { code: 'in_progress' })],
    ['stop', answer(409, { code: 'collision_detected' })],
    ['stop', answer(409)],
    ['stop', answer(400, { code: 'in_progress' })],
    ['stop', answer(402, { code: 'insufficient_funds' })],
    ['stop', answer(422, { code: 'unknown_payee' })],
    ['stop', answer(199)],
    ['stop', answer(300)],
    ['stop', answer(499)],
    // A browser shows a redirect that it did not follow as status 0.
    ['stop', answer(0)],
  ])('%s: %j', (verdict, exchange) => {
    expect(verdictOn(exchange)).toBe(verdict);
  });

  it.each(statuses.filter(status => status < 200 || status > 299))(
    'is what the server says that it is, whatever else its %d may mean',
    status => {
      for (const code of [null, 'in_progress', 'collision_detected']) {
        expect(verdictOn(answer(status, { code, shouldRetry: true }))).toBe('retry');
        expect(verdictOn(answer(status, { code, shouldRetry: false }))).toBe('stop');
      }
    },
  );

  it('is no question once there is a result', () => {
    expect(verdictOn(answer(200, { shouldRetry: true }))).toBe('done');
  });
});

describe('what comes after an attempt', () => {
  it('is never a retry of what would be the same the next time, or of what its caller has given up', () => {
    fc.assert(
      fc.property(anyStanding, standing => {
        const { kind } = nextStep(standing);
        const verdict = verdictOn(standing.exchange);
        if (standing.exchange.kind === 'aborted') expect(kind).toBe('give_up');
        else expect(kind === 'end').toBe(verdict !== 'retry');
      }),
    );
  });

  it('is never one attempt too many, nor past the deadline, nor against the breaker, nor on credit', () => {
    fc.assert(
      fc.property(anyStanding, standing => {
        const step = nextStep(standing);
        if (step.kind !== 'retry') return;
        expect(standing.attempts).toBeLessThan(standing.limits.attemptsMax);
        expect(standing.elapsedMs + step.waitMs).toBeLessThan(standing.limits.deadlineMs);
        expect(attemptTimeoutMs(standing.limits, standing.elapsedMs + step.waitMs)).toBeGreaterThan(0);
        expect(standing.isCircuitOpen).toBe(false);
        expect(standing.isAffordable).toBe(true);
      }),
    );
  });

  it('is a wait as long as the backoff or the server wants, whichever is longer, but for the server’s half a minute', () => {
    fc.assert(
      fc.property(anyStanding, standing => {
        const step = nextStep(standing);
        if (step.kind !== 'retry') return;
        const { exchange, backoffMs } = standing;
        const asked = exchange.kind === 'answered' ? (exchange.retryAfterMs ?? 0) : 0;
        expect(step.waitMs).toBe(Math.max(backoffMs, Math.min(asked, 30_000)));
        expect(step.because).toBe(step.waitMs > backoffMs ? 'retry_after' : 'backoff');
      }),
    );
  });

  it('ends every call, whatever the server does: in time, and after no more attempts than were allowed', () => {
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.tuple(anyExchange, fc.nat(20_000), fc.nat(5_000))),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 60_000 }),
        (server, attemptsMax, deadlineMs) => {
          const limits = { attemptsMax, attemptTimeoutMs: 15_000, deadlineMs };
          let [attempts, elapsedMs] = [0, 0];
          for (const [exchange, tookMs, backoffMs] of server) {
            attempts += 1;
            elapsedMs += Math.min(tookMs, attemptTimeoutMs(limits, elapsedMs));
            const step = nextStep({
              exchange,
              attempts,
              elapsedMs,
              limits,
              backoffMs,
              isCircuitOpen: false,
              isAffordable: true,
            });
            if (step.kind !== 'retry') break;
            elapsedMs += step.waitMs;
          }
          expect(attempts).toBeLessThanOrEqual(attemptsMax);
          expect(elapsedMs).toBeLessThanOrEqual(deadlineMs);
        },
      ),
    );
  });

  const standing: Standing = {
    exchange: { kind: 'broken' },
    attempts: 1,
    elapsedMs: 1_000,
    limits: { attemptsMax: 4, attemptTimeoutMs: 15_000, deadlineMs: 60_000 },
    backoffMs: 100,
    isCircuitOpen: false,
    isAffordable: true,
  };

  it('is another attempt after the backoff, as a rule', () => {
    expect(nextStep(standing)).toEqual({ kind: 'retry', waitMs: 100, because: 'backoff' });
  });

  it.each<[number | null, number, 'retry_after' | 'backoff']>([
    [null, 100, 'backoff'],
    [0, 100, 'backoff'],
    [99, 100, 'backoff'],
    [100, 100, 'backoff'],
    [101, 101, 'retry_after'],
    [30_000, 30_000, 'retry_after'],
    [30_001, 30_000, 'retry_after'],
    [3_600_000, 30_000, 'retry_after'],
  ])('waits, asked for %s ms with a backoff of 100 ms, %d ms: %s', (retryAfterMs, waitMs, because) => {
    const exchange = answer(503, { retryAfterMs });
    expect(nextStep({ ...standing, exchange })).toEqual({ kind: 'retry', waitMs, because });
  });

  it.each<[string, Partial<Standing>]>([
    ['the bound of attempts is reached', { attempts: 4 }],
    ['there were more attempts than that', { attempts: 5 }],
  ])('gives up for its attempts when %s, whatever else is reached', (_, reached) => {
    const all = { elapsedMs: 99_000, isCircuitOpen: true, isAffordable: false };
    expect(nextStep({ ...standing, ...reached, ...all })).toEqual({ kind: 'give_up', why: 'attempts' });
  });

  it('gives up for its deadline where the wait would end at it, before breaker and budget are asked', () => {
    const reached = { elapsedMs: 59_900, isCircuitOpen: true, isAffordable: false };
    expect(nextStep({ ...standing, ...reached })).toEqual({ kind: 'give_up', why: 'deadline' });
    expect(nextStep({ ...standing, elapsedMs: 59_899 })).toMatchObject({ kind: 'retry' });
  });

  it('gives up for the breaker before the budget is asked, and for the budget last', () => {
    const poor = { ...standing, isAffordable: false };
    expect(nextStep({ ...poor, isCircuitOpen: true })).toEqual({ kind: 'give_up', why: 'circuit_open' });
    expect(nextStep(poor)).toEqual({ kind: 'give_up', why: 'budget' });
  });

  it('is its end after a result or a refusal, whatever bound is reached', () => {
    for (const exchange of [answer(200), answer(402), answer(503, { shouldRetry: false })]) {
      expect(nextStep({ ...standing, exchange, attempts: 4, isCircuitOpen: true })).toEqual({ kind: 'end' });
    }
  });

  it('is giving up when its caller has', () => {
    expect(nextStep({ ...standing, exchange: { kind: 'aborted' } })).toEqual({
      kind: 'give_up',
      why: 'aborted',
    });
  });
});

describe('how long one attempt may take', () => {
  it.each([
    [0, 15_000],
    [45_000, 15_000],
    [45_001, 14_999],
    [59_999, 1],
    [60_000, 0],
    [61_000, 0],
  ])('is, %d ms into a call of a minute, %d ms', (elapsedMs, timeoutMs) => {
    const limits = { attemptsMax: 4, attemptTimeoutMs: 15_000, deadlineMs: 60_000 };
    expect(attemptTimeoutMs(limits, elapsedMs)).toBe(timeoutMs);
  });
});
