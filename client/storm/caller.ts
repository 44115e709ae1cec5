import type { Exchange } from '../src/exchange.js';
import { backoffMs } from '../src/policy/backoff.js';
import { CircuitBreaker } from '../src/policy/circuit-breaker.js';
import { RetryBudget } from '../src/policy/retry-budget.js';
import { attemptTimeoutMs, nextStep, verdictOn } from '../src/policy/retry-policy.js';
import { exponential, type Chance } from './chance.js';
import type { Policy } from './policies.js';
import type { Request, Server } from './server.js';
import type { Tally } from './tally.js';
import type { VirtualTime } from './virtual-time.js';

/** What all callers of a run have in common. */
export interface World {
  readonly time: VirtualTime;
  readonly server: Server;
  readonly tally: Tally;
  readonly policy: Policy;
  /** The mean time between two calls of one caller. */
  readonly betweenCallsMs: number;
  readonly chance: { readonly calls: Chance; readonly backoff: Chance };
}

/**
 * One process that calls the server, now and then, and does not wait for one call before it begins the next: whoever
 * serves people cannot make them come less often.
 */
export class Caller {
  readonly budget: RetryBudget | null;
  readonly breaker: CircuitBreaker | null;

  constructor(private readonly world: World) {
    const { budget, breaker } = world.policy;
    this.budget = budget && new RetryBudget(budget);
    this.breaker = breaker && new CircuitBreaker(breaker);
  }

  /** Calls by a Poisson process, until the end of the world. */
  start(): void {
    const { time, betweenCallsMs, chance } = this.world;
    time.after(exponential(betweenCallsMs, chance.calls), () => {
      new Call(this, this.world).begin();
      this.start();
    });
  }
}

/**
 * One call on its way. What to do about a failure is decided by the client's own functions, in ../src/policy: this
 * class stands where ../src/call.ts stands in the real client. It sends, waits and pays as it is told.
 */
class Call {
  readonly beganAt: number;
  attempts = 0;
  private previousBackoffMs = 0;
  /** What its last retry took from the budget. */
  private lastCost = 0;

  constructor(
    private readonly caller: Caller,
    private readonly world: World,
  ) {
    this.beganAt = world.time.now;
  }

  begin(): void {
    this.world.tally.callBegan(this.beganAt);
    this.attempt();
  }

  private get elapsedMs(): number {
    return this.world.time.now - this.beganAt;
  }

  private attempt(): void {
    const { time, tally, server, policy } = this.world;
    const { breaker } = this.caller;
    const timeoutMs = attemptTimeoutMs(policy.limits, this.elapsedMs);
    // Only who will send may enter: a pass has to be handed back.
    const pass = timeoutMs > 0 && breaker ? breaker.enter(time.now) : 0;
    if (timeoutMs === 0 || pass === null) {
      tally.callGaveUp(timeoutMs === 0 ? 'deadline' : 'circuit_open');
      return;
    }

    this.attempts += 1;
    tally.sent(time.now, this.attempts);
    const attempt = new Attempt(this, pass);
    time.after(timeoutMs, () => {
      attempt.answer(timedOut);
    });
    server.receive(attempt);
  }

  /** An attempt has come to its end. */
  goOn(exchange: Exchange, pass: number): void {
    const { time, tally, policy, chance } = this.world;
    const { budget, breaker } = this.caller;
    breaker?.leave(pass, exchange, time.now);
    if (verdictOn(exchange) === 'done') {
      budget?.success(this.lastCost);
      tally.callEndedWell(time.now, this);
      return;
    }

    tally.attemptFailed(this.attempts);
    const { attempts, elapsedMs, previousBackoffMs: previousMs } = this;
    const drawnMs = backoffMs(policy.backoff, { retry: attempts, previousMs, random: chance.backoff() });
    const cost = budget?.costAfter(exchange) ?? 0;
    const step = nextStep({
      exchange,
      attempts,
      elapsedMs,
      limits: policy.limits,
      backoffMs: drawnMs,
      isCircuitOpen: breaker?.isOpen(time.now) ?? false,
      isAffordable: budget?.affords(cost) ?? true,
    });
    switch (step.kind) {
      case 'retry':
        budget?.take(cost);
        if (budget) tally.budgetHolds(budget.tokens);
        this.lastCost = cost;
        this.previousBackoffMs = drawnMs;
        time.after(step.waitMs, () => {
          this.attempt();
        });
        break;
      case 'give_up':
        tally.callGaveUp(step.why);
        break;
      case 'end':
        throw new Error('The simulated server gives no final refusals.');
    }
  }
}

const timedOut = { kind: 'timed_out' } as const;

class Attempt implements Request {
  hasLeft = false;

  constructor(
    private readonly call: Call,
    private readonly pass: number,
  ) {}

  answer(exchange: Exchange): void {
    // An answer that comes too late is an answer to nobody.
    if (this.hasLeft) return;
    this.hasLeft = true;
    this.call.goOn(exchange, this.pass);
  }
}
