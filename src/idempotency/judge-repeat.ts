import { timingSafeEqual } from 'node:crypto';
import { membersThatDiffer } from './fingerprint.js';
import type { KeyRow } from './claim.js';
import type { Attempt, Outcome } from './operation.js';

/** What a caller is told at most, and at least, to wait for a lease: seconds. */
const retryAfterSeconds = { min: 1, max: 30 };

/**
 * What a repeat gets, from the row it ran into. The rules, in the contract's order:
 *
 * 1. another request under this key: collision, whether the first one has finished or not;
 * 2. this attempt's own row, finished: its COMMIT was answered by silence, and this is its first answer;
 * 3. finished: replay;
 * 4. unfinished: in progress, for as long as its lease has left.
 */
export function judgeRepeat(attempt: Attempt, row: KeyRow): Outcome {
  const { answer, finishedAt, expiresAt } = row;
  if (!isSameRequest(attempt, row)) {
    return { kind: 'collision', differsIn: differences(attempt, row), expiresAt };
  }
  if (answer && finishedAt) {
    return row.attemptId === attempt.id
      ? { kind: 'completed', answer, expiresAt }
      : { kind: 'replayed', answer, finishedAt, expiresAt };
  }
  const seconds = Math.ceil((row.leaseLeftMs ?? 0) / 1_000);
  const { min, max } = retryAfterSeconds;
  return { kind: 'in_progress', retryAfterSeconds: Math.min(Math.max(seconds, min), max), expiresAt };
}

function isSameRequest(attempt: Attempt, row: Pick<KeyRow, 'fingerprint'>): boolean {
  return timingSafeEqual(attempt.fingerprint, row.fingerprint);
}

function differences(attempt: Attempt, row: KeyRow): string[] {
  if (row.operation !== attempt.operation.name) return ['operation'];
  return membersThatDiffer(row.params, attempt.params);
}
