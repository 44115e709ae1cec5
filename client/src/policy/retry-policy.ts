import type { GaveUp } from '../events.js';
import type { Exchange } from '../exchange.js';

/**
 * Whether to send a request again, and when. Everything here is pure: what is known goes in, a decision comes out, and
 * whoever asks (call.ts) does the sending, the waiting and the paying.
 *
 *     an exchange ── verdictOn ──▶ done, stop ──────────────────────▶ end
 *                         │
 *                         └──────▶ retry ── attempts, deadline,
 *                                           breaker, budget? ───────▶ give_up
 *                                                 │
 *                                                 └── wait ─────────▶ the next attempt
 *
 * That a request may be sent again at all is due to its key, not to these rules: they only save the server's strength
 * and the caller's time. What the exchanges say about the payment itself is another question, and judge.ts answers it.
 */

/** What one call may spend. */
export interface RetryLimits {
  /** How often the request is sent at most, the first time included. */
  readonly attemptsMax: number;
  /** How long one attempt may take, to the last byte of its answer. It has to outlast the wait that is asked for. */
  readonly attemptTimeoutMs: number;
  /** How long the call may take, with all of its attempts and the waits between them. */
  readonly deadlineMs: number;
}

/** The longest wait that a server may ask for: its lease runs no longer, and a wrong clock should not stop a caller. */
export const retryAfterMaxMs = 30_000;

export type Verdict = 'done' | 'stop' | 'retry';

/**
 * Whether trying again might help. The first rule that applies decides:
 *
 * 1. the caller has given up: stop;
 * 2. an answer, 200 to 299: done (one that was cut short or could not be read has come as `broken`);
 * 3. no answer: retry, for whatever may have been carried out is found again by its key;
 * 4. the server says whether: as it says, whatever the status. It knows, the status only hints;
 * 5. in progress, too slow, too many, or the server's own failure: retry;
 * 6. every other answer would be the same the next time: stop.
 */
export function verdictOn(exchange: Exchange): Verdict {
  if (exchange.kind === 'aborted') return 'stop';
  if (exchange.kind !== 'answered') return 'retry';
  const { status, code, shouldRetry } = exchange;
  if (status >= 200 && status <= 299) return 'done';
  if (shouldRetry !== null) return shouldRetry ? 'retry' : 'stop';
  if (status === 409 && code === 'in_progress') return 'retry';
  return status === 408 || status === 429 || status >= 500 ? 'retry' : 'stop';
}

/** Where a call stands after an attempt. */
export interface Standing {
  /** What became of that attempt. */
  readonly exchange: Exchange;
  /** Attempts so far, that one included. */
  readonly attempts: number;
  /** Since the call began. */
  readonly elapsedMs: number;
  readonly limits: RetryLimits;
  /** The wait that the backoff has drawn, should there be another attempt. */
  readonly backoffMs: number;
  /** Whether the breaker would turn another attempt away; false where there is none. */
  readonly isCircuitOpen: boolean;
  /** Whether the budget can pay for another attempt. */
  readonly isAffordable: boolean;
}

export type Step =
  | { readonly kind: 'end' }
  | { readonly kind: 'give_up'; readonly why: GaveUp }
  | {
      readonly kind: 'retry';
      readonly waitMs: number;
      /** Whether the server named the time, or the backoff did. */
      readonly because: 'retry_after' | 'backoff';
    };

/**
 * What comes after an attempt. Where trying again might help, the bounds are asked in this order, and the first that
 * is reached is why the call gives up: attempts, deadline, breaker, budget. So the budget is only ever spent on a retry
 * that will be made: whoever gets `retry` takes its cost, before anything else happens.
 *
 * A signal that aborts during the wait, or a breaker that opens during it, is for whoever waits to see.
 */
export function nextStep(standing: Standing): Step {
  const { exchange, attempts, elapsedMs, limits, backoffMs, isCircuitOpen, isAffordable } = standing;
  if (exchange.kind === 'aborted') return { kind: 'give_up', why: 'aborted' };
  if (verdictOn(exchange) !== 'retry') return { kind: 'end' };

  const askedMs = Math.min(askedToWaitMs(exchange), retryAfterMaxMs);
  const waitMs = Math.max(backoffMs, askedMs);
  if (attempts >= limits.attemptsMax) return { kind: 'give_up', why: 'attempts' };
  if (elapsedMs + waitMs >= limits.deadlineMs) return { kind: 'give_up', why: 'deadline' };
  if (isCircuitOpen) return { kind: 'give_up', why: 'circuit_open' };
  if (!isAffordable) return { kind: 'give_up', why: 'budget' };
  return { kind: 'retry', waitMs, because: askedMs > backoffMs ? 'retry_after' : 'backoff' };
}

function askedToWaitMs(exchange: Exchange): number {
  return exchange.kind === 'answered' ? (exchange.retryAfterMs ?? 0) : 0;
}

/**
 * How long the next attempt may take: no longer than what is left of the call.
 *
 * @returns 0 once the deadline has come, a timer having fired late, say: then nothing may be sent any more
 */
export function attemptTimeoutMs(limits: RetryLimits, elapsedMs: number): number {
  return Math.max(0, Math.min(limits.attemptTimeoutMs, limits.deadlineMs - elapsedMs));
}
