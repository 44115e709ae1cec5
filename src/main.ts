import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DataSource } from 'typeorm';
import { AppModule } from './app.module.js';
import { publishDocs } from './docs/docs-page.js';
import { protect } from './http/protect.js';
import { createServer } from './http/server.js';
import { readSettings, type Settings } from './settings.js';
import { errorToLog } from './telemetry/error-to-log.js';
import { createLog } from './telemetry/log.js';

/** Boots the API. It listens once this returns. */
export async function startApi(settings: Settings): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(settings),
    createServer(settings),
    // What goes wrong while starting is thrown, and told below in one line.
    { bodyParser: false, logger: false, abortOnError: false },
  );
  try {
    await protect(app, settings);
    publishDocs(app, settings);
    await refuseOtherSchema(app.get(DataSource));
    await app.listen(settings.port, settings.host);
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

/** This process only ever reads and writes rows. Whoever deploys migrates first, once. */
async function refuseOtherSchema(dataSource: DataSource): Promise<void> {
  const [table] = await dataSource.query<{ name: string | null }[]>(
    "SELECT to_regclass('migrations') AS name",
  );
  const applied = table?.name
    ? await dataSource.query<{ name: string }[]>('SELECT name FROM migrations')
    : [];
  const names = new Set(applied.map(({ name }) => name));
  if (dataSource.migrations.some(({ name }) => !names.has(name ?? ''))) {
    throw new Error('The database schema is older than this code. Run "npm run migrate", then start again.');
  }
  // What was recorded may be gone all the same, or not be ours to read: better said now than to the first caller.
  await dataSource.query(
    `SELECT FROM customers, api_keys, accounts, transfers, payments, refunds, idempotency_keys, bank_bookings
      WHERE false`,
  );
}

/** Stops accepting, answers what is in flight, closes the pool. A second signal does not wait. */
function stopOnSignal(app: NestFastifyApplication, { shutdownGraceMs }: Settings): void {
  const stop = () => {
    setTimeout(() => process.exit(1), shutdownGraceMs).unref();
    app.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  // Started by a parent that is gone, perhaps since before this line: nobody is left to stop this process.
  if (process.connected) process.once('disconnect', stop);
  else if (process.send) stop();
}

/**
 * An error that nobody caught, or a rejection that nobody waits for: what is in memory may be half of something. It is
 * told in one line, and the process is gone, as after a kill: whatever counts is in the database, where others find it.
 */
function endOnMistake({ logLevel }: Settings): void {
  const log = createLog(logLevel);
  process.on('uncaughtException', (error, event) => {
    log.fatal({ event, err: errorToLog(error) }, 'nobody caught this: the process ends');
    process.exit(1);
  });
}

/** What may go wrong before the first request, and what to do about it. */
function explain(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const remedies: Record<string, string> = {
    EADDRINUSE: 'Something else listens on that port: stop it, or set PORT to another one.',
    EACCES: 'This port is reserved: set PORT to one above 1023.',
    ECONNREFUSED: 'No PostgreSQL answers there: start it, or correct DATABASE_URL.',
    ENOTFOUND: 'There is no such host: correct DATABASE_URL.',
    '28P01': 'Correct the password in DATABASE_URL.',
    '28000': 'Correct the user in DATABASE_URL.',
    '42P01': 'Migrations made that table, and it is gone: restore the database from its backup.',
    '42501': 'Give the role of DATABASE_URL its rights: SELECT grant_rights_of_the_api(role).',
    '3D000': 'Create the database, or correct DATABASE_URL.',
  };
  return [message, remedies[code]].filter(Boolean).join('. ');
}

if (import.meta.main) {
  try {
    const settings = readSettings(process.env);
    endOnMistake(settings);
    const app = await startApi(settings);
    stopOnSignal(app, settings);
    console.log(`Pay Sam listens on ${await app.getUrl()}`);
  } catch (error) {
    console.error(`Pay Sam could not start. ${explain(error)}`);
    process.exit(1);
  }
}
