import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { startApi } from '../../src/main.js';
import { readSettings } from '../../src/settings.js';

export interface Api {
  url: string;
  app: NestFastifyApplication;
  stop(): Promise<void>;
}

/** A test is often one customer who does what a thousand would; limits have tests of their own. */
export const unlimited = {
  REQUESTS_PER_SECOND_MAX: '1000000',
  IN_FLIGHT_PER_CUSTOMER_MAX: '100000',
  // The process of a test has more to do than an API has.
  EVENT_LOOP_DELAY_MAX_MS: '60000',
};

/** The whole API inside the test's own process, on a real socket: for everything but crashes. */
export async function bootApi(databaseUrl: string, env: Record<string, string> = {}): Promise<Api> {
  const settings = readSettings({
    DATABASE_URL: databaseUrl,
    PORT: '0',
    LOG_LEVEL: 'silent',
    ...unlimited,
    ...env,
  });
  const app = await startApi(settings);
  return { url: await app.getUrl(), app, stop: () => app.close() };
}
