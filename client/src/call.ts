import { attempt, type Attempted } from './attempt.js';
import type { Clock } from './clock.js';
import { endOf, isSettled, isStored, unknownAfterAll, type Ending, type Over } from './ending.js';
import type { WhyEnded } from './errors.js';
import type { ClientEvent, GaveUp } from './events.js';
import type { Journal } from './journal/journal.js';
import { backoffMs, type Backoff } from './policy/backoff.js';
import type { CircuitBreaker } from './policy/circuit-breaker.js';
import type { RetryBudget } from './policy/retry-budget.js';
import { attemptTimeoutMs, nextStep, type RetryLimits, type Step } from './policy/retry-policy.js';
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

  const memory = means.journal ? await remember(request, patience, means.journal) : unwritten;
  const over =
    'failure' in memory
      ? nothingSent<T>('journal', memory.failure)
      : await sendUntilOver({ request, patience, began, tell, attempts: [], lastCost: 0, drawnMs: 0 }, means);

  const ending = await forget(request, endOf(request, over, memory), { memory, over, patience, means });
  if (ending.judgement === 'answered' || ending.judgement === 'refused') means.budget.success(over.lastCost);
  tell?.({ type: 'end', outcome: ending.judgement, attempts: over.attempts.length });
  if ('error' in ending) throw ending.error;
  return ending.result;
}

interface Memory {
  /** Nobody can have sent the request before this call. */
  readonly isFirst: boolean;
  /** Why it could not be written down: then nothing may be sent. */
  readonly failure?: unknown;
}

const unwritten: Memory = { isFirst: true };

async function remember<T>(
  { entry }: ApiRequest<T>,
  { isResumed = false }: Patience,
  journal: Journal,
): Promise<Memory> {
  if (isResumed) return { isFirst: false };
  if (!entry) return unwritten;
  try {
    return { isFirst: await journal.open(entry) };
  } catch (failure) {
    return { isFirst: true, failure };
  }
}

/** What is known of a call while it is being sent. */
interface Sending<T> {
  readonly request: ApiRequest<T>;
  readonly patience: Patience;
  readonly began: number;
  readonly tell: Tell | undefined;
  readonly attempts: Attempted<T>[];
  /** What the last retry took from the budget. */
  lastCost: number;
  /** The wait that the backoff drew last, which the next may depend on. */
  drawnMs: number;
}

/** Attempt after attempt, each the same request, until one settles it or there is a reason to send no other. */
async function sendUntilOver<T>(sending: Sending<T>, means: Means): Promise<Over<T>> {
  const { limits, signal } = sending.patience;
  const { clock, turns } = means;
  for (;;) {
    // Most of a thousand calls wait here. Whatever this function holds meanwhile, it holds a thousand times.
    const hasTurn = await turns.begin(limits.deadlineMs - (clock.now() - sending.began), signal);
    const attempted = hasTurn
      ? await attemptInTurn(sending, means)
      : signal?.aborted
        ? 'aborted'
        : 'deadline';
    if (typeof attempted === 'string') return giveUp(sending, attempted);
    const step = stepAfter(attempted, sending, means);
    if (step.kind === 'end')
      return { attempts: sending.attempts, why: 'refused', lastCost: sending.lastCost };
    if (step.kind === 'give_up') return giveUp(sending, step.why);
    await clock.sleep(step.waitMs, signal);
  }
}

/** @returns why it was not sent, where it was not */
async function attemptInTurn<T>(
  { request, patience: { limits, signal }, began, tell, attempts }: Sending<T>,
  means: Means,
): Promise<Attempted<T> | GaveUp> {
  const { breaker, clock, turns } = means;
  try {
    // The waits may have taken longer than they should, and everything else may have changed meanwhile.
    const sentAt = clock.now();
    const timeoutMs = attemptTimeoutMs(limits, sentAt - began);
    if (signal?.aborted) return 'aborted';
    if (timeoutMs === 0) return 'deadline';
    const pass = breaker ? breaker.enter(sentAt) : 0;
    if (pass === null) return 'circuit_open';

    const number = attempts.length + 1;
    tell?.({ type: 'attempt', attempt: number, method: request.method, path: request.path });
    const attempted = await attempt(request, means, { timeoutMs, signal });
    const { exchange, headers } = attempted;
    breaker?.leave(pass, exchange, clock.now());
    attempts.push(attempted);
    tell?.({
      type: 'exchange',
      attempt: number,
      exchange,
      requestId: headers?.get('request-id') ?? null,
      replayed: headers?.get('idempotent-replayed') === 'true',
      tookMs: clock.now() - sentAt,
    });
    return attempted;
  } finally {
    turns.end();
  }
}

/** What comes next. Where it is a retry, it has been paid for. */
function stepAfter<T>({ exchange }: Attempted<T>, sending: Sending<T>, means: Means): Step {
  const { clock, backoff, budget, breaker } = means;
  const { patience, began, attempts, tell } = sending;
  const now = clock.now();
  sending.drawnMs = backoffMs(backoff, {
    retry: attempts.length,
    previousMs: sending.drawnMs,
    random: clock.random(),
  });
  const cost = budget.costAfter(exchange);
  const step = nextStep({
    exchange,
    attempts: attempts.length,
    elapsedMs: now - began,
    limits: patience.limits,
    backoffMs: sending.drawnMs,
    isCircuitOpen: breaker?.isOpen(now) ?? false,
    isAffordable: budget.affords(cost),
  });
  if (step.kind !== 'retry') return step;
  budget.take(cost);
  sending.lastCost = cost;
  tell?.({ type: 'wait', attempt: attempts.length + 1, waitMs: step.waitMs, because: step.because });
  return step;
}

function giveUp<T>({ attempts, lastCost, patience, tell }: Sending<T>, why: GaveUp): Over<T> {
  tell?.({ type: 'give_up', why, attempts: attempts.length });
  const cause: unknown = why === 'aborted' ? patience.signal?.reason : undefined;
  return { attempts, why, lastCost, cause };
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
