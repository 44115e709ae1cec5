import { Bug } from '../bug.js';
import type { Settings } from '../settings.js';
import type { PostponedBecause, Seat, Step } from './step.js';
import { publish } from './events.js';
import type { GroupCommit } from './group-commit.js';
import type { Held, Outcome, Outside } from './operation.js';

/** Held no longer, and not at its end: somebody else goes on, now or later. */
export type Left = Seat & { readonly kind: 'postponed' | 'parked' | 'fenced' };

/** How far a holder brought its operation. */
export type Driven = Outcome | Left;

export function isLeft(seat: Seat): seat is Left {
  return seat.kind === 'postponed' || seat.kind === 'parked' || seat.kind === 'fenced';
}

type Needs = Pick<
  Settings,
  'recoveryAttemptsMax' | 'recoveryBackoffMs' | 'recoveryBackoffMaxMs' | 'outageBackoffMaxMs'
>;

/**
 * Drives operations from one recovery point to the next: call, record, call, record. A request does it for its
 * caller, the completer for whoever has died.
 *
 * Between two transactions nothing is locked and no connection is held, however long the other company takes. All
 * that keeps others away meanwhile is the lease; when it has run out, the epoch keeps us from writing.
 */
export class Drive {
  private readonly underway = new Set<Promise<unknown>>();
  private readonly stopping = new AbortController();

  constructor(
    private readonly transactions: GroupCommit,
    private readonly outside: Outside,
    private readonly settings: Needs,
  ) {}

  /** How many are under way. */
  get count(): number {
    return this.underway.size;
  }

  /** Whether calls are cut short by now: whoever waits for one had better not. */
  get isStopping(): boolean {
    return this.stopping.signal.aborted;
  }

  /** @throws Unavailable: what came of a call could not be recorded. The lease runs out, and somebody asks again. */
  start(held: Held): Promise<Driven> {
    const drive = this.goOn(held);
    this.underway.add(drive);
    const end = () => void this.underway.delete(drive);
    // Also when nobody waits for it any more: what went wrong has been published.
    drive.then(end, end);
    return drive;
  }

  /** Cuts calls short after `ms`, and gives their leases back, so that another instance need not wait for them. */
  stopAfter(ms: number): void {
    setTimeout(() => {
      this.stopping.abort();
    }, ms).unref();
  }

  private async goOn(first: Held): Promise<Driven> {
    let held = first;
    try {
      for (;;) {
        const seat = await this.transactions.commit(await this.nextStep(held));
        if (seat.kind === 'claim_again') throw new Bug('PS-109', 'a held key was to be claimed again');
        if (seat.kind !== 'held') {
          if (isLeft(seat)) publishLeft(held, seat);
          return seat;
        }
        held = seat.held;
      }
    } catch (error) {
      publish('stranded', [{ attempt: held.attempt, held }], { error });
      throw error;
    }
  }

  /** Makes the call of the phase, if there is another try left, and says how its result is to be recorded. */
  private async nextStep(held: Held): Promise<Step> {
    const { attempt, attempts, point } = held;
    const { signal } = this.stopping;
    if (attempts > this.settings.recoveryAttemptsMax) {
      const reason = `taken up ${attempts - 1} times, and never brought to an end`;
      return { attempt, held, decide: () => ({ kind: 'park', reason }) };
    }
    const phase = attempt.operation.phases[point];
    if (phase?.kind !== 'call')
      throw new Bug('PS-108', `${attempt.operation.name} makes no call at ${point}`);

    const begun = performance.now();
    publish('call_begins', [{ attempt, held }]);
    const result = await phase.call(this.outside, held, signal);
    publish('call_ended', [{ attempt, held }]);
    const ageMs = held.ageMs + performance.now() - begun;
    return {
      attempt,
      held,
      waitMs: because => (signal.aborted ? 0 : this.waitMs(because, attempts, ageMs)),
      decide: (books, claim) => phase.record(books, claim, result),
    };
  }

  /**
   * - The other side could not be reached: as long again as the operation is old, up to a low bound. Asking in vain
   *   costs nothing then, and the backlog is to drain as soon as it can.
   * - It is at work on it: as long again as it has taken so far.
   * - It was reached, and nothing is known: doubling with each such attempt.
   *
   * Jittered, so that a backlog does not come back all at once.
   */
  private waitMs(because: PostponedBecause, attempts: number, ageMs: number): number {
    const { recoveryBackoffMs, recoveryBackoffMaxMs, outageBackoffMaxMs } = this.settings;
    const longest = because === 'not_sent' ? outageBackoffMaxMs : recoveryBackoffMaxMs;
    const ms =
      because === 'unknown' ? recoveryBackoffMs * 2 ** (attempts - 1) : Math.max(ageMs, recoveryBackoffMs);
    return Math.min(ms, longest) * (0.5 + Math.random() / 2);
  }
}

function publishLeft(held: Held, seat: Left): void {
  const reason = seat.kind === 'fenced' ? {} : { reason: seat.reason };
  publish(seat.kind, [{ attempt: held.attempt, held }], reason);
}
