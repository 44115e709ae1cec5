import type { GaveUp } from '../src/events.js';

/** Everything is counted by when it happened, in windows of this length. */
export const windowMs = 10;

/** A call is as good as on a quiet day if it ended well within this time, waits and retries included. */
export const goodWithinMs = 1_000;

/** What happened in one run, counted as it happens. */
export class Tally {
  calls = 0;
  sends = 0;
  retries = 0;
  endedWell = 0;
  /** Calls whose first attempt failed. */
  hurt = 0;
  /** Those of them that ended well all the same. */
  healed = 0;
  readonly gaveUp: Record<GaveUp, number> = {
    attempts: 0,
    deadline: 0,
    budget: 0,
    circuit_open: 0,
    aborted: 0,
  };
  /** Requests that reached the server, or its closed door. */
  readonly sendsIn: Uint32Array;
  readonly endedWellIn: Uint32Array;
  /** Calls by when they began; and those of them that ended well, in good time. */
  readonly begunIn: Uint32Array;
  readonly goodOfBegunIn: Uint32Array;
  /** The least that any retry budget ever held. */
  leastTokens = Infinity;

  constructor(readonly lastsMs: number) {
    const windows = Math.ceil(lastsMs / windowMs);
    this.sendsIn = new Uint32Array(windows);
    this.endedWellIn = new Uint32Array(windows);
    this.begunIn = new Uint32Array(windows);
    this.goodOfBegunIn = new Uint32Array(windows);
  }

  get gaveUpInAll(): number {
    return Object.values(this.gaveUp).reduce((sum, count) => sum + count, 0);
  }

  callBegan(now: number): void {
    this.calls += 1;
    count(this.begunIn, now);
  }

  sent(now: number, attempt: number): void {
    this.sends += 1;
    if (attempt > 1) this.retries += 1;
    count(this.sendsIn, now);
  }

  attemptFailed(attempt: number): void {
    if (attempt === 1) this.hurt += 1;
  }

  budgetHolds(tokens: number): void {
    this.leastTokens = Math.min(this.leastTokens, tokens);
  }

  callEndedWell(now: number, { beganAt, attempts }: { beganAt: number; attempts: number }): void {
    this.endedWell += 1;
    if (attempts > 1) this.healed += 1;
    count(this.endedWellIn, now);
    if (now - beganAt <= goodWithinMs) count(this.goodOfBegunIn, beganAt);
  }

  callGaveUp(why: GaveUp): void {
    this.gaveUp[why] += 1;
  }
}

/** How many there were from one time to just before another. */
export function sumOf(counts: Uint32Array, fromMs: number, toMs: number): number {
  return counts.subarray(fromMs / windowMs, toMs / windowMs).reduce((sum, each) => sum + each, 0);
}

function count(counts: Uint32Array, at: number): void {
  const window = Math.floor(at / windowMs);
  counts[window] = (counts[window] ?? 0) + 1;
}
