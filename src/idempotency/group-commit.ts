import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { Bug } from '../bug.js';
import { Bus } from '../database/bus.js';
import { isWorthAnotherTry, Unavailable, violatedConstraint } from '../database/failures.js';
import { inTransaction } from '../database/transaction.js';
import type { Settings } from '../settings.js';
import { atomicPhase, DecisionFailed, type Seat } from './atomic-phase.js';
import { publish } from './events.js';
import type { Attempt, Bookkeeping, Books } from './operation.js';
import { recall } from './recall.js';

/**
 * Lets concurrent attempts share a transaction, and keeps the promises of each when it fails:
 *
 * - Deadlock, lock time-out, lost connection: the whole batch is repeated, a bounded number of times. That is
 *   safe even when the connection was lost during COMMIT: the claims tell what had been committed, and each
 *   attempt knows its own row by its attempt id.
 * - Anything else: some attempt cannot work. The batch is split until that one fails alone.
 * - The one exception: the payment of a reaped key still remembers it. That is a repeat, not a failure.
 */
export class GroupCommit {
  private readonly bus: Bus<Attempt, Seat>;

  constructor(
    private readonly dataSource: DataSource,
    private readonly bookkeeping: Bookkeeping<Books>,
    private readonly settings: Settings,
  ) {
    const { batchSizeMax, batchesAtOnceMax, waitingMax } = settings;
    this.bus = new Bus({ seatsMax: batchSizeMax, busesMax: batchesAtOnceMax, waitingMax }, attempts =>
      this.drive(attempts),
    );
  }

  /** @throws StopFull, Unavailable: nothing is known to have happened, the key is as it was or finished */
  commit(attempt: Attempt): Promise<Seat> {
    return this.bus.board(attempt);
  }

  private async drive(attempts: readonly Attempt[]): Promise<(Seat | Error)[]> {
    for (let repeats = 0; ; repeats += 1) {
      try {
        return await this.inOneTransaction(attempts);
      } catch (error) {
        const isOurs = error instanceof DecisionFailed || error instanceof Bug;
        if (isOurs || !isWorthAnotherTry(error)) return this.apart(attempts, error);
        if (repeats >= this.settings.batchRepeatsMax) {
          return attempts.map(() => new Unavailable('the database cannot be reached', { cause: error }));
        }
        publish('batch_repeated', attempts, error);
        await sleep(Math.random() * 20 * 2 ** repeats);
      }
    }
  }

  private async inOneTransaction(attempts: readonly Attempt[]): Promise<Seat[]> {
    publish('boarding', attempts);
    const seats = await inTransaction(this.dataSource, this.settings, (tx, begun) =>
      atomicPhase(tx, attempts, {
        begun,
        bookkeeping: this.bookkeeping,
        retentionMs: this.settings.answerRetentionMs,
      }),
    );
    publish('committed', attempts);
    return seats;
  }

  /** Halves, and halves again: one attempt in a hundred that cannot work costs a dozen transactions, not a hundred. */
  private async apart(attempts: readonly Attempt[], error: unknown): Promise<(Seat | Error)[]> {
    const [only, ...others] = attempts;
    if (only && others.length === 0) return [await this.recalled(only, error)];
    publish('batch_split', attempts, error);
    const middle = Math.ceil(attempts.length / 2);
    return [...(await this.drive(attempts.slice(0, middle))), ...(await this.drive(attempts.slice(middle)))];
  }

  /** The answer of a key that was reaped, rebuilt from what its operation left behind; else the error it is. */
  private async recalled(attempt: Attempt, error: unknown): Promise<Seat | Error> {
    const failure = Error.isError(error) ? error : new Error(String(error));
    if (violatedConstraint(error) !== attempt.operation.memory.constraint) return failure;
    try {
      const outcome = await inTransaction(this.dataSource, this.settings, tx =>
        recall(tx, attempt, this.settings.answerRetentionMs),
      );
      return outcome ?? failure;
    } catch (cause) {
      return new Unavailable('what the key was used for could not be read', { cause });
    }
  }
}
