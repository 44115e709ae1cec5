import {
  BulkheadRejectedError,
  CircuitState,
  CountBreaker,
  bulkhead,
  circuitBreaker,
  handleWhenResult,
  type BulkheadPolicy,
  type CircuitBreakerPolicy,
} from 'cockatiel';
import type { Dispatcher } from 'undici';
import type { Settings } from '../settings.js';
import type { BankRequest, HttpAnswer, HttpEnd } from './bank-request.js';
import { publish } from './events.js';

/**
 * The circuit opens when more than 70 % of the last fifty requests failed, and not before twenty were made. One who
 * tries the payees that fail, one after the other, does not get there: sooner or later the bank answers when asked.
 * A bank that is down gets there with its thirty-sixth failure at the latest.
 */
const sample = { threshold: 0.7, size: 50, minimumNumberOfCalls: 20 };

/**
 * Who may make a request now: so many at once, so many waiting, and none while the bank is down. After a break of
 * `bankBreakMs` one request tries; nobody waits for what becomes of it, all others are turned away until it is known.
 */
export class Gate {
  private readonly slots: BulkheadPolicy;
  private readonly circuit: CircuitBreakerPolicy;
  private openedAt = 0;

  constructor(
    private readonly settings: Pick<Settings, 'bankRequestsAtOnceMax' | 'bankWaitingMax' | 'bankBreakMs'>,
  ) {
    this.slots = bulkhead(settings.bankRequestsAtOnceMax, settings.bankWaitingMax);
    this.circuit = circuitBreaker(handleWhenResult(isOutage), {
      breaker: new CountBreaker(sample),
      // Always due: `isAnswering` measures the break, by a clock that nobody can set back.
      halfOpenAfter: -Infinity,
    });
    this.circuit.onStateChange(state => {
      if (state === CircuitState.Open) this.openedAt = performance.now();
      publish({ circuit: named[state] });
    });
  }

  /** False during a break, and while the one that tries is under way. */
  get isAnswering(): boolean {
    const { state } = this.circuit;
    if (state === CircuitState.Open) return performance.now() - this.openedAt >= this.settings.bankBreakMs;
    return state === CircuitState.Closed;
  }

  /** Sends it when its turn comes, or cuts it. Its end tells which. */
  async pass(request: BankRequest, dispatcher: Dispatcher): Promise<void> {
    if (!this.isAnswering) {
      request.cut(circuitIsOpen);
      return;
    }
    try {
      await this.slots.execute(() => this.takeTurn(request, dispatcher));
    } catch (error) {
      if (!(error instanceof BulkheadRejectedError)) throw error;
      request.cut('too many requests wait for the bank');
    }
  }

  private async takeTurn(request: BankRequest, dispatcher: Dispatcher): Promise<void> {
    // While it waited, its call may have ended, or the circuit may have opened.
    if (request.isOver) return;
    if (!this.isAnswering) {
      request.cut(circuitIsOpen);
      return;
    }
    try {
      await this.circuit.execute(async () => {
        const end = await request.run(dispatcher);
        if (isOurDoing(end) && this.circuit.state === CircuitState.Closed) throw new GivenUp();
        return end;
      });
    } catch (error) {
      if (!(error instanceof GivenUp)) throw error;
    }
  }
}

const circuitIsOpen = 'the bank does not answer at the moment';

/** What we gave up ourselves counts neither way: the circuit ignores errors that it was not told to handle. */
class GivenUp extends Error {}

function isOurDoing(end: HttpEnd): boolean {
  return 'failure' in end && end.failure.blame === 'us';
}

/** Where one request tries whether the bank is back, only an answer counts as one. */
function isOutage(end: unknown): boolean {
  const { answer } = end as { answer?: HttpAnswer };
  return answer === undefined || answer.status >= 500;
}

const named = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half_open',
  // Only ever set by hand, which nobody does.
  [CircuitState.Isolated]: 'open',
} as const;
