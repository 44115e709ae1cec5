import type { Client } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import type { Settings } from '../settings.js';
import { readOnlyServer, sqlStateOf } from './failures.js';
import { gather, together } from './statement.js';

/** How long a transaction may wait, and for what. Set inside it, so that a transaction pooler may sit between. */
type Patience = Pick<Settings, 'lockTimeoutMs' | 'statementTimeoutMs'>;

/**
 * Runs `work` in one transaction and commits it; whatever `work` throws rolls all of it back.
 *
 * READ COMMITTED, whatever the database's default: unique constraints and row locks carry the guarantee here,
 * and a repeat must see what the winner committed while it waited.
 *
 * `work` is called while BEGIN is on its way, so that its first statements travel with it. `begun` resolves to
 * the transaction's time: the database's clock, cut to what JSON will show. Should BEGIN alone fail, statements
 * behind it would stand by themselves; so what writes before `begun` has resolved must ask `onlyInTransaction`.
 *
 * What is not promised: when the connection is lost during COMMIT, the error cannot say whether it happened.
 * The caller must look.
 *
 * @throws what `work` throws, and what the database or the way to it throws
 */
export async function inTransaction<Result>(
  dataSource: DataSource,
  patience: Patience,
  work: (tx: EntityManager, begun: Promise<Date>) => Promise<Result>,
): Promise<Result> {
  const runner = dataSource.createQueryRunner();
  const connection = (await runner.connect()) as Client;
  try {
    const begun = begin(connection, patience);
    const [, result] = await together([begun, work(runner.manager, begun)]);
    // COMMIT of an aborted transaction is answered without an error, as a ROLLBACK.
    const { command } = await connection.query('COMMIT');
    if (command !== 'COMMIT') throw new Error(`COMMIT was answered with ${command}`);
    return result;
  } catch (error) {
    // After a fail-over, a connection that stands still leads to the old server. In the pool, it would be borrowed
    // again and again; the next transaction is to meet a new one.
    if (sqlStateOf(error) === readOnlyServer) void connection.end();
    // Where even that fails, the connection must not go back to the pool with a transaction open.
    else await connection.query('ROLLBACK').catch(() => void connection.end());
    throw error;
  } finally {
    await runner.release();
  }
}

async function begin(connection: Client, { lockTimeoutMs, statementTimeoutMs }: Patience): Promise<Date> {
  const values = [String(lockTimeoutMs), String(statementTimeoutMs)];
  gather(connection);
  const [, { rows }] = await together([
    connection.query('BEGIN ISOLATION LEVEL READ COMMITTED'),
    connection.query<{ at: Date }>({ ...beginning, values }),
  ]);
  const [{ at }] = rows as [{ at: Date }];
  return at;
}

/** A holder that falls silent in mid-transaction loses it, and its locks, as soon as a statement would. */
const beginning = {
  name: 'beginning',
  text: `
    SELECT date_trunc('milliseconds', now()) AS at,
           set_config('lock_timeout', $1, true),
           set_config('statement_timeout', $2, true),
           set_config('idle_in_transaction_session_timeout', $2, true),
           set_config('pay_sam.begun', 'yes', true)`,
};

/** A condition for a statement that writes: true inside a transaction begun above, and nowhere else. */
export const onlyInTransaction = "current_setting('pay_sam.begun', true) = 'yes'";
