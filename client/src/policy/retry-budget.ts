import type { Exchange } from '../exchange.js';

/**
 * What retries cost, in tokens. The defaults are those that AWS's clients had in "standard" mode for years. In 2026 they
 * became stricter: 14, and 5 where the server asks its callers to slow down; whoever wants that sets `retryCost`.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
 */
export class RetryPrices {
  /**
   * Tokens at the start, and at most: a hundred retries in a row. Less, and one hiccup of the network leaves calls
   * without a retry; more, and a server in trouble is sent what it needs its strength for.
   */
  readonly capacity: number = 500;

  /**
   * What a retry costs. One that helps is paid back, and five calls that need none pay for one in vain: so once the
   * bucket is empty, retries add nothing to a server that fails for everybody. To one that fails for a few they add
   * what helps, and besides a fifth of the calls that succeed. docs/retries.md has the figures.
   */
  readonly retryCost: number = 5;

  /** What a retry after a time-out costs. Twice as much: the attempt before has held a connection for seconds. */
  readonly timeoutRetryCost: number = 10;

  /** What a call gives back that succeeded at once. */
  readonly successGain: number = 1;
}

/**
 * Bounds what retries add to a server in trouble. Every retry costs tokens, every success gives some back: while the
 * server is well there are always enough, and in an outage they are soon gone, so that each call sends one request.
 *
 * Its strength is in being shared: each call alone may be modest, and all of them together still a flood. One for each
 * PaySam is the default; whoever has several of those for one server gives them the same budget.
 */
export class RetryBudget {
  readonly prices: RetryPrices;
  private left: number;

  /** @throws RangeError where a price is negative or no number: retries would be free, or fill the bucket */
  constructor(prices: Partial<RetryPrices> = {}) {
    this.prices = { ...new RetryPrices(), ...prices };
    for (const [name, price] of Object.entries(this.prices)) {
      if (!(price >= 0)) throw new RangeError(`RetryBudget: ${name} must be 0 or more, not ${price}.`);
    }
    this.left = this.prices.capacity;
  }

  /** What is left: from 0 to `prices.capacity`. */
  get tokens(): number {
    return this.left;
  }

  /** What a retry after this exchange costs. */
  costAfter(exchange: Exchange): number {
    return exchange.kind === 'timed_out' ? this.prices.timeoutRetryCost : this.prices.retryCost;
  }

  affords(cost: number): boolean {
    return this.left >= cost;
  }

  /** @returns whether there were enough; if not, none is taken, and nothing may be retried */
  take(cost: number): boolean {
    if (!this.affords(cost)) return false;
    this.left -= cost;
    return true;
  }

  /**
   * A call has come to its end with an answer that settles it, be it a no: the server is well.
   *
   * @param lastCost what the call's last retry took, which comes back; 0 if it needed none
   */
  success(lastCost = 0): void {
    const gain = lastCost > 0 ? lastCost : this.prices.successGain;
    this.left = Math.min(this.prices.capacity, this.left + gain);
  }
}
