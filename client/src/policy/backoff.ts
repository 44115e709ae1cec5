/**
 * How a wait is drawn below the bound, which doubles with each retry.
 *
 * - `full`: between nothing and the bound. The default: callers who failed together are spread over all of the time
 *   there is. Its waits are half as long on average, so with as many attempts it outlasts less: see docs/retries.md.
 * - `equal`: between half the bound and all of it. For whom an early retry is dear; it spreads half as well.
 * - `decorrelated`: between the base and three times the wait drawn before. It grows about as fast, but two callers who
 *   began together soon have bounds of their own.
 * - `none`: the bound itself. For tests, and for showing what goes wrong: all callers come back at once, again and again.
 *
 * The names and the reasons are those of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export type Jitter = 'full' | 'equal' | 'decorrelated' | 'none';

export interface Backoff {
  /** The bound of the first wait: about what a request takes, so that a hiccup costs little more than one. */
  readonly baseMs: number;
  /** What no wait exceeds. Some seconds: longer, and a server that is back waits for its callers. */
  readonly capMs: number;
  readonly jitter: Jitter;
}

export const defaultBackoff: Backoff = { baseMs: 100, capMs: 5_000, jitter: 'full' };

/** Where a call stands with its waits, and the chance that it draws. */
export interface Draw {
  /** 1 for the first retry. */
  readonly retry: number;
  /** What was drawn before; 0 before the first. Not how long was waited, which `Retry-After` may have made longer. */
  readonly previousMs: number;
  /** From 0 to just under 1. */
  readonly random: number;
}

/** Far beyond any cap, and still a number: twice as often as a double can be doubled is Infinity. */
const doublingsMax = 50;

/** @returns milliseconds, fractions included: from 0 to `capMs` */
export function backoffMs({ baseMs, capMs, jitter }: Backoff, { retry, previousMs, random }: Draw): number {
  const boundMs = Math.min(capMs, baseMs * 2 ** Math.min(retry - 1, doublingsMax));
  switch (jitter) {
    case 'full':
      return random * boundMs;
    case 'equal':
      return (0.5 + random / 2) * boundMs;
    case 'decorrelated': {
      const from = Math.min(capMs, baseMs);
      const to = Math.min(capMs, Math.max(baseMs, previousMs) * 3);
      return from + random * (to - from);
    }
    case 'none':
      return boundMs;
  }
}
