import { randomUUID } from 'node:crypto';
import type { OnApplicationShutdown } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { Unavailable } from '../database/failures.js';
import type { Settings } from '../settings.js';
import { Duplicates } from './duplicates.js';
import { FinishedAnswers } from './finished-answers.js';
import { fingerprint } from './fingerprint.js';
import { GroupCommit } from './group-commit.js';
import { judgeRepeat } from './judge-repeat.js';
import type { Attempt, Bookkeeping, Books, Operation, Outcome, Owner, Params } from './operation.js';

/**
 * How often an attempt may claim again because the row it lost to was taken back. Each time, somebody else got
 * a final answer; a caller who meets this many refused requests under one key is told to come back later.
 */
const claimsMax = 100;

/**
 * Runs operations exactly once.
 *
 *     attempt ─┬─▶ known to be finished ────────────────▶ replayed | collision
 *              │
 *              └─▶ shares a transaction ─┬─ claimed ────▶ completed | refused (claim taken back)
 *                        ▲               ├─ a repeat ───▶ replayed | collision | in progress
 *                        └───────────────┴─ row gone: claims again
 *
 * Every end but an error is an outcome, returned. What is returned has been committed.
 */
export class Engine implements OnApplicationShutdown {
  private readonly transactions: GroupCommit;
  private readonly finished: FinishedAnswers;
  private readonly duplicates: Duplicates;

  constructor(dataSource: DataSource, bookkeeping: Bookkeeping<Books>, settings: Settings) {
    this.transactions = new GroupCommit(dataSource, bookkeeping, settings);
    this.finished = new FinishedAnswers(settings.answersCachedBytes);
    this.duplicates = new Duplicates(dataSource, settings.duplicatesFlushMs);
  }

  /**
   * @throws StopFull: too many are waiting, nothing was done. Unavailable: the database could not be reached,
   *   and whether it happened is not known; the same key will tell. Anything else is a mistake in our code.
   */
  async run<P extends Params>(operation: Operation<P>, owner: Owner, params: P): Promise<Outcome> {
    const attempt: Attempt<P> = {
      ...owner,
      id: randomUUID(),
      operation,
      params,
      fingerprint: fingerprint(operation.name, params),
    };
    const outcome = this.answerFromMemory(attempt) ?? (await this.claimUntilSettled(attempt));
    if (isRepeat(outcome)) this.duplicates.count(attempt);
    return outcome;
  }

  /** Writes down the repeats counted so far, so that whoever reads the key next sees them. */
  writeDuplicates(): Promise<void> {
    return this.duplicates.flush();
  }

  /** Nest calls this when everything in flight has been answered. */
  onApplicationShutdown(): Promise<void> {
    return this.duplicates.flush();
  }

  private answerFromMemory(attempt: Attempt): Outcome | undefined {
    const row = this.finished.find(attempt);
    return row && judgeRepeat(attempt, row);
  }

  private async claimUntilSettled(attempt: Attempt): Promise<Outcome> {
    for (let claims = 0; claims < claimsMax; claims += 1) {
      const seat = await this.transactions.commit(attempt);
      if (seat.kind === 'claim_again') continue;
      if (seat.kind === 'replayed') this.finished.keep(attempt, seat);
      return seat;
    }
    throw new Unavailable('this key changes hands too fast');
  }
}

function isRepeat({ kind }: Outcome): boolean {
  return kind !== 'completed' && kind !== 'refused';
}
