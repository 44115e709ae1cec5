import type { EntityManager } from 'typeorm';
import { Bug } from '../bug.js';
import { change, columns, run, together, type Statement } from '../database/statement.js';
import { onlyInTransaction } from '../database/transaction.js';
import { fingerprintVersion } from './fingerprint.js';
import type {
  Answer,
  Attempt,
  Claim,
  Held,
  Owner,
  Params,
  RecoveryPoint,
  State,
  UnfinishedPoint,
} from './operation.js';

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
  if (attempts.length === 0) return [];
  const rows = attempts.map(attempt => ({
    ...attempt,
    operation: attempt.operation.name,
    params: JSON.stringify(attempt.params),
  }));
  const keyless = attempts.filter(({ windowMs }) => windowMs !== null);
  const claiming = [
    ...(keyless.length === 0 ? [] : [run(tx, closeWindows, columns(keyless, 'customerId', 'key'))]),
    run<{ attempt_id: string }>(tx, insertKeys, [
      ...columns(rows, 'customerId', 'key', 'operation', 'fingerprint', 'params', 'id', 'windowMs'),
      fingerprintVersion,
      retentionMs,
    ]),
  ];
  const claimed = (await together(claiming)).at(-1) as { attempt_id: string }[];
  const claimedIds = new Set(claimed.map(row => row.attempt_id));
  return attempts.filter(({ id }) => claimedIds.has(id));
}

const insertKeys: Statement = {
  name: 'claim_keys',
  text: `
    INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params,
                                  recovery_point, attempt_id, window_ms, created_at, expires_at)
    SELECT customer_id, key, operation, fingerprint, $8::smallint, params, 'started', attempt_id, window_ms,
           date_trunc('milliseconds', now()),
           date_trunc('milliseconds', now()) + coalesce(window_ms, $9::float8) * interval '1 millisecond'
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::jsonb[], $6::uuid[], $7::int[])
        AS attempt (customer_id, key, operation, fingerprint, params, attempt_id, window_ms)
     WHERE ${onlyInTransaction}
     ORDER BY customer_id, key
        ON CONFLICT (customer_id, key) DO NOTHING
    RETURNING attempt_id`,
};

/**
 * Frees fingerprints whose windows are over, for the attempts that are about to claim them. One that has not finished
 * stays taken: an equal payment must not run beside it.
 */
const closeWindows: Statement = {
  name: 'close_windows',
  text: `
    DELETE FROM idempotency_keys AS k
     USING unnest($1::uuid[], $2::text[]) AS attempt (customer_id, key)
     WHERE k.customer_id = attempt.customer_id AND k.key = attempt.key
       AND k.window_ms IS NOT NULL AND k.recovery_point = 'finished' AND k.expires_at <= now()
       AND ${onlyInTransaction}`,
};

/**
 * Locks the keys that are still ours: those whose epoch nobody has raised. A row may have come further than
 * its holder knows, when the answer to its own COMMIT was lost; it says how far.
 *
 * @returns a row, or `undefined` for a key that was taken over, in the order of `holders`
 */
export async function lockHeldKeys(
  tx: EntityManager,
  holders: readonly Held[],
): Promise<(KeyRow | undefined)[]> {
  if (holders.length === 0) return [];
  const wanted = holders.map(({ attempt, epoch }) => ({ ...attempt, epoch }));
  const values = columns(wanted, 'customerId', 'key', 'epoch');
  const rows = inOrderOf(wanted, await run<FoundRow>(tx, selectHeldKeys, values));
  // Two holders of one key may meet in a batch: one who was taken over, and whoever did that in the same process.
  return rows.map((row, index) => (row?.epoch === wanted[index]?.epoch ? row : undefined));
}

