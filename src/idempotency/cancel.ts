import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import { run, type Statement } from '../database/statement.js';
import { inTransaction, onlyInTransaction } from '../database/transaction.js';
import { Unavailable } from '../database/failures.js';
import type { Settings } from '../settings.js';
import type { KeyRow } from './claim.js';
import { publish } from './events.js';
import { mayBeFingerprint } from './fingerprint.js';
import type { GroupCommit } from './group-commit.js';
import { retryAfterSeconds } from './judge-repeat.js';
import type { LookUp } from './look-up.js';
import type { Answer, Operation, Owner } from './operation.js';
import { recallRows } from './recall.js';
import { takeOverUnsent } from './take-over.js';

/** How a request to cancel ends. `closed`: the key belongs to no payment, and never will. */
export type Cancellation =
  | { readonly kind: 'closed' }
  | { readonly kind: 'in_progress'; readonly retryAfterSeconds: number }
  | { readonly kind: 'already_completed'; readonly answer: Answer }
  /** A fingerprint that nothing is known of. To close it would refuse that customer's equal payments for ever. */
  | { readonly kind: 'unknown' }
  /** This customer has closed so many keys that were never used that no more are kept. */
  | { readonly kind: 'too_many'; readonly max: number };

interface Means {
  readonly dataSource: DataSource;
  readonly operations: ReadonlyMap<string, Operation>;
  readonly transactions: GroupCommit;
  readonly lookUp: LookUp;
  readonly settings: Settings;
}

/** Each try lost a race, and each race was won by somebody who brought the operation further. */
const triesMax = 20;

/**
 * Cancels what can be cancelled without guessing.
 *
 *     never seen ─────────────────────────▶ closed: a late original is refused
 *     unfinished, certainly nothing sent ──▶ what was reserved is undone, closed
 *     unfinished, perhaps sent ────────────▶ in progress: to undo it now might be to undo half of it
 *     finished ────────────────────────────▶ already completed
 *
 * For a caller who does not know whether its request ever arrived, this ends the doubt.
 */
export async function cancelOperation(owner: Owner, means: Means): Promise<Cancellation> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const row = await means.lookUp.row(owner);
    if (!row && mayBeFingerprint(owner.key)) return { kind: 'unknown' };
    const end = row ? await cancelKnown(owner, row, means) : await closeUnused(owner, means);
    if (end) return end;
  }
  throw new Unavailable('this key changes hands too fast');
}

/** @returns `null` when somebody came first: to be looked at again */
async function cancelKnown(owner: Owner, row: KeyRow, means: Means): Promise<Cancellation | null> {
  if (row.recoveryPoint === 'cancelled') return { kind: 'closed' };
  if (row.answer) return { kind: 'already_completed', answer: row.answer };
  const { dataSource, operations, settings, transactions } = means;
  const operation = operations.get(row.operation);
  const cancel = operation?.cancel?.bind(operation);
  if (row.mayBeSent || !cancel) {
    return { kind: 'in_progress', retryAfterSeconds: retryAfterSeconds(row.leaseLeftMs ?? Infinity) };
  }
  const held = await takeOverUnsent(dataSource, operations, { owner, patience: settings });
  if (!held) return null;
  const seat = await transactions.commit({ attempt: held.attempt, held, decide: cancel });
  if (seat.kind !== 'cancelled') return null;
  publish('cancelled', [{ attempt: held.attempt, held }]);
  return { kind: 'closed' };
}

/** A key without a row was never used, or was reaped: what was done under it is then still remembered. */
async function closeUnused(
  owner: Owner,
  { dataSource, operations, settings }: Means,
): Promise<Cancellation | null> {
  return inTransaction(dataSource, settings, async (tx, begun) => {
    const { answerRetentionMs: retentionMs, closedKeysPerCustomerMax: max } = settings;
    const [row] = await run<{ closed: string }>(tx, countClosed, [owner.customerId, max]);
    if (Number(row?.closed) >= max) return { kind: 'too_many', max };
    if (!(await close(tx, owner, begun))) return null;
    const [remembered] = await recallRows(tx, [owner], { operations, retentionMs });
    if (!remembered?.answer) return { kind: 'closed' };
    await run(tx, reopen, [owner.customerId, owner.key]);
    return { kind: 'already_completed', answer: remembered.answer };
  });
}

async function close(tx: EntityManager, { customerId, key }: Owner, begun: Promise<Date>): Promise<boolean> {
  await begun;
  return (await run(tx, closeKey, [customerId, key, randomUUID()])).length === 1;
}

/** They are kept for ever, so there is an end to them. */
const countClosed: Statement = {
  name: 'count_closed',
  text: `
    SELECT count(*) AS closed
      FROM (SELECT FROM idempotency_keys WHERE customer_id = $1::uuid AND operation IS NULL LIMIT $2) AS one`,
};

/** Waits for whoever has the same key in hand, and then finds it used. */
const closeKey: Statement = {
  name: 'close_key',
  text: `
    INSERT INTO idempotency_keys (customer_id, key, recovery_point, attempt_id, created_at, expires_at)
    SELECT $1::uuid, $2, 'cancelled', $3::uuid, date_trunc('milliseconds', now()), 'infinity'
     WHERE ${onlyInTransaction}
        ON CONFLICT (customer_id, key) DO NOTHING
    RETURNING attempt_id`,
};

/** In the transaction that closed it; the database lets nobody else. */
const reopen: Statement = {
  name: 'reopen_key',
  text: 'DELETE FROM idempotency_keys WHERE customer_id = $1::uuid AND key = $2',
};
