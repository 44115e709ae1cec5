import fc from 'fast-check';
import { PaySamError } from '../src/errors.js';
import type { ClientEvent } from '../src/events.js';
import type { Journal } from '../src/journal/journal.js';
import { MemoryJournal } from '../src/journal/memory-journal.js';
import { PaySam } from '../src/pay-sam.js';
import { RetryBudget } from '../src/policy/retry-budget.js';
import { VirtualClock } from './support/virtual-clock.js';

/** What becomes of one attempt, and after how many milliseconds. */
type Fate = { tookMs: number } & (
  | { kind: 'refused' | 'reset' | 'hangs' | 'garbage' | 'other_key' | 'cut' }
  | { kind: 'answer'; status: number; code: string | null; shouldRetry?: string; retryAfter?: string }
);

const tookMs = fc.integer({ min: 0, max: 20_000 });
const answers: [number, string | null][] = [
  [200, null],
  [202, null],
  [302, null],
  [400, 'invalid_request'],
  [401, 'unauthenticated'],
  [402, 'insufficient_funds'],
  [404, 'not_found'],
  [408, 'request_timeout'],
  [409, 'in_progress'],
  [409, 'collision_detected'],
  [409, 'operation_cancelled'],
  [409, null],
  [422, 'unknown_payee'],
  [429, 'rate_limited'],
  [500, 'internal'],
  [502, null],
  [503, 'unavailable'],
];
const fate: fc.Arbitrary<Fate> = fc.oneof(
  fc.record({
    tookMs,
    kind: fc.constantFrom('refused', 'reset', 'hangs', 'garbage', 'other_key', 'cut'),
  }),
  fc
    .record(
      {
        tookMs,
        answer: fc.constantFrom(...answers),
        shouldRetry: fc.constantFrom('true', 'false', 'perhaps'),
        retryAfter: fc.constantFrom(
          '0',
          '1',
          '29',
          '3600',
          'soon',
          new Date(Date.now() + 9_000).toUTCString(),
        ),
      },
      { requiredKeys: ['tookMs', 'answer'] },
    )
    .map(({ answer: [status, code], ...rest }) => ({ kind: 'answer' as const, status, code, ...rest })),
);

interface Sent {
  readonly at: number;
  readonly url: string;
  readonly request: string;
  readonly key: string;
}

/** A network and a server that do what they are told. Each attempt is written down as it was sent. */
function fatefulFetch(fates: readonly Fate[], clock: VirtualClock, sent: Sent[]): typeof fetch {
  return async (url, init = {}) => {
    const { method, headers, body, signal } = init as RequestInit & { headers: Record<string, string> };
    const key = headers['idempotency-key'] ?? '';
    sent.push({
      at: clock.now(),
      url: url as string,
      request: JSON.stringify({ method, headers, body }),
      key,
    });
    const next = fates[sent.length - 1] ?? { kind: 'answer', status: 503, code: 'unavailable', tookMs: 5 };
    await clock.sleep(next.tookMs, signal ?? undefined);
    const payment = (idempotencyKey: string, status: string) => ({
      object: 'payment',
      status,
      idempotency_key: idempotencyKey,
    });
    const bare = key.slice(1, -1);
    switch (next.kind) {
      case 'refused':
        throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED', syscall: 'connect' } });
      case 'reset':
        throw new TypeError('fetch failed', { cause: { code: 'ECONNRESET', syscall: 'read' } });
      case 'hangs':
        return new Promise(() => undefined);
      case 'garbage':
        return new Response('<html>', { status: 200 });
      case 'cut':
        return new Response(JSON.stringify(payment(bare, 'succeeded')).slice(0, -2), { status: 200 });
      case 'other_key':
        return Response.json(payment(`${bare}0`, 'succeeded'));
      case 'answer': {
        const { status, code, shouldRetry, retryAfter } = next;
        const told = {
          'request-id': `r-${sent.length}`,
          ...(shouldRetry && { 'should-retry': shouldRetry }),
          ...(retryAfter && { 'retry-after': retryAfter }),
        };
        if (status < 300)
          return Response.json(payment(bare, status === 202 ? 'pending' : 'succeeded'), {
            status,
            headers: told,
          });
        const declined = status === 402 ? { payment: payment(bare, 'declined') } : {};
        return new Response(code === null ? 'no' : JSON.stringify({ code, title: 'No', ...declined }), {
          status,
          headers: { ...told, 'content-type': code === null ? 'text/html' : 'application/problem+json' },
        });
      }
    }
  };
}

