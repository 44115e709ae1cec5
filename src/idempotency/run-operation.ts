import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BeforeApplicationShutdown, OnApplicationShutdown } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { Bug } from '../bug.js';
import { StopFull } from '../database/bus.js';
import { Unavailable } from '../database/failures.js';
import { outsideTransaction } from '../database/statement.js';
import type { Settings } from '../settings.js';
import type { Seat, Step } from './step.js';
import { cancelOperation, type Cancellation } from './cancel.js';
import type { KeyRow } from './claim.js';
import { Drive, isLeft, type Driven } from './drive.js';
import { Duplicates } from './duplicates.js';
import { publish } from './events.js';
import { fingerprint, keyOf, mayBeFingerprint } from './fingerprint.js';
import { FinishedAnswers } from './finished-answers.js';
import { GroupCommit } from './group-commit.js';
import { judgeEnded, judgeRepeat, retryAfter, type EndedRow } from './judge-repeat.js';
import { LookUp } from './look-up.js';
import type {
  Attempt,
  Bookkeeping,
  Books,
  Held,
  Operation,
  Outcome,
  Outside,
  Owner,
  Params,
} from './operation.js';
import { recallRows } from './recall.js';
import { takeOverAbandoned } from './take-over.js';
import type { Answered } from './tell.js';

/**
 * How often an attempt may claim again because the row it lost to was taken back. Each time, somebody else got
 * a final answer; a caller who meets this many refused requests under one key is told to come back later.
 */
const claimsMax = 100;

/** How often a waiting caller looks whether somebody else has ended the operation, in milliseconds. */
const lookEveryMs = 100;

/** What may be done, what it is done with, and what calls may reach. */
export interface World {
  readonly operations: readonly Operation[];
  readonly bookkeeping: Bookkeeping<Books>;
  readonly outside: Outside;
}

/** How long a caller waits for an operation that reaches out: milliseconds, if it is the first, and if a repeat. */
export interface Patience {
  readonly firstMs: number;
  readonly repeatMs: number;
}

/**
 * Runs operations exactly once.
 *
 *     attempt ─┬─▶ known to be finished ─────────────────▶ replayed | collision
 *              │
 *              └─▶ shares a transaction ─┬─ claimed ─────▶ completed | refused (claim taken back)
 *                   ▲       ▲            ├─ a repeat ────▶ replayed | collision | in progress | cancelled
 *                   │       └────────────┴─ row gone: claims again
 *                   │                    │
 *                   │                    └─ held: a recovery point is reached, or an abandoned key taken over
 *                   │                         │
 *                   └─────── record ◀────── call          no transaction, no connection (drive.ts)
 *                               │
 *                               ├─▶ completed | held again
 *                               ├─▶ postponed | parked    held no longer: the completer or a repeat goes on, later
 *                               └─▶ fenced                taken over meanwhile: nothing was written
 *
 * Every end but an error is an outcome, returned. What is returned has been committed. A caller whose wait is over
 * is told `pending`, and its operation goes on without it.
 */
