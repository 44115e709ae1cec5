import { timingSafeEqual } from 'node:crypto';
import { membersThatDiffer } from './fingerprint.js';
import type { KeyRow } from './claim.js';
import type { Attempt, Outcome } from './operation.js';

/** What a caller is told at most, and at least, to wait: seconds. */
export const retryAfter = { min: 1, max: 30 };

/** As many whole seconds as cover `ms`, within what a caller may be told. */
export function retryAfterSeconds(ms: number): number {
  return Math.min(Math.max(Math.ceil(ms / 1_000), retryAfter.min), retryAfter.max);
}

/** What a repeat finds: an outcome; its own row, under way; or a row whose holder has gone. */
export type Verdict = Outcome | { readonly kind: 'own' } | { readonly kind: 'abandoned' };

/**
 * What a repeat gets, from the row it ran into. The rules, in the contract's order:
 *
 * 1. cancelled: whatever the request, its key is closed;
 * 2. another request under this key: collision, whether the first one has finished or not;
 * 3. finished: replay; or, if it is this attempt's own row, its first answer after a COMMIT answered by silence;
 * 4. parked: in progress, and nobody can say for how long;
 * 5. its lease has run out: abandoned, and the repeat may take it over;
 * 6. leased to this very attempt: the same silence, and it goes on;
 * 7. else in progress, for as long as its lease has left.
 */
export function judgeRepeat(attempt: Attempt, row: KeyRow): Verdict {
  if (row.recoveryPoint === 'cancelled') return { kind: 'cancelled' };
  const ended = judgeEnded(attempt, row);
  if (ended) return ended;
  const { expiresAt, leaseLeftMs, parkedBecause } = row;
  if (parkedBecause !== null || leaseLeftMs === null) {
    return { kind: 'in_progress', retryAfterSeconds: retryAfter.max, expiresAt };
  }
  if (leaseLeftMs <= 0) return { kind: 'abandoned' };
  if (row.attemptId === attempt.id) return { kind: 'own' };
  return { kind: 'in_progress', retryAfterSeconds: retryAfterSeconds(leaseLeftMs), expiresAt };
}

/** What a row says that has nothing more to wait for: a finished one, or one rebuilt from what is remembered. */
export type EndedRow = Pick<
  KeyRow,
  'operation' | 'fingerprint' | 'params' | 'attemptId' | 'answer' | 'finishedAt' | 'expiresAt'
>;

/** Rules 2 and 3. @returns `null`: the same request, and it has not finished */
export function judgeEnded(attempt: Attempt, row: EndedRow): Outcome | null {
  const { answer, finishedAt, expiresAt } = row;
  if (!isSameRequest(attempt, row)) {
    return { kind: 'collision', differsIn: differences(attempt, row), expiresAt };
  }
  if (!answer || !finishedAt) return null;
  return row.attemptId === attempt.id
    ? { kind: 'completed', answer, expiresAt }
    : { kind: 'replayed', answer, finishedAt, expiresAt };
}

function isSameRequest(attempt: Attempt, row: EndedRow): boolean {
  return timingSafeEqual(attempt.fingerprint, row.fingerprint);
}

function differences(attempt: Attempt, row: EndedRow): string[] {
  if (row.operation !== attempt.operation.name) return ['operation'];
  return membersThatDiffer(row.params, attempt.params);
}
