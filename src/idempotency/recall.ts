import type { EntityManager } from 'typeorm';
import { fingerprint } from './fingerprint.js';
import { judgeRepeat } from './judge-repeat.js';
import type { Attempt, Outcome } from './operation.js';

/**
 * Judges a repeat whose key was reaped, from what its operation left behind: the answer is rebuilt byte for
 * byte, or the request differs from the one that was carried out.
 *
 * @returns `null` when nothing was ever done under this key
 */
export async function recall(
  tx: EntityManager,
  attempt: Attempt,
  retentionMs: number,
): Promise<Outcome | null> {
  const { memory, name } = attempt.operation;
  const recalled = await memory.recall(tx, attempt);
  return (
    recalled &&
    judgeRepeat(attempt, {
      ...attempt,
      ...recalled,
      operation: name,
      fingerprint: fingerprint(name, recalled.params),
      recoveryPoint: 'finished',
      attemptId: '',
      leaseLeftMs: null,
      expiresAt: expiry(recalled.finishedAt, retentionMs),
    })
  );
}

/** When the stored answer of an operation that finished at `at` may go. What it did stays. */
export function expiry(at: Date, retentionMs: number): Date {
  return new Date(at.getTime() + retentionMs);
}