export class Engine implements BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly operations: ReadonlyMap<string, Operation>;
  private readonly transactions: GroupCommit;
  private readonly driving: Drive;
  private readonly lookUp: LookUp;
  private readonly finished: FinishedAnswers;
  private readonly duplicates: Duplicates;

  constructor(
    private readonly dataSource: DataSource,
    { operations, bookkeeping, outside }: World,
    private readonly settings: Settings,
  ) {
    this.operations = new Map(operations.map(operation => [operation.name, operation]));
    this.transactions = new GroupCommit(dataSource, bookkeeping, this.operations, settings);
    this.driving = new Drive(this.transactions, outside, settings);
    this.lookUp = new LookUp(dataSource, settings);
    this.finished = new FinishedAnswers(settings.answersCachedBytes);
    this.duplicates = new Duplicates(dataSource, settings.duplicatesFlushMs);
  }

  /**
   * @throws StopFull: too many are waiting, nothing was done. Unavailable: the database could not be reached,
   *   and whether it happened is not known; the same key will tell. Anything else is a mistake in our code.
   */
  async run<P extends Params>(
    operation: Operation<P>,
    { customerId, key }: KeyGiven,
    { params, patience }: Call<P>,
  ): Promise<Answered> {
    const asked = fingerprint(operation.name, params);
    const attempt: Attempt<P> = {
      customerId,
      key: key ?? keyOf(asked),
      windowMs: key === null ? this.settings.fingerprintWindow * 1_000 : null,
      id: randomUUID(),
      operation,
      params,
      fingerprint: asked,
    };
    const underway = [{ attempt, held: null }];
    try {
      const outcome =
        this.answerFromMemory(attempt) ??
        (await this.carryOut(attempt, patience ?? { firstMs: this.settings.callerWaitMs, repeatMs: 0 }));
      if (isRepeat(outcome)) this.duplicates.count(attempt);
      publish('answered', underway, { outcome: outcome.kind });
      return { key: attempt.key, outcome };
    } catch (error) {
      publish('answered', underway, { error });
      throw error;
    }
  }

  /** Closes a key: what was certainly not sent is undone, a key never seen is never taken any more. */
  cancel(owner: Owner): Promise<Cancellation> {
    const { dataSource, operations, transactions, lookUp, settings } = this;
    return cancelOperation(owner, { dataSource, operations, transactions, lookUp, settings });
  }

  /** The key's row, with the repeats counted so far written down. */
  async lookAt(owner: Owner): Promise<KeyRow | undefined> {
    await this.duplicates.flush();
    return this.lookUp.row(owner);
  }

  /** What was done under a key whose row has been reaped, as far as that is remembered. `null`: nothing was. */
  async remembered(owner: Owner): Promise<EndedRow | null> {
    const { dataSource, operations, settings } = this;
    const retentionMs = settings.answerRetentionMs;
    const [row] = await outsideTransaction(dataSource, connected =>
      recallRows(connected, [owner], { operations, retentionMs }),
    );
    return row ?? null;
  }

  /** Takes over up to `limit` operations whose holders have gone. Whoever does must drive them. */
  async takeOver(limit: number): Promise<Held[]> {
    const { dataSource, operations, settings } = this;
    const taken = await takeOverAbandoned(dataSource, operations, { limit, patience: settings });
    for (const held of taken) publish('taken_over', [{ attempt: held.attempt, held }]);
    return taken;
  }

  /** Drives an operation as far as it can come now: the same for a request and for the completer. */
  drive(held: Held): Promise<Driven> {
    return this.driving.start(held);
  }

  /** Nest calls this first: what is under way gets a part of the grace time to come to its end. */
  beforeApplicationShutdown(): void {
    this.driving.stopAfter(this.settings.shutdownGraceMs / 2);
  }

  /** Nest calls this when every caller has been answered. */
  async onApplicationShutdown(): Promise<void> {
    // A caller may have hung up while its attempt still waited for a transaction: it is driven all the same.
    while (this.transactions.isBusy || this.driving.count > 0) await sleep(lookEveryMs / 10);
    await this.duplicates.flush();
  }

  private answerFromMemory(attempt: Attempt): Outcome | null {
    // A fingerprint is free again once its window is over, so nothing is known of it for good.
    const row = mayBeFingerprint(attempt.key) ? undefined : this.finished.find(attempt);
    return row ? judgeEnded(attempt, row) : null;
  }

  private async carryOut(attempt: Attempt, { firstMs, repeatMs }: Patience): Promise<Outcome> {
    await this.refuseTooMany(attempt);
    const began = performance.now();
    for (;;) {
      const seat = await this.claimUntilSettled(attempt);
      const end = seat.kind === 'held' ? await this.driveUntil(began + firstMs, seat.held) : seat;
      if (end.kind === 'replayed' && !mayBeFingerprint(attempt.key)) this.finished.keep(attempt, end);
      if (end.kind !== 'in_progress' && end.kind !== 'left') return end;
      // Whoever was taken over waits as a first caller would: somebody else is at work on it.
      const waitMs = end.kind === 'left' && end.isFenced ? firstMs : repeatMs;
      if (await this.changesUntil(began + waitMs, attempt)) continue;
      return end.kind === 'left' ? this.pending(attempt, end.retryAfterSeconds) : end;
    }
  }

  /** A repeat gets its answer, however many others are under way. */
  private async refuseTooMany(attempt: Attempt): Promise<void> {
    const isFull = this.driving.count >= this.settings.inFlightMax;
    if (!isFull || !attempt.operation.reachesOut(attempt.params)) return;
    if (!(await this.lookUp.row(attempt))) throw new StopFull();
  }

  private async claimUntilSettled(attempt: Attempt): Promise<Outcome | (Seat & { kind: 'held' })> {
    const { started } = attempt.operation.phases;
    const decide: Step['decide'] = (books, claim) => started.decide(books, claim);
    for (let claims = 0; claims < claimsMax; claims += 1) {
      const seat = await this.transactions.commit({ attempt, held: null, decide });
      if (seat.kind === 'claim_again') continue;
      if (isLeft(seat)) throw new Bug('PS-106', `a first phase ended as ${seat.kind}`);
      // Nobody but the one who opened it holds it in its first epoch.
      if (seat.kind === 'held' && seat.held.epoch > 1) publish('taken_over', [{ attempt, held: seat.held }]);
      return seat;
    }
    throw new Unavailable('this key changes hands too fast');
  }

  /** Drives, and waits for it no longer than `until`. It goes on when nobody waits any more. */
  private async driveUntil(until: number, held: Held): Promise<Outcome | StillOpen> {
    const driven = this.drive(held);
    const end = await within(until - performance.now(), driven);
    if (end && !isLeft(end)) return end;
    const isFenced = end?.kind === 'fenced';
    if (end?.kind === 'postponed')
      return { kind: 'left', isFenced, retryAfterSeconds: end.retryAfterSeconds };
    // Parked, it may take long; else its end may come at any moment.
    const retryAfterSeconds = end?.kind === 'parked' ? retryAfter.max : retryAfter.min;
    return { kind: 'left', isFenced, retryAfterSeconds };
  }

  /** @returns whether the operation has ended, or may be taken over, before `until` */
  private async changesUntil(until: number, attempt: Attempt): Promise<boolean> {
    for (;;) {
      const left = until - performance.now();
      // A process that stops takes nothing over: it would only hold it while it dies.
      if (left <= 0 || this.driving.isStopping) return false;
      await sleep(Math.min(lookEveryMs, left));
      const row = await this.lookUp.row(attempt);
      const verdict = row && judgeRepeat(attempt, row);
      if (verdict?.kind !== 'in_progress' && verdict?.kind !== 'own') return true;
    }
  }

  private async pending(attempt: Attempt, retryAfterSeconds: number): Promise<Outcome> {
    const { customerId, operation } = attempt;
    const seen = await this.lookUp.row(attempt);
    // A row that is gone has ended: there is nothing to show as pending, and no state to find it by.
    const body = seen && (await operation.memory.interim?.(this.dataSource.manager, customerId, seen.state));
    // Read again after it: what could not be shown as pending any more has ended by now.
    const row = await this.lookUp.row(attempt);
    // Its row may even have been reaped since. What it did is remembered.
    const known = row ?? (await this.remembered(attempt));
    const ended = known && judgeEnded(attempt, known);
    if (ended) return ended;
    if (row?.recoveryPoint === 'cancelled') return { kind: 'cancelled' };
    if (!row || typeof body !== 'string')
      throw new Bug('PS-107', 'an operation is neither pending nor at its end');
    return { kind: 'pending', body, retryAfterSeconds, expiresAt: row.expiresAt };
  }
}

/** Whose key. `null`: the customer cannot send any, and is recognised by what it asks for. */
interface KeyGiven {
  readonly customerId: string;
  readonly key: string | null;
}

/** The caller's wait is over, or its holder has left it; it has not come to its end. */
interface StillOpen {
  readonly kind: 'left';
  readonly isFenced: boolean;
  readonly retryAfterSeconds: number;
}

interface Call<P extends Params> {
  readonly params: P;
  readonly patience?: Patience | undefined;
}

function isRepeat({ kind }: Outcome): boolean {
  return kind !== 'completed' && kind !== 'refused' && kind !== 'pending';
}

/** @returns `null` when it takes longer. The promise itself goes on. */
function within<Result>(ms: number, promise: Promise<Result>): Promise<Result | null> {
  return new Promise((resolve, reject) => {
    const over = setTimeout(resolve, Math.max(0, ms), null);
    promise.then(resolve, reject).finally(() => {
      clearTimeout(over);
    });
  });
}
