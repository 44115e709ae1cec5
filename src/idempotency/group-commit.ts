import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { Bug } from '../bug.js';
import { Bus } from '../database/bus.js';
import { isWorthAnotherTry, Unavailable, violatedConstraint } from '../database/failures.js';
import { inTransaction } from '../database/transaction.js';
import type { Settings } from '../settings.js';
import { atomicPhase, DecisionFailed } from './atomic-phase.js';
import { publish } from './events.js';
import type { Bookkeeping, Books, Operation } from './operation.js';
import { recall, type KeysRemembered } from './recall.js';
import type { Seat, Step } from './step.js';

/**
 * Lets concurrent attempts share a transaction, and keeps the promises of each when it fails:
 *
 * - Deadlock, lock time-out, lost connection: the whole batch is repeated, a bounded number of times. That is
 *   safe even when the connection was lost during COMMIT: the claims tell what had been committed, and each
 *   attempt knows its own row by its attempt id. Should that row be gone by then, what was done under it still
 *   remembers the attempt's key, and refuses a second effect.
 * - Anything else: some attempt cannot work. The batch is split until that one fails alone.
 * - The one exception: what was done under a reaped key still remembers it. That is a repeat, not a failure.
 */
export class GroupCommit {
  private readonly bus: Bus<Step, Seat>;
  private readonly keysRemembered: KeysRemembered = new WeakMap();

  constructor(
    private readonly dataSource: DataSource,
    private readonly bookkeeping: Bookkeeping<Books>,
    private readonly operations: ReadonlyMap<string, Operation>,
    private readonly settings: Settings,
  ) {
    const { batchSizeMax, batchesAtOnceMax, waitingMax } = settings;
    this.bus = new Bus({ seatsMax: batchSizeMax, busesMax: batchesAtOnceMax, waitingMax }, steps =>
      this.drive(steps),
    );
  }

  /** @throws StopFull, Unavailable: nothing is known to have happened, the key is as it was or finished */
  commit(step: Step): Promise<Seat> {
    return this.bus.board(step);
  }

  get isBusy(): boolean {
    return this.bus.isBusy;
  }

  private async drive(steps: readonly Step[]): Promise<(Seat | Error)[]> {
    for (let repeats = 0; ; repeats += 1) {
      try {
        return await this.inOneTransaction(steps);
      } catch (error) {
        const isOurs = error instanceof DecisionFailed || error instanceof Bug;
        if (isOurs || !isWorthAnotherTry(error)) return this.apart(steps, error);
        if (repeats >= this.settings.batchRepeatsMax) {
          return steps.map(() => new Unavailable('the database cannot be reached', { cause: error }));
        }
        publish('batch_repeated', steps, { error });
        await sleep(Math.random() * 20 * 2 ** repeats);
      }
    }
  }

  private async inOneTransaction(steps: readonly Step[]): Promise<Seat[]> {
    publish('boarding', steps);
    const seats = await inTransaction(this.dataSource, this.settings, (tx, begun) =>
      atomicPhase(tx, steps, {
        begun,
        bookkeeping: this.bookkeeping,
        operations: this.operations,
        keysRemembered: this.keysRemembered,
        settings: this.settings,
      }),
    );
    publish('committed', steps);
    return seats;
  }

  /** Halves, and halves again: one attempt in a hundred that cannot work costs a dozen transactions, not a hundred. */
  private async apart(steps: readonly Step[], error: unknown): Promise<(Seat | Error)[]> {
    const [only, ...others] = steps;
    if (only && others.length === 0) return [await this.recalled(only, error)];
    publish('batch_split', steps, { error });
    const middle = Math.ceil(steps.length / 2);
    return [...(await this.drive(steps.slice(0, middle))), ...(await this.drive(steps.slice(middle)))];
  }

  /** The answer of a key that was reaped, rebuilt from what its operation left behind; else the error it is. */
  private async recalled({ attempt }: Step, error: unknown): Promise<Seat | Error> {
    const failure = Error.isError(error) ? error : new Error(String(error));
    const { operations, keysRemembered } = this;
    const violated = violatedConstraint(error);
    if (![...operations.values()].some(({ memory }) => memory.constraint === violated)) return failure;
    try {
      const retentionMs = this.settings.answerRetentionMs;
      const [outcome] = await inTransaction(this.dataSource, this.settings, tx =>
        recall(tx, [attempt], { operations, retentionMs, keysRemembered }),
      );
      return outcome ?? failure;
    } catch (cause) {
      return new Unavailable('what the key was used for could not be read', { cause });
    }
  }
}
