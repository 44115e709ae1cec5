import { systemClock, type Clock } from './clock.js';
import type { Means } from './call.js';
import type { ClientEvent } from './events.js';
import type { Journal } from './journal/journal.js';
import { defaultBackoff, type Backoff } from './policy/backoff.js';
import type { CircuitBreaker } from './policy/circuit-breaker.js';
import { RetryBudget } from './policy/retry-budget.js';
import type { RetryLimits } from './policy/retry-policy.js';
import { Turns } from './turns.js';

export interface PaySamOptions {
  readonly apiKey: string;
  /** Where the API is: `https://api.example`, say. A path is kept, everything behind it is a mistake. */
  readonly baseUrl: string;
  /** In place of the global `fetch`: for tests, proxies, other runtimes. It must not retry, and not follow redirects. */
  readonly fetch?: typeof fetch | undefined;
  /** Where keys are kept until their outcome is known. Without one, a crash forgets them, and `resume()` has nothing. */
  readonly journal?: Journal | undefined;
  readonly clock?: Clock | undefined;
  /** Told what happens as it happens. What it throws is dropped: a log that is full stops no payment. */
  readonly onEvent?: ((event: ClientEvent) => void) | undefined;
  /**
   * How often a request is sent at most, the first time included. 4 get through a restart or a lost packet; what four did
   * not settle, a fifth would hardly, while in an outage each of them is load.
   */
  readonly attemptsMax?: number | undefined;
  /**
   * How many requests of this object may be under way at once; further calls wait for a turn, within their deadlines.
   * 16 at 20 ms each are 800 payments a second. Fewer, and payments through a slow bank wait for each other; more, and
   * a thousand calls at once take connections and memory for all of them.
   */
  readonly atOnceMax?: number | undefined;
  /**
   * How long one attempt may take, to the last byte of its answer: milliseconds. A payment through a bank is answered
   * after up to 10 s; 5 s more, so that the answer is not missed by a moment. Shorter, and slow payments look lost.
   */
  readonly attemptTimeoutMs?: number | undefined;
  /**
   * How long a call may take, with all of its attempts and the waits between them: milliseconds. Four slow attempts fit
   * in. Nothing is begun that could not end by then.
   */
  readonly deadlineMs?: number | undefined;
  readonly backoff?: { readonly [Name in keyof Backoff]?: Backoff[Name] | undefined } | undefined;
  /** Shared by all calls of this object; give several objects the same, if they call the same server. */
  readonly budget?: RetryBudget | undefined;
  /** None by default: the budget bounds what retries add, and a breaker turns away first attempts as well. */
  readonly breaker?: CircuitBreaker | undefined;
}

/** Of one call. */
export interface CallOptions {
  /** Ends the call. What it has sent may still be carried out, so after that its outcome is unknown. */
  readonly signal?: AbortSignal | undefined;
  readonly deadlineMs?: number | undefined;
}

export const defaults: RetryLimits = { attemptsMax: 4, attemptTimeoutMs: 15_000, deadlineMs: 60_000 };

/** What a timer can wait at most; asked for more, it does not wait at all. */
const timerMaxMs = 2 ** 31 - 1;

/** How much longer than the server's wait an attempt may take: for the way there and back. */
const beyondWaitMs = 5_000;

/** @throws TypeError: a mistake in the options is told before the first call */
export function readOptions(options: PaySamOptions): { means: Means; limits: RetryLimits } {
  const { apiKey, journal, onEvent, breaker, clock = systemClock, fetch = globalThis.fetch } = options;
  const { atOnceMax = 16 } = options;
  if (!(Number.isSafeInteger(atOnceMax) && atOnceMax > 0)) {
    throw new TypeError('atOnceMax: a whole number, 1 or more.');
  }
  const turns = new Turns(atOnceMax, clock);
  if (typeof apiKey !== 'string' || !/^[!-~]+$/.test(apiKey)) {
    throw new TypeError('apiKey: give the API key as it is, without blanks or line ends.');
  }
  const backoff = { ...defaultBackoff, ...given(options.backoff ?? {}) };
  const budget = options.budget ?? new RetryBudget();
  const baseUrl = readBaseUrl(options.baseUrl);
  return {
    means: { fetch, baseUrl, apiKey, journal, clock, backoff, budget, breaker, turns, onEvent },
    limits: readLimits({ ...defaults, ...given(options) }),
  };
}

/** The bounds of one call. An attempt has to outlast the wait that it asks the server for. */
export function limitsOf(
  limits: RetryLimits,
  { deadlineMs, waitSeconds }: { deadlineMs?: number | undefined; waitSeconds?: number | undefined },
): RetryLimits {
  if (deadlineMs === undefined && !waitSeconds) return limits;
  const outlasting = waitSeconds ? waitSeconds * 1_000 + beyondWaitMs : 0;
  return readLimits({
    ...limits,
    attemptTimeoutMs: Math.max(limits.attemptTimeoutMs, outlasting),
    deadlineMs: deadlineMs ?? limits.deadlineMs,
  });
}

function readLimits({ attemptsMax, attemptTimeoutMs, deadlineMs }: RetryLimits): RetryLimits {
  if (!Number.isSafeInteger(attemptsMax) || attemptsMax < 1) {
    throw new TypeError('attemptsMax: a whole number, 1 or more.');
  }
  if (!(attemptTimeoutMs > 0 && attemptTimeoutMs <= timerMaxMs)) {
    throw new TypeError(`attemptTimeoutMs: more than 0, at most ${timerMaxMs}.`);
  }
  if (!(deadlineMs > 0)) throw new TypeError('deadlineMs: more than 0 milliseconds.');
  return { attemptsMax, attemptTimeoutMs, deadlineMs };
}

function readBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url && /^https?:$/.test(url.protocol) && !/[?#@]/.test(text);
  if (!isPlain)
    throw new TypeError('baseUrl: an http or https address, without credentials, query or fragment.');
  return url.href.replace(/\/+$/, '');
}

/** Undefined is the same as left out. */
function given<Options extends object>(
  options: Options,
): { [Name in keyof Options]: Exclude<Options[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
