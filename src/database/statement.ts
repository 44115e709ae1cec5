import type { DataSource, EntityManager } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import type { Socket } from 'node:net';
import type { ClientBase, PoolClient, QueryResult, QueryResultRow } from 'pg';
import { isWorthAnotherTry } from './failures.js';

/**
 * One SQL statement under a name. PostgreSQL parses and plans it once per connection; with statements that
 * carry a whole batch as arrays, that is where a good part of the time would go.
 */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/**
 * Runs `statement` inside `tx`, on its connection. A rollback of `tx` undoes it.
 *
 * Statements that do not wait for each other's results may be sent without awaiting each: they travel
 * together and run in the order in which they were called. Await them with `together`.
 */
export async function run<Row extends QueryResultRow>(
  tx: EntityManager,
  statement: Statement,
  values: readonly unknown[],
): Promise<Row[]> {
  return (await send<Row>(tx, statement, values)).rows;
}

/**
 * Waits for statements that travel together. When one fails, those behind it fail too, and say only that the
 * transaction is aborted; so the first one in the order of sending is the one that says why.
 */
export async function together<Results extends unknown[]>(sent: {
  [Index in keyof Results]: Promise<Results[Index]>;
}): Promise<Results> {
  const ends = await Promise.allSettled(sent);
  const failed = ends.find(end => end.status === 'rejected');
  if (failed) throw failed.reason;
  return ends.map(end => (end as PromiseFulfilledResult<unknown>).value) as Results;
}

/** As `run`, for statements that return nothing. @returns how many rows were changed */
export async function change(
  tx: EntityManager,
  statement: Statement,
  values: readonly unknown[],
): Promise<number> {
  return (await send(tx, statement, values)).rowCount ?? 0;
}

async function send<Row extends QueryResultRow>(
  tx: EntityManager,
  statement: Statement,
  values: readonly unknown[],
): Promise<QueryResult<Row>> {
  if (!tx.queryRunner) throw new Error(`${statement.name} needs the transaction's own entity manager`);
  const connection = (await tx.queryRunner.connect()) as PoolClient;
  gather(connection);
  return connection.query<Row>({ ...statement, values: [...values] });
}

/** The socket, which the driver's types do not show. */
interface Connected {
  readonly connection?: { readonly stream?: Partial<Socket> };
}

/**
 * Has what is sent in this turn of the event loop leave in one packet. The driver writes each statement by itself,
 * and with statements that travel together, those system calls were a tenth of this process's time.
 */
export function gather(client: ClientBase): void {
  const { stream } = (client as unknown as Connected).connection ?? {};
  if (!stream?.cork || stream.writableCorked) return;
  stream.cork();
  process.nextTick(() => stream.uncork?.());
}

/** How long a read is repeated, in milliseconds: dead connections are told at once, an outage is not waited for. */
const readRepeatsMs = 1_000;

/** Runs one reading statement outside any transaction. */
export function read<Row extends QueryResultRow>(
  dataSource: DataSource,
  statement: Statement,
  values: readonly unknown[],
): Promise<Row[]> {
  return outsideTransaction(dataSource, connected => run(connected, statement, values));
}

/**
 * Runs `reads`, which changes nothing, on a connection and outside any transaction. After a restart of the database,
 * all connections that lay idle are dead without knowing it; so it is silently repeated until it meets a new one.
 */
export async function outsideTransaction<Result>(
  dataSource: DataSource,
  reads: (connected: EntityManager) => Promise<Result>,
): Promise<Result> {
  const { poolSize = 10 } = dataSource.options as PostgresDataSourceOptions;
  const until = performance.now() + readRepeatsMs;
  for (let repeats = 0; ; repeats += 1) {
    try {
      return await readOnce(dataSource, reads);
    } catch (error) {
      if (repeats >= poolSize || performance.now() > until || !isWorthAnotherTry(error)) throw error;
    }
  }
}

async function readOnce<Result>(
  dataSource: DataSource,
  reads: (connected: EntityManager) => Promise<Result>,
): Promise<Result> {
  const runner = dataSource.createQueryRunner();
  try {
    return await reads(runner.manager);
  } finally {
    await runner.release();
  }
}

/** Turns rows into one array per column, in the order named: what `unnest` takes. */
export function columns<Row>(rows: readonly Row[], ...names: (keyof Row)[]): unknown[][] {
  return names.map(name => rows.map(row => row[name]));
}
