import { LRUCache } from 'lru-cache';
import { ownerToString } from './claim.js';
import type { EndedRow } from './judge-repeat.js';
import type { Attempt, Outcome, Owner } from './operation.js';

/** What a row costs in memory besides its answer, roughly: parameters, fingerprint, map entry. */
const rowOverheadBytes = 600;

/**
 * Finished key rows that were asked for again, kept in memory within a bound. A finished answer never changes,
 * so nothing here can be out of date, on this instance or any other; whoever asks has been authenticated anew.
 *
 * Rows enter when they are repeated, not when they are written: most keys are used once.
 */
export class FinishedAnswers {
  private readonly rows: LRUCache<string, EndedRow>;

  constructor(bytesMax: number) {
    this.rows = new LRUCache({
      // Nothing fits into one byte: that is how none are kept.
      maxSize: Math.max(1, bytesMax),
      sizeCalculation: row => rowOverheadBytes + (row.answer?.body.length ?? 0),
    });
  }

  find({ customerId, key }: Owner): EndedRow | undefined {
    return this.rows.get(ownerToString(customerId, key));
  }

  /** Keeps what `attempt` was told. It asked for the same, so its fingerprint and parameters are the row's. */
  keep(attempt: Attempt, replayed: Outcome & { kind: 'replayed' }): void {
    this.rows.set(ownerToString(attempt.customerId, attempt.key), {
      operation: attempt.operation.name,
      fingerprint: attempt.fingerprint,
      params: attempt.params,
      attemptId: '',
      answer: replayed.answer,
      finishedAt: replayed.finishedAt,
      expiresAt: replayed.expiresAt,
    });
  }
}
