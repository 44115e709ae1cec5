import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DataSource } from 'typeorm';
import { AppModule } from './app.module.js';
import { createServer } from './http/server.js';
import { readSettings, type Settings } from './settings.js';

/** Boots the API. It listens once this returns. */
export async function startApi(settings: Settings): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(settings),
    createServer(settings),
    { bodyParser: false, logger: ['error', 'fatal'], abortOnError: false },
  );
  try {
    await refuseOldSchema(app.get(DataSource));
    await app.listen(settings.port, settings.host);
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}

/** This process only ever reads and writes rows. Whoever deploys migrates first, once. */
async function refuseOldSchema(dataSource: DataSource): Promise<void> {
  if (await dataSource.showMigrations()) {
    throw new Error('The database schema is older than this code. Run "npm run migrate", then start again.');
  }
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
  // Started by a parent that is gone: nobody is left to stop this process.
  if (process.connected) process.once('disconnect', stop);
}

if (import.meta.main) {
  try {
    const settings = readSettings(process.env);
    const app = await startApi(settings);
    stopOnSignal(app, settings);
    console.log(`Pay Sam listens on ${await app.getUrl()}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
