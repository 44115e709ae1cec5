import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import { DataSource, MigrationExecutor, QueryFailedError } from 'typeorm';
import { dataSourceOptions } from './data-source.js';

/** Any number that nothing else in the database locks: "sam" in ASCII. */
const migratorLock = 0x73_61_6d;

/** How long one instance waits for another that is migrating, in milliseconds. Large tables take a while. */
const migratorWaitMs = 60_000;

/**
 * How long one migration waits for a table, in milliseconds. While it waits, every payment queues behind it: two
 * seconds is a pause that callers sit out; without a limit one forgotten transaction would stop the service.
 */
const lockTimeoutMs = 2_000;

/** SQLSTATE: a lock was not to be had within lock_timeout. */
const lockNotAvailable = '55P03';

/** Five tries with pauses give a busy table more than ten seconds; after that, somebody has to look. */
const triesMax = 5;

/** A schema that cannot be brought up to date until somebody acts; the message says how. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused';
}

/**
 * Brings the schema up to date, and returns the names of the migrations that this took.
 *
 * Several instances may start at once: the lock lets one of them migrate while the others wait, and they then
 * find nothing left to do. It has a session of its own, because it must outlast the transactions in between.
 * Each migration is one transaction, so a crash leaves a schema that the next try continues from.
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const guard = new Client({ connectionString: databaseUrl, application_name: 'pay-sam-migrate' });
  // If this session is lost, so is the lock; a second migrator then fails on what exists, and changes nothing.
  guard.on('error', () => undefined);
  await guard.connect();
  try {
    await guard.query("SELECT set_config('lock_timeout', $1, false)", [String(migratorWaitMs)]);
    await guard.query('SELECT pg_advisory_lock($1)', [migratorLock]);
    return await applyPending(databaseUrl);
  } catch (error) {
    const { message } = databaseError(error) ?? {};
    if (message === undefined) throw error;
    throw new MigrationRefused(
      `The database schema could not be brought up to date: ${message}. Put that right, then start again.`,
    );
  } finally {
    await guard.end();
  }
}

async function applyPending(databaseUrl: string): Promise<string[]> {
  const options = dataSourceOptions({ databaseUrl });
  const extra = { ...(options.extra as object), lock_timeout: lockTimeoutMs };
  const dataSource = await new DataSource({ ...options, extra }).initialize();
  try {
    await refuseNewerSchema(dataSource);
    for (let tries = 1; ; tries++) {
      try {
        const applied = await dataSource.runMigrations();
        return applied.map(({ name }) => name);
      } catch (error) {
        if (databaseError(error)?.code !== lockNotAvailable || tries === triesMax) throw error;
        await sleep(1_000 * Math.random());
      }
    }
  } finally {
    await dataSource.destroy();
  }
}

/** Older code on a newer schema might write what the newer code no longer understands. */
async function refuseNewerSchema(dataSource: DataSource): Promise<void> {
  const applied = await new MigrationExecutor(dataSource).getExecutedMigrations();
  const known = new Set(dataSource.migrations.map(({ name }) => name));
  const unknown = applied.map(({ name }) => name).filter(name => !known.has(name));
  if (unknown.length === 0) return;
  throw new MigrationRefused(
    `The database schema is newer than this code, which does not know ${unknown.join(', ')}. ` +
      'Update this copy of Pay Sam, or use another database.',
  );
}

function databaseError(error: unknown): DatabaseError | undefined {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  return cause instanceof DatabaseError ? cause : undefined;
}

async function runAsCommand(databaseUrl: string | undefined): Promise<void> {
  try {
    if (!databaseUrl)
      throw new MigrationRefused('DATABASE_URL is not set. Set it to the database to migrate.');
    const applied = await migrate(databaseUrl);
    console.log(applied.length === 0 ? 'The schema is up to date.' : `Applied ${applied.join(', ')}.`);
  } catch (error) {
    console.error(error instanceof Error ? error.message || String(error) : error);
    process.exitCode = 1;
  }
}

if (import.meta.main) void runAsCommand(process.env.DATABASE_URL);
