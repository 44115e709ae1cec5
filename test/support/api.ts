import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { startApi } from '../../src/main.js';
import { readSettings } from '../../src/settings.js';

export interface Api {
  url: string;
  app: NestFastifyApplication;
  stop(): Promise<void>;
}

/** The whole API inside the test's own process, on a real socket: for everything but crashes. */
export async function bootApi(databaseUrl: string, env: Record<string, string> = {}): Promise<Api> {
  const settings = readSettings({ DATABASE_URL: databaseUrl, PORT: '0', LOG_LEVEL: 'silent', ...env });
  const app = await startApi(settings);
  return { url: await app.getUrl(), app, stop: () => app.close() };
}
