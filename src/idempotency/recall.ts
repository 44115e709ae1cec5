import type { EntityManager } from 'typeorm';
import { fingerprint } from './fingerprint.js';
import { judgeEnded, type EndedRow } from './judge-repeat.js';
import type { Attempt, Operation, Outcome, Owner } from './operation.js';

/**
 * Judges a repeat whose key was reaped, from what was done under it then: the answer is rebuilt byte for byte, or
 * the request differs from the one that was carried out, perhaps by being another operation altogether.
 *
 * @returns `null` when nothing was ever done under this key
 */
export async function recall(
  tx: EntityManager,
  attempt: Attempt,
  { operations, retentionMs }: { operations: Iterable<Operation>; retentionMs: number },
): Promise<Outcome | null> {
  const row = await recallRow(tx, attempt, { operations, retentionMs });
  return row && judgeEnded(attempt, row);
}

/** What the key's own row would say if it were still there. */
export async function recallRow(
  tx: EntityManager,
  owner: Owner,
  { operations, retentionMs }: { operations: Iterable<Operation>; retentionMs: number },
): Promise<EndedRow | null> {
  for (const { name, memory } of operations) {
    const recalled = await memory.recall(tx, owner);
    if (!recalled) continue;
    return {
      ...recalled,
      operation: name,
      fingerprint: fingerprint(name, recalled.params),
      attemptId: '',
      expiresAt: expiry(recalled.finishedAt, retentionMs),
    };
  }
  return null;
}

/** When the stored answer of an operation that finished at `at` may go. What it did stays. */
export function expiry(at: Date, retentionMs: number): Date {
  return new Date(at.getTime() + retentionMs);
}