/** Records definitive answers on their keys, in the transaction that made them true. */
export async function recordAnswers(
  tx: EntityManager,
  finished: readonly { claim: Claim; epoch: number; answer: Answer }[],
  at: Date,
): Promise<void> {
  if (finished.length === 0) return;
  const rows = finished.map(({ claim, epoch, answer }) => ({
    ...claim.attempt,
    ...answer,
    epoch,
    expiresAt: claim.expiresAt,
  }));
  const values = [...columns(rows, 'customerId', 'key', 'epoch', 'status', 'body', 'expiresAt'), at];
  const recorded = await change(tx, writeAnswers, values);
  if (recorded !== rows.length) throw new Bug('PS-101', 'a key held in this transaction is gone');
}

const writeAnswers: Statement = {
  name: 'record_answers',
  text: `
    UPDATE idempotency_keys AS k
       SET recovery_point = 'finished', response_status = done.status, response_body = done.body,
           finished_at = $7::timestamptz, expires_at = done.expires_at, locked_until = NULL
      FROM unnest($1::uuid[], $2::text[], $3::int[], $4::smallint[], $5::text[], $6::timestamptz[])
        AS done (customer_id, key, epoch, status, body, expires_at)
     WHERE k.customer_id = done.customer_id AND k.key = done.key AND k.epoch = done.epoch`,
};

/** How far an operation has come that has not ended. */
export interface Progress extends Owner {
  readonly epoch: number;
  readonly point: UnfinishedPoint | 'cancelled';
  readonly state: State;
  readonly mayBeSent: boolean;
  /** Milliseconds from now, by the database's clock: a lease, or a wait. `null`: nobody is to take it up. */
  readonly lockedForMs: number | null;
  readonly parkedBecause: string | null;
  readonly attemptsGivenBack: 0 | 1;
}

/** Records recovery points, waits, parking and cancelling on their keys. A stale epoch writes nothing. */
export async function recordProgress(tx: EntityManager, progress: readonly Progress[]): Promise<void> {
  if (progress.length === 0) return;
  const rows = progress.map(row => ({ ...row, state: JSON.stringify(row.state) }));
  const recorded = await change(
    tx,
    writeProgress,
    columns(
      rows,
      'customerId',
      'key',
      'epoch',
      'point',
      'state',
      'mayBeSent',
      'lockedForMs',
      'parkedBecause',
      'attemptsGivenBack',
    ),
  );
  if (recorded !== rows.length) throw new Bug('PS-110', 'a key held in this transaction is gone');
}

