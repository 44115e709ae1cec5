import { attempt, type Attempted } from './attempt.js';
import type { Clock } from './clock.js';
import { endOf, isSettled, isStored, unknownAfterAll, type Ending, type Over } from './ending.js';
import type { WhyEnded } from './errors.js';
import type { ClientEvent } from './events.js';
import type { Journal } from './journal/journal.js';
import { backoffMs, type Backoff } from './policy/backoff.js';
import type { CircuitBreaker } from './policy/circuit-breaker.js';
import type { RetryBudget } from './policy/retry-budget.js';
import { attemptTimeoutMs, nextStep, type RetryLimits } from './policy/retry-policy.js';
import type { ApiRequest } from './request.js';
import { teller, type Tell } from './teller.js';
import type { Turns } from './turns.js';
import type { Result } from './types.js';

/** What calls are made with. All calls of one `PaySam` share it. */
export interface Means {
  readonly fetch: typeof fetch;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly journal: Journal | undefined;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly budget: RetryBudget;
  readonly breaker: CircuitBreaker | undefined;
  readonly turns: Turns;
  readonly onEvent: ((event: ClientEvent) => void) | undefined;
}

export interface Patience {
  readonly limits: RetryLimits;
  /** The caller's: it may give up at any moment. */
  readonly signal: AbortSignal | undefined;
  /** The journal has the request from an earlier life, which may have sent it. */
  readonly isResumed?: boolean;
}

/**
 * One call, from a request that somebody intends to what is known of it in the end.
 *
 *     remember ──▶ send ──▶ is it over? ──▶ judge ──▶ forget, or keep
 *                    ▲           │
 *                    └── wait ◀──┘
 *
 * What makes it safe is little, and all of it can be seen here. The request was put together before this function
 * began; it is sent as it is, with its one key, however often. The journal has it before its first byte leaves. And to
 * be over is not an outcome: `judge` says what the attempts prove, and where they prove nothing the caller is told just
 * that, and the entry stays for `resume()`.
 *
 * What makes it bearable for a server in trouble are the bounds, decided by pure functions: see policy/retry-policy.ts.
 *
 * @throws PaySamError, and nothing else
 */
export async function call<T>(request: ApiRequest<T>, patience: Patience, means: Means): Promise<Result<T>> {
  const began = means.clock.now();
  const tell = teller(request, means.onEvent);

  const memory = await remember(request, patience, means);
  const over =
    'failure' in memory
      ? nothingSent<T>('journal', memory.failure)
      : await sendUntilOver(request, { ...patience, began, tell }, means);

  const ending = await forget(request, endOf(request, over, memory), { memory, over, patience, means });
  if (ending.judgement === 'answered' || ending.judgement === 'refused') means.budget.success(over.lastCost);
  tell({ type: 'end', outcome: ending.judgement, attempts: over.attempts.length });
  if ('error' in ending) throw ending.error;
  return ending.result;
}

interface Memory {
  /** Nobody can have sent the request before this call. */
  readonly isFirst: boolean;
  /** Why it could not be written down: then nothing may be sent. */
  readonly failure?: unknown;
}

async function remember<T>(
  { entry }: ApiRequest<T>,
  { isResumed = false }: Patience,
  { journal }: Means,
): Promise<Memory> {
  if (isResumed) return { isFirst: false };
  if (!entry || !journal) return { isFirst: true };
  try {
    return { isFirst: await journal.open(entry) };
  } catch (failure) {
    return { isFirst: true, failure };
  }
}

/** Attempt after attempt, each the same request, until one settles it or there is a reason to send no other. */
async function sendUntilOver<T>(
  request: ApiRequest<T>,
  { limits, signal, began, tell }: Patience & { began: number; tell: Tell },
  means: Means,
): Promise<Over<T>> {
  const { clock, backoff, budget, breaker, turns } = means;
  const attempts: Attempted<T>[] = [];
  let lastCost = 0;
  let drawnMs = 0;

  for (;;) {
    const hasTurn = await turns.begin(limits.deadlineMs - (clock.now() - began), signal);
    if (!hasTurn) return giveUp(signal?.aborted ? 'aborted' : 'deadline');
    const number = attempts.length + 1;
    let sentAt: number;
    let attempted: Attempted<T>;
    try {
      // The waits may have taken longer than they should, and everything else may have changed meanwhile.
      sentAt = clock.now();
      const timeoutMs = attemptTimeoutMs(limits, sentAt - began);
      if (signal?.aborted) return giveUp('aborted');
      if (timeoutMs === 0) return giveUp('deadline');
      const pass = breaker ? breaker.enter(sentAt) : 0;
      if (pass === null) return giveUp('circuit_open');

      tell({ type: 'attempt', attempt: number, method: request.method, path: request.path });
      attempted = await attempt(request, { ...means, timeoutMs, signal });
      breaker?.leave(pass, attempted.exchange, clock.now());
    } finally {
      turns.end();
    }
    const { exchange, headers } = attempted;
    const now = clock.now();
    attempts.push(attempted);
    tell({
      type: 'exchange',
      attempt: number,
      exchange,
      requestId: headers?.get('request-id') ?? null,
      replayed: headers?.get('idempotent-replayed') === 'true',
      tookMs: now - sentAt,
    });

    drawnMs = backoffMs(backoff, { retry: number, previousMs: drawnMs, random: clock.random() });
    const cost = budget.costAfter(exchange);
    const step = nextStep({
      exchange,
      attempts: number,
      elapsedMs: now - began,
      limits,
      backoffMs: drawnMs,
      isCircuitOpen: breaker?.isOpen(now) ?? false,
      isAffordable: budget.affords(cost),
    });
    if (step.kind === 'end') return { attempts, why: 'refused', lastCost };
    if (step.kind === 'give_up') return giveUp(step.why);

    budget.take(cost);
    lastCost = cost;
    tell({ type: 'wait', attempt: number + 1, waitMs: step.waitMs, because: step.because });
    await clock.sleep(step.waitMs, signal);
  }

  function giveUp(why: Exclude<WhyEnded, 'refused' | 'journal'>): Over<T> {
    tell({ type: 'give_up', why, attempts: attempts.length });
    const cause: unknown = why === 'aborted' ? signal?.reason : undefined;
    return { attempts, why, lastCost, cause };
  }
}

/**
 * Closes the entry of a call whose outcome is known. That it could not be closed is no harm where the server will only
 * say the same again. But what has not been done could then be done after all, by the next `resume()`, when the caller
 * may have paid with another key: so nobody may be told yet that it was not done. Nor where a `resume()`, of whichever
 * process, has been faster, and has sent the entry while this call could not.
 */
async function forget<T>(
  request: ApiRequest<T>,
  ending: Ending<T>,
  { memory, over, patience, means }: { memory: Memory; over: Over<T>; patience: Patience; means: Means },
): Promise<Ending<T>> {
  const { entry } = request;
  const { journal } = means;
  const isResumed = patience.isResumed === true;
  if (!entry || !journal || 'failure' in memory || !isSettled(ending, memory.isFirst || isResumed))
    return ending;
  try {
    if (isStored(ending) || isResumed) await journal.close(entry.key);
    else if (!(await journal.withdraw(entry.key))) throw new Error('somebody else has taken the entry over');
    return ending;
  } catch (cause) {
    return isStored(ending) ? ending : unknownAfterAll(request, over, cause);
  }
}

function nothingSent<T>(why: WhyEnded, cause: unknown): Over<T> {
  return { attempts: [], why, lastCost: 0, cause };
}
