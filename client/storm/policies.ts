import { defaults } from '../src/options.js';
import { defaultBackoff, type Backoff } from '../src/policy/backoff.js';
import type { BreakerSettings } from '../src/policy/circuit-breaker.js';
import type { RetryPrices } from '../src/policy/retry-budget.js';
import type { RetryLimits } from '../src/policy/retry-policy.js';

/** How a client retries: what `new PaySam({...})` would be given. */
export interface Policy {
  readonly limits: RetryLimits;
  readonly backoff: Backoff;
  /** Null: retries cost nothing. */
  readonly budget: Partial<RetryPrices> | null;
  readonly breaker: Partial<BreakerSettings> | null;
}

/** The defaults of PaySam, and what is left when one takes their parts away. */
const bare = { limits: defaults, backoff: defaultBackoff, budget: null, breaker: null } satisfies Policy;

/**
 * From thoughtless to careful. Full jitter is exponential too, and the budgets and the breaker come with full jitter;
 * `budget` is the client as it is delivered, and `breaker` is that with a breaker.
 */
export const policies = {
  'no retries': { ...bare, limits: { ...defaults, attemptsMax: 1 } },
  'no backoff': { ...bare, backoff: { baseMs: 0, capMs: 0, jitter: 'none' } },
  exponential: { ...bare, backoff: { ...defaultBackoff, jitter: 'none' } },
  'full jitter': bare,
  budget: { ...bare, budget: {} },
  'smaller budget': { ...bare, budget: { capacity: 100 } },
  breaker: { ...bare, budget: {}, breaker: {} },
} as const satisfies Record<string, Policy>;

export type PolicyName = keyof typeof policies;