const writeProgress: Statement = {
  name: 'record_progress',
  text: `
    UPDATE idempotency_keys AS k
       SET recovery_point = reached.recovery_point, state = reached.state, may_be_sent = reached.may_be_sent,
           locked_until = clock_timestamp() + reached.locked_for_ms * interval '1 millisecond',
           parked_because = reached.parked_because,
           attempts = greatest(1, k.attempts - reached.attempts_given_back),
           expires_at = CASE reached.recovery_point WHEN 'cancelled' THEN 'infinity' ELSE k.expires_at END
      FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::jsonb[], $6::boolean[], $7::float8[],
                  $8::text[], $9::int[])
        AS reached (customer_id, key, epoch, recovery_point, state, may_be_sent, locked_for_ms, parked_because,
                    attempts_given_back)
     WHERE k.customer_id = reached.customer_id AND k.key = reached.key AND k.epoch = reached.epoch`,
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

/** A key row as a repeat finds it. Times are told as durations, by the database's clock. */
export interface KeyRow extends Owner {
  readonly operation: string;
  readonly fingerprint: Buffer;
  readonly params: Params;
  readonly recoveryPoint: RecoveryPoint;
  readonly state: State;
  readonly attemptId: string;
  readonly windowMs: number | null;
  readonly epoch: number;
  readonly attempts: number;
  readonly mayBeSent: boolean;
  readonly ageMs: number;
  /** Below zero it has run out. `null`: nobody holds it, because it has ended or is parked. */
  readonly leaseLeftMs: number | null;
  readonly parkedBecause: string | null;
  readonly answer: Answer | null;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
  readonly expiresAt: Date;
  readonly duplicates: number;
  readonly lastDuplicateAt: Date | null;
}

/**
 * Reads the rows that repeats ran into, in the order of `owners`. A row may be gone again by now, taken back or
 * reaped: then there is `undefined` in its place, and the key may be claimed once more.
 */
export async function readKeys(tx: EntityManager, owners: readonly Owner[]): Promise<(KeyRow | undefined)[]> {
  return inOrderOf(owners, await run<FoundRow>(tx, selectKeys, columns(owners, 'customerId', 'key')));
}

/** As of a key row: what is read wherever one is found, whoever asks. `k` is the row. */
export const keyRowColumns = `
  k.customer_id, k.key, k.operation, k.fingerprint, k.params, k.recovery_point, k.state, k.attempt_id, k.window_ms, k.epoch,
  k.attempts, k.may_be_sent, k.parked_because, k.response_status, k.response_body, k.created_at, k.finished_at,
  k.duplicates, k.last_duplicate_at, nullif(k.expires_at, 'infinity') AS expires_at,
  extract(epoch FROM clock_timestamp() - k.created_at) * 1000 AS age_ms,
  extract(epoch FROM k.locked_until - clock_timestamp()) * 1000 AS lease_left_ms`;

export const selectKeys: Statement = {
  name: 'read_keys',
  text: `
    SELECT ${keyRowColumns}
      FROM idempotency_keys AS k
      JOIN unnest($1::uuid[], $2::text[]) AS wanted (customer_id, key) USING (customer_id, key)`,
};

const selectHeldKeys: Statement = {
  name: 'lock_held_keys',
  text: `
    SELECT ${keyRowColumns}
      FROM idempotency_keys AS k
      JOIN unnest($1::uuid[], $2::text[], $3::int[]) AS held (customer_id, key, epoch)
        USING (customer_id, key, epoch)
     ORDER BY k.customer_id, k.key
       FOR NO KEY UPDATE OF k`,
};

export interface FoundRow {
  customer_id: string;
  key: string;
  operation: string | null;
  fingerprint: Buffer | null;
  params: Params | null;
  recovery_point: RecoveryPoint;
  state: State | null;
  attempt_id: string;
  window_ms: number | null;
  epoch: number;
  attempts: number;
  may_be_sent: boolean;
  parked_because: string | null;
  response_status: 200 | 402 | null;
  response_body: string | null;
  created_at: Date;
  finished_at: Date | null;
  expires_at: Date | null;
  duplicates: number;
  last_duplicate_at: Date | null;
  age_ms: string;
  lease_left_ms: string | null;
}

/** When a row goes that never does. The last date there is. */
const never = new Date(8_640_000_000_000_000);

/** A row as the database tells it, in our words. */
export function toKeyRow(row: FoundRow): KeyRow {
  const { response_status: status, response_body: body } = row;
  return {
    customerId: row.customer_id,
    key: row.key,
    // A key that was cancelled before it was ever used belongs to no request.
    operation: row.operation ?? '',
    fingerprint: row.fingerprint ?? Buffer.alloc(0),
    params: row.params ?? {},
    recoveryPoint: row.recovery_point,
    state: row.state ?? {},
    attemptId: row.attempt_id,
    windowMs: row.window_ms,
    epoch: row.epoch,
    attempts: row.attempts,
    mayBeSent: row.may_be_sent,
    ageMs: Number(row.age_ms),
    leaseLeftMs: row.lease_left_ms === null ? null : Number(row.lease_left_ms),
    parkedBecause: row.parked_because,
    answer: status !== null && body !== null ? { status, body } : null,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
    expiresAt: row.expires_at ?? never,
    duplicates: row.duplicates,
    lastDuplicateAt: row.last_duplicate_at,
  };
}

/** The rows found, in the order in which they were asked for. */
export function inOrderOf(owners: readonly Owner[], rows: readonly FoundRow[]): (KeyRow | undefined)[] {
  const found = new Map(rows.map(row => [ownerToString(row.customer_id, row.key), toKeyRow(row)]));
  return owners.map(({ customerId, key }) => found.get(ownerToString(customerId, key)));
}

/** One string for (customer, key), for maps. A UUID has a fixed length, so no two owners share one. */
export function ownerToString(customerId: string, key: string): string {
  return `${customerId}/${key}`;
}
