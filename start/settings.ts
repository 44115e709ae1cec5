import { resolve } from 'node:path';
import { Refusal } from './refusal.js';

export interface StartSettings {
  port: number;
  host: string;
  /** Somebody's own PostgreSQL; undefined means the built-in one. */
  databaseUrl: string | undefined;
  /** Somebody's own bank; undefined means the pretend one. */
  bankUrl: string | undefined;
  /** Where the pretend bank listens, on this machine only: its key is published. */
  bankPort: number;
  dataDir: string;
}

/** An empty value counts as none, because that is what `PORT=${PORT}` in a compose file or script makes of it. */
export function readSettings(environment: NodeJS.ProcessEnv): StartSettings {
  const port = readPort(environment, 'PORT', 3000);
  const bankPort = readPort(environment, 'BANK_PORT', 3001);
  const bankUrl = environment.BANK_URL || undefined;
  if (!bankUrl && port === bankPort) {
    throw new Refusal(`PORT and BANK_PORT are both ${String(port)}.`, 'Set one of them to another number.');
  }
  return {
    port,
    host: environment.HOST || '127.0.0.1',
    databaseUrl: environment.DATABASE_URL || undefined,
    bankUrl,
    bankPort,
    dataDir: resolve(environment.DATA_DIR || '.data'),
  };
}

function readPort(environment: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = environment[name] || String(fallback);
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) {
    throw new Refusal(
      `${name} is "${text}".`,
      `Set it to a number from 1 to 65535, for example ${name}=${String(fallback)}.`,
    );
  }
  return port;
}
