import type { EntityManager } from 'typeorm';
import { Bug } from '../bug.js';
import { change, columns, run, type Statement } from '../database/statement.js';
import { onlyInTransaction } from '../database/transaction.js';
import { fingerprintVersion } from './fingerprint.js';
import type { Answer, Attempt, Claim, Owner, Params, RecoveryPoint } from './operation.js';

/**
 * Claims the keys of one batch inside `tx`. A rollback forgets all of these claims.
 *
 * Keys that do not come back belong to an earlier attempt, which may sit in this very batch: they are repeats,
 * not errors. Inserting waits for another transaction that has the same key in hand; inserting in the order
 * of the keys keeps two batches from waiting for each other.
 *
 * Outside a transaction nothing is claimed: a claim that stands alone would block its key for ever.
 *
 * Remaining risk: if the answer to COMMIT is lost we cannot know; the caller looks for its attempt id.
 *
 * @throws only what Postgres throws; a key in use is an answer, not an error
 */
export async function claimKeys(
  tx: EntityManager,
  attempts: readonly Attempt[],
  retentionMs: number,
): Promise<Attempt[]> {
  const rows = attempts.map(attempt => ({
    ...attempt,
    operation: attempt.operation.name,
    params: JSON.stringify(attempt.params),
  }));
  const claimed = await run<{ attempt_id: string }>(tx, insertKeys, [
    ...columns(rows, 'customerId', 'key', 'operation', 'fingerprint', 'params', 'id'),
    fingerprintVersion,
    retentionMs,
  ]);
  const claimedIds = new Set(claimed.map(row => row.attempt_id));
  return attempts.filter(({ id }) => claimedIds.has(id));
}

const insertKeys: Statement = {
  name: 'claim_keys',
  text: `
    INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params,
                                  recovery_point, attempt_id, created_at, expires_at)
    SELECT customer_id, key, operation, fingerprint, $7::smallint, params, 'started', attempt_id,
           date_trunc('milliseconds', now()),
           date_trunc('milliseconds', now()) + $8::float8 * interval '1 millisecond'
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::jsonb[], $6::uuid[])
        AS attempt (customer_id, key, operation, fingerprint, params, attempt_id)
     WHERE ${onlyInTransaction}
     ORDER BY customer_id, key
        ON CONFLICT (customer_id, key) DO NOTHING
    RETURNING attempt_id`,
};

/** Records definitive answers on their keys, in the transaction that made them true. */
export async function recordAnswers(
  tx: EntityManager,
  finished: readonly { claim: Claim; answer: Answer }[],
  at: Date,
): Promise<void> {
  if (finished.length === 0) return;
  const rows = finished.map(({ claim: { attempt }, answer }) => ({ ...attempt, ...answer }));
  const values = [...columns(rows, 'customerId', 'key', 'id', 'status', 'body'), at];
  const recorded = await change(tx, writeAnswers, values);
  if (recorded !== rows.length) throw new Bug('PS-101', 'a key claimed in this transaction is gone');
}

const writeAnswers: Statement = {
  name: 'record_answers',
  text: `
    UPDATE idempotency_keys AS k
       SET recovery_point = 'finished', response_status = done.status, response_body = done.body,
           finished_at = $6::timestamptz
      FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::smallint[], $5::text[])
        AS done (customer_id, key, attempt_id, status, body)
     WHERE k.customer_id = done.customer_id AND k.key = done.key AND k.attempt_id = done.attempt_id`,
};

/** Takes claims back in the transaction that made them: a refused request leaves no row. */
export async function takeBackClaims(tx: EntityManager, refused: readonly { claim: Claim }[]): Promise<void> {
  if (refused.length === 0) return;
  const attempts = refused.map(({ claim }) => claim.attempt);
  await change(tx, deleteClaims, columns(attempts, 'customerId', 'key', 'id'));
}

const deleteClaims: Statement = {
  name: 'take_back_claims',
  text: `
    DELETE FROM idempotency_keys AS k
     USING unnest($1::uuid[], $2::text[], $3::uuid[]) AS refused (customer_id, key, attempt_id)
     WHERE k.customer_id = refused.customer_id AND k.key = refused.key AND k.attempt_id = refused.attempt_id`,
};

/** A key row as a repeat finds it. `leaseLeftMs` is by the database's clock; below zero it has run out. */
export interface KeyRow extends Owner {
  readonly operation: string;
  readonly fingerprint: Buffer;
  readonly params: Params;
  readonly recoveryPoint: RecoveryPoint;
  readonly attemptId: string;
  readonly leaseLeftMs: number | null;
  readonly answer: Answer | null;
  readonly finishedAt: Date | null;
  readonly expiresAt: Date;
}

/**
 * Reads the rows that repeats ran into, in the order of `owners`. A row may be gone again by now, taken back or
 * reaped: then there is `undefined` in its place, and the key may be claimed once more.
 */
export async function readKeys(tx: EntityManager, owners: readonly Owner[]): Promise<(KeyRow | undefined)[]> {
  const rows = await run<FoundRow>(tx, selectKeys, columns(owners, 'customerId', 'key'));
  const found = new Map(rows.map(row => [ownerToString(row.customer_id, row.key), toKeyRow(row)]));
  return owners.map(({ customerId, key }) => found.get(ownerToString(customerId, key)));
}

const selectKeys: Statement = {
  name: 'read_keys',
  text: `
    SELECT customer_id, key, operation, fingerprint, params, recovery_point, attempt_id,
           extract(epoch FROM locked_until - clock_timestamp()) * 1000 AS lease_left_ms,
           response_status, response_body, finished_at, expires_at
      FROM idempotency_keys
      JOIN unnest($1::uuid[], $2::text[]) AS wanted (customer_id, key) USING (customer_id, key)`,
};

interface FoundRow {
  customer_id: string;
  key: string;
  operation: string;
  fingerprint: Buffer;
  params: Params;
  recovery_point: RecoveryPoint;
  attempt_id: string;
  lease_left_ms: string | null;
  response_status: 200 | 402 | null;
  response_body: string | null;
  finished_at: Date | null;
  expires_at: Date;
}

function toKeyRow(row: FoundRow): KeyRow {
  const { response_status: status, response_body: body } = row;
  return {
    customerId: row.customer_id,
    key: row.key,
    operation: row.operation,
    fingerprint: row.fingerprint,
    params: row.params,
    recoveryPoint: row.recovery_point,
    attemptId: row.attempt_id,
    leaseLeftMs: row.lease_left_ms === null ? null : Number(row.lease_left_ms),
    answer: status !== null && body !== null ? { status, body } : null,
    finishedAt: row.finished_at,
    expiresAt: row.expires_at,
  };
}

/** One string for (customer, key), for maps. A UUID has a fixed length, so no two owners share one. */
export function ownerToString(customerId: string, key: string): string {
  return `${customerId}/${key}`;
}
