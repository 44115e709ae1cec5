import type { DataSource } from 'typeorm';
import { read, run, type Statement } from '../database/statement.js';
import { inTransaction } from '../database/transaction.js';
import type { Settings } from '../settings.js';

/** An operation that nobody touches until a person has looked. */
export interface Parked {
  readonly paymentId: string;
  readonly recoveryPoint: string;
  readonly attempts: number;
  readonly since: Date;
  readonly because: string;
}

/** What is parked, oldest first; 1,000 at most. */
export async function listParked(dataSource: DataSource): Promise<Parked[]> {
  return read<Parked>(dataSource, selectParked, []);
}

/**
 * Gives parked operations back to the completer, with as many attempts as a new one has. It asks the bank before it
 * sends anything, so this is safe as often as it is done; what was contradictory before is parked again.
 *
 * @param paymentIds which; `null`: all of them
 * @returns the payments that were parked, and are no longer
 */
export async function unpark(
  dataSource: DataSource,
  patience: Pick<Settings, 'lockTimeoutMs' | 'statementTimeoutMs'>,
  paymentIds: readonly string[] | null,
): Promise<string[]> {
  const rows = await inTransaction(dataSource, patience, tx =>
    run<{ payment_id: string }>(tx, unparkKeys, [paymentIds]),
  );
  return rows.map(row => row.payment_id);
}

const selectParked: Statement = {
  name: 'select_parked',
  text: `
    SELECT state ->> 'payment_id' AS "paymentId", recovery_point AS "recoveryPoint", attempts,
           created_at AS since, parked_because AS because
      FROM idempotency_keys
     WHERE parked_because IS NOT NULL
     ORDER BY created_at
     LIMIT 1000`,
};

/** The epoch stays: nobody holds a parked row, and whoever takes it over raises it. */
const unparkKeys: Statement = {
  name: 'unpark_keys',
  text: `
    UPDATE idempotency_keys
       SET parked_because = NULL, attempts = 1, locked_until = clock_timestamp()
     WHERE parked_because IS NOT NULL AND ($1::text[] IS NULL OR state ->> 'payment_id' = ANY ($1::text[]))
    RETURNING state ->> 'payment_id' AS payment_id`,
};
