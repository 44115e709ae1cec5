import type { EntityManager } from 'typeorm';
import { together } from '../database/statement.js';
import { fingerprint } from './fingerprint.js';
import { judgeEnded, type EndedRow } from './judge-repeat.js';
import type { Attempt, Operation, Outcome, Owner, Recalled } from './operation.js';

interface Means {
  readonly operations: ReadonlyMap<string, Operation>;
  readonly retentionMs: number;
}

/**
 * The key under which each attempt's effect is remembered, from the first try on. A fingerprint is remembered with the
 * time of that try: were it another with each, then a try whose COMMIT was answered by silence and whose window is
 * over would not meet its own effect again, and pay twice.
 */
export type KeysRemembered = WeakMap<Attempt, string>;

/**
 * Judges repeats whose keys were reaped, from what was done under them then: the answer is rebuilt byte for byte, or
 * the request differs from the one that was carried out, perhaps by being another operation altogether.
 *
 * @returns in the order of `attempts`; `null` where nothing was ever done under the key
 */
export async function recall(
  tx: EntityManager,
  attempts: readonly Attempt[],
  means: Means & { readonly keysRemembered: KeysRemembered },
): Promise<(Outcome | null)[]> {
  const owners = attempts.map(attempt => ({
    customerId: attempt.customerId,
    key: means.keysRemembered.get(attempt) ?? attempt.key,
    windowMs: attempt.windowMs,
  }));
  const rows = await recallRows(tx, owners, means);
  return attempts.map((attempt, index) => {
    const row = rows[index];
    return row ? judgeEnded(attempt, row) : null;
  });
}

/** What the keys' own rows would say if they were still there. A statement for each operation, however many keys. */
export async function recallRows(
  tx: EntityManager,
  owners: readonly (Owner & { readonly windowMs?: number | null })[],
  { operations, retentionMs }: Means,
): Promise<(EndedRow | null)[]> {
  if (owners.length === 0) return [];
  const memories = await together(
    Array.from(operations.values(), async ({ name, memory }) => {
      const recalled = await memory.recall(tx, owners);
      return recalled.map((one, index) => one && endedRow(name, one, owners[index]?.windowMs ?? retentionMs));
    }),
  );
  return owners.map((_, index) => memories.find(rows => rows[index])?.[index] ?? null);
}

function endedRow(operation: string, recalled: Recalled, retentionMs: number): EndedRow {
  return {
    ...recalled,
    operation,
    fingerprint: fingerprint(operation, recalled.params),
    attemptId: '',
    expiresAt: expiry(recalled.finishedAt, retentionMs),
  };
}

/** When the stored answer of an operation that finished at `at` may go. What it did stays. */
export function expiry(at: Date, retentionMs: number): Date {
  return new Date(at.getTime() + retentionMs);
}
