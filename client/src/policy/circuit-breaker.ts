import type { Exchange } from '../exchange.js';

/**
 * Sends nothing for a while where a server has done nothing but fail: calls then fail at once instead of after their
 * deadline, and the server gets the quiet that it needs. All calls to one server share a breaker.
 *
 *                 failuresMax in a row                 coolDownMs are over
 *     closed ────────────────────────────▶ open ────────────────────────────▶ half_open
 *        ▲                                  ▲                                  │ one attempt, the probe, is let through
 *        │                                  └──────── the probe fails ─────────┤
 *        └─────────────────────────────────────────── the probe succeeds ──────┘
 *
 * - closed: everything passes. One success, and the counting starts again.
 * - open: nothing passes.
 * - half_open: the probe is on its way, and nothing else passes. A probe that its caller aborted says nothing: the next
 *   to ask is the probe.
 *
 * Each change of state begins a new era, and an attempt counts in the era in which it was let through only. Otherwise
 * the answers to attempts from before the outage, arriving late, would close a breaker, or keep it open.
 */
export type BreakerState =
  | { readonly kind: 'closed'; readonly era: number; readonly failures: number }
  | { readonly kind: 'open'; readonly era: number; readonly untilMs: number }
  | { readonly kind: 'half_open'; readonly era: number };

export class BreakerSettings {
  /**
   * Failures in a row, over all calls, after which the server is taken for down. Fewer, and one bad second of a busy
   * caller's closes the shop; more, and a quiet caller never gets there.
   */
  readonly failuresMax: number = 20;

  /** How long nothing is sent. A server restarts in about that time; longer, and it waits for its callers. */
  readonly coolDownMs: number = 5_000;
}

export const closedBreaker: BreakerState = { kind: 'closed', era: 0, failures: 0 };

/** The state in which an attempt that wants to be sent now leaves the breaker, or `null`: it is turned away. */
export function letThrough(state: BreakerState, now: number): BreakerState | null {
  if (state.kind === 'closed') return state;
  if (state.kind === 'open' && now >= state.untilMs) return { kind: 'half_open', era: state.era + 1 };
  return null;
}

export type Health = 'well' | 'failing' | 'unclear';

/** The state after an attempt of the era `passedIn` has come to its end. */
export function afterAttempt(
  state: BreakerState,
  { passedIn, health, now }: { passedIn: number; health: Health; now: number },
  { failuresMax, coolDownMs }: BreakerSettings,
): BreakerState {
  if (passedIn !== state.era || state.kind === 'open') return state;
  const era = state.era + 1;
  if (state.kind === 'half_open') {
    if (health === 'well') return { kind: 'closed', era, failures: 0 };
    return { kind: 'open', era, untilMs: health === 'failing' ? now + coolDownMs : now };
  }
  if (health === 'unclear') return state;
  const failures = health === 'failing' ? state.failures + 1 : 0;
  return failures < failuresMax ? { ...state, failures } : { kind: 'open', era, untilMs: now + coolDownMs };
}

/** Any answer below 500 comes from a server that works, a no included. What the caller aborted says nothing. */
export function healthAfter(exchange: Exchange): Health {
  if (exchange.kind === 'aborted') return 'unclear';
  return exchange.kind === 'answered' && exchange.status < 500 ? 'well' : 'failing';
}

/** The breaker's place for its state. `now` is handed in everywhere: milliseconds that only ever go forward. */
export class CircuitBreaker {
  private state: BreakerState = closedBreaker;
  private readonly settings: BreakerSettings;

  /** @throws RangeError where a setting makes no sense: the breaker would open at once, or never close again */
  constructor(settings: Partial<BreakerSettings> = {}) {
    this.settings = { ...new BreakerSettings(), ...settings };
    const { failuresMax, coolDownMs } = this.settings;
    if (!(failuresMax >= 1))
      throw new RangeError(`CircuitBreaker: failuresMax must be 1 or more, not ${failuresMax}.`);
    if (!(coolDownMs >= 0 && coolDownMs < Infinity)) {
      throw new RangeError(`CircuitBreaker: coolDownMs must be 0 or more, and end, not ${coolDownMs}.`);
    }
  }

  get kind(): BreakerState['kind'] {
    return this.state.kind;
  }

  /** Whether an attempt would be turned away now. Asking changes nothing. */
  isOpen(now: number): boolean {
    return letThrough(this.state, now) === null;
  }

  /**
   * Asks to send one attempt.
   *
   * @returns its pass, to be handed to `leave` whatever becomes of it, or `null`: it is turned away. A pass that is
   *   never handed back may be the probe's, and would keep the breaker shut for good
   */
  enter(now: number): number | null {
    const next = letThrough(this.state, now);
    if (!next) return null;
    this.state = next;
    return next.era;
  }

  /** The attempt with this pass has come to its end. */
  leave(pass: number, exchange: Exchange, now: number): void {
    this.state = afterAttempt(
      this.state,
      { passedIn: pass, health: healthAfter(exchange), now },
      this.settings,
    );
  }
}
