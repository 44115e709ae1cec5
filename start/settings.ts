import { resolve } from 'node:path';
import { Refusal } from './refusal.js';

export interface StartSettings {
  port: number;
  host: string;
  /** Somebody's own PostgreSQL; undefined means the built-in one. */
  databaseUrl: string | undefined;
  dataDir: string;
}

/** An empty value counts as none, because that is what `PORT=${PORT}` in a compose file or script makes of it. */
export function readSettings(environment: NodeJS.ProcessEnv): StartSettings {
  return {
    port: readPort(environment.PORT || '3000'),
    host: environment.HOST || '127.0.0.1',
    databaseUrl: environment.DATABASE_URL || undefined,
    dataDir: resolve(environment.DATA_DIR || '.data'),
  };
}

function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) {
    throw new Refusal(`PORT is "${text}".`, 'Set it to a number from 1 to 65535, for example PORT=3000.');
  }
  return port;
}
