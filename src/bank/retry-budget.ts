/**
 * Bounds what repeats add to a bank in trouble. Every repeat costs tokens, every success gives one back: while the
 * bank is well there are always enough, and in an outage they are soon gone, so that each call makes one request.
 * All calls share it. The prices are those of AWS's clients ("standard" retry mode).
 */
export class RetryBudget {
  private tokens: number;

  constructor(private readonly capacity: number) {
    this.tokens = capacity;
  }

  /** @returns whether there were enough; if not, none is taken, and nothing may be repeated */
  take(cost: number): boolean {
    if (this.tokens < cost) return false;
    this.tokens -= cost;
    return true;
  }

  give(): void {
    this.tokens = Math.min(this.capacity, this.tokens + 1);
  }
}

export const repeatCost = 5;

/** A time-out has held a connection for seconds: repeating it is dearer. */
export const repeatAfterTimeoutCost = 10;
