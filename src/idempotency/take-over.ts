import type { DataSource, EntityManager } from 'typeorm';
import { Bug } from '../bug.js';
import { columns, run, type Statement } from '../database/statement.js';
import { inTransaction } from '../database/transaction.js';
import type { Settings } from '../settings.js';
import { keyRowColumns, toKeyRow, type FoundRow, type KeyRow } from './claim.js';
import type { Attempt, Held, Operation, Owner } from './operation.js';

/**
 * Taking over an abandoned key: the lease has run out, by the database's clock, so whoever held it is dead, or
 * slow enough to be taken for dead. The epoch is raised, and from then on nothing the old holder writes touches
 * the row. What cannot be fenced is a call it makes at this very moment: that is why calls carry a reference that
 * the other side recognises.
 *
 * A row that somebody has locked is skipped: they are at work on it. Each of these is a single statement.
 */

type Patience = Pick<Settings, 'leaseMs' | 'lockTimeoutMs' | 'statementTimeoutMs'>;

/** Takes over, inside `tx`, those keys of `attempts` whose leases have run out. A rollback gives them back. */
export async function takeOver(
  tx: EntityManager,
  attempts: readonly Attempt[],
  leaseMs: number,
): Promise<Map<Attempt, Held>> {
  const byId = new Map(attempts.map(attempt => [attempt.id, attempt]));
  const values = [...columns(attempts, 'customerId', 'key', 'id'), leaseMs];
  const rows = await run<TakenRow>(tx, takeOverKeys, values);
  const held = rows.map(row => {
    const attempt = byId.get(row.attempt_id);
    if (!attempt) throw new Bug('PS-102', 'a key was taken over for nobody');
    return [attempt, holding(attempt, row)] as const;
  });
  return new Map(held);
}

/**
 * Takes over up to `limit` abandoned keys, those first whose leases ran out first. Should the answer get lost, they
 * are leased to nobody, until that lease has run out too.
 */
export async function takeOverAbandoned(
  dataSource: DataSource,
  operations: ReadonlyMap<string, Operation>,
  { limit, patience }: { limit: number; patience: Patience },
): Promise<Held[]> {
  const rows = await inTransaction(dataSource, patience, tx =>
    run<TakenRow>(tx, takeOverAnyKeys, [limit, patience.leaseMs]),
  );
  return rows.map(row => holding(attemptOf(row, operations), row));
}

/** Takes over a key of which it is certain that nothing was sent. @returns `null`: it is not, or not any more */
export async function takeOverUnsent(
  dataSource: DataSource,
  operations: ReadonlyMap<string, Operation>,
  { owner, patience }: { owner: Owner; patience: Patience },
): Promise<Held | null> {
  const [row] = await inTransaction(dataSource, patience, tx =>
    run<TakenRow>(tx, takeOverUnsentKey, [owner.customerId, owner.key, patience.leaseMs]),
  );
  return row ? holding(attemptOf(row, operations), row) : null;
}

/** What a row says of an operation that is under way. */
export function heldFrom(attempt: Attempt, row: KeyRow): Held {
  if (row.recoveryPoint === 'finished' || row.recoveryPoint === 'cancelled') {
    throw new Bug('PS-103', 'an operation that has ended is held by nobody');
  }
  const { state, epoch, attempts, mayBeSent, ageMs } = row;
  return { attempt, point: row.recoveryPoint, state, epoch, attempts, mayBeSent, ageMs };
}

function holding(attempt: Attempt, row: TakenRow): Held {
  return { ...heldFrom(attempt, toKeyRow(row)), mayBeSent: row.may_have_been_sent };
}

function attemptOf(row: TakenRow, operations: ReadonlyMap<string, Operation>): Attempt {
  const { customerId, key, attemptId: id, operation: name, params, fingerprint, windowMs } = toKeyRow(row);
  const operation = operations.get(name);
  if (!operation) throw new Bug('PS-104', `there is no operation called ${name}`);
  return { customerId, key, id, operation, params, fingerprint, windowMs };
}

/** Whoever takes a key over is about to call. What was certain before is told apart from what the row says now. */
interface TakenRow extends FoundRow {
  may_have_been_sent: boolean;
}

const takeOverKeys: Statement = {
  name: 'take_over_keys',
  text: `
    WITH abandoned AS (
      SELECT k.customer_id, k.key, wanted.attempt_id, k.may_be_sent
        FROM idempotency_keys AS k
        JOIN unnest($1::uuid[], $2::text[], $3::uuid[]) AS wanted (customer_id, key, attempt_id)
          USING (customer_id, key)
       WHERE k.locked_until <= clock_timestamp()
       ORDER BY k.customer_id, k.key
         FOR NO KEY UPDATE OF k SKIP LOCKED)
    UPDATE idempotency_keys AS k
       SET epoch = k.epoch + 1, attempts = k.attempts + 1, attempt_id = abandoned.attempt_id, may_be_sent = true,
           locked_until = clock_timestamp() + $4::float8 * interval '1 millisecond'
      FROM abandoned
     WHERE k.customer_id = abandoned.customer_id AND k.key = abandoned.key
    RETURNING ${keyRowColumns}, abandoned.may_be_sent AS may_have_been_sent`,
};

const takeOverAnyKeys: Statement = {
  name: 'take_over_any_keys',
  text: `
    WITH abandoned AS (
      SELECT customer_id, key, may_be_sent
        FROM idempotency_keys
       WHERE locked_until <= now()
       ORDER BY locked_until
       LIMIT $1
         FOR NO KEY UPDATE SKIP LOCKED)
    UPDATE idempotency_keys AS k
       SET epoch = k.epoch + 1, attempts = k.attempts + 1, attempt_id = gen_random_uuid(), may_be_sent = true,
           locked_until = clock_timestamp() + $2::float8 * interval '1 millisecond'
      FROM abandoned
     WHERE k.customer_id = abandoned.customer_id AND k.key = abandoned.key
    RETURNING ${keyRowColumns}, abandoned.may_be_sent AS may_have_been_sent`,
};

const takeOverUnsentKey: Statement = {
  name: 'take_over_unsent_key',
  text: `
    UPDATE idempotency_keys AS k
       SET epoch = k.epoch + 1, attempt_id = gen_random_uuid(), parked_because = NULL,
           locked_until = clock_timestamp() + $3::float8 * interval '1 millisecond'
     WHERE k.customer_id = $1::uuid AND k.key = $2
       AND NOT k.may_be_sent AND k.recovery_point NOT IN ('finished', 'cancelled')
    RETURNING ${keyRowColumns}, k.may_be_sent AS may_have_been_sent`,
};