/** By what was done to the attempt; that it was given up is all that is taken from the client. */
function mayHavePaid(fate: Fate | undefined, wasGivenUp: boolean): boolean {
  if (!fate || wasGivenUp) return true;
  if (fate.kind !== 'answer') return fate.kind !== 'refused';
  return fate.status >= 500 || (fate.status === 409 && (fate.code === null || fate.code === 'in_progress'));
}

describe('whatever becomes of the attempts of a call', () => {
  const limits = fc.record({
    attemptsMax: fc.integer({ min: 1, max: 8 }),
    attemptTimeoutMs: fc.integer({ min: 1, max: 15_000 }),
    deadlineMs: fc.integer({ min: 1, max: 60_000 }),
    jitter: fc.constantFrom('full', 'equal', 'decorrelated', 'none'),
    random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    capacity: fc.integer({ min: 0, max: 40 }),
    ownKey: fc.boolean(),
  });

  it('there is one key, one request, no attempt past the deadline, and no retry that the budget does not pay', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fate, { minLength: 0, maxLength: 9 }), limits, async (fates, bounds) => {
        const { attemptsMax, attemptTimeoutMs, deadlineMs, jitter, random, capacity, ownKey } = bounds;
        const clock = new VirtualClock(() => random);
        const sent: Sent[] = [];
        const events: ClientEvent[] = [];
        const memory = new MemoryJournal();
        const journal: Journal = {
          open: entry => {
            expect(sent).toEqual([]);
            return memory.open(entry);
          },
          close: key => memory.close(key),
          adopt: key => memory.adopt(key),
          withdraw: key => memory.withdraw(key),
          unfinished: () => memory.unfinished(),
        };
        const budget = new RetryBudget({ capacity });
        const client = new PaySam({
          apiKey: 'sk_test',
          baseUrl: 'http://127.0.0.1:9/base',
          fetch: fatefulFetch(fates, clock, sent),
          clock,
          journal,
          budget,
          backoff: { jitter: jitter as 'full' },
          attemptsMax,
          attemptTimeoutMs,
          deadlineMs,
          onEvent: event => events.push(event),
        });
        const end = await clock.until(
          client.payments
            .create({ to: 'sam', amount: 100, currency: 'GBP' }, ownKey ? { idempotencyKey: 'order-17' } : {})
            .catch((error: unknown) => error),
        );

        // One key, one request.
        expect(new Set(sent.map(({ key }) => key)).size).toBe(1);
        expect(new Set(sent.map(({ request, url }) => url + request)).size).toBe(1);
        // The bounds.
        expect(sent.length).toBeLessThanOrEqual(attemptsMax);
        for (const { at } of sent) expect(at).toBeLessThan(deadlineMs);
        expect(clock.now()).toBeLessThanOrEqual(deadlineMs);
        expect(budget.tokens).toBeGreaterThanOrEqual(0);
        const retries = events.filter(({ type }) => type === 'wait').length;
        const spentAtLeast = retries * 5;
        expect(spentAtLeast).toBeLessThanOrEqual(capacity);
        expect(retries).toBe(sent.length - 1);

        // The course, whatever the end.
        const isError = end instanceof PaySamError;
        const course = end as PaySamError;
        const key = sent[0]?.key.slice(1, -1);
        expect(course.idempotencyKey).toBe(key);
        expect(course.attempts).toBe(sent.length);
        expect(course.requestIds.length).toBeLessThanOrEqual(sent.length);
        if (!isError)
          expect(end).toMatchObject({
            data: { idempotency_key: key },
            headers: expect.anything() as unknown,
          });

        // What the caller is told, against what the server may have done.
        const exchanges = events.flatMap(event => (event.type === 'exchange' ? [event.exchange] : []));
        const isDoubtful = exchanges.some(({ kind }, index) =>
          mayHavePaid(fates[index], kind === 'timed_out'),
        );
        const last = fates[sent.length - 1];
        const isSeen =
          last?.kind === 'answer' && (last.status === 402 || last.status === 422 || last.status === 409);
        if (isError && (course.name === 'NotSent' || (course.name === 'Refused' && !isSeen))) {
          expect(isDoubtful).toBe(false);
        }

        if (course.name === 'OutcomeUnknown') expect(isDoubtful).toBe(true);

        // The journal forgets what is known, and nothing else.
        const isOpen = (await memory.unfinished()).length === 1;
        const isPending = !isError && (end as { status: number }).status === 202;
        expect(isOpen).toBe(course.name === 'OutcomeUnknown' || isPending);
        // The events tell the same.
        const lastEvent = events.at(-1);
        expect(lastEvent).toMatchObject({ type: 'end', attempts: sent.length, idempotencyKey: key });
        expect(new Set(events.map(({ call }) => call)).size).toBe(1);
      }),
      { numRuns: 2_000 },
    );
  }, 120_000);
});
