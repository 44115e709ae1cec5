import { join } from 'node:path';
import { defaultSettings } from '../bank/settings.js';
import { Child } from './child.js';

/** Where the pretend bank keeps its books, in the folder of the data, and out of reach of our PostgreSQL's death. */
export function booksOf(dataDir: string): string {
  return join(dataDir, 'bank.db');
}

/** What SQLite may leave beside the books when the bank is killed. */
export function filesOfBooks(dataDir: string): string[] {
  return ['', '-wal', '-shm'].map(ending => booksOf(dataDir) + ending);
}

/** The pretend bank, not started yet. It listens on this machine only, because its key is published. */
export function pretendBank(port: number, dataDir: string, signal: AbortSignal): Child {
  return new Child(
    {
      name: 'The pretend bank',
      script: join(import.meta.dirname, '../bank/main.js'),
      nodeFlags: [],
      environment: {
        ...process.env,
        BANK_PORT: String(port),
        BANK_HOST: '127.0.0.1',
        BANK_BOOKS: booksOf(dataDir),
      },
      readyUrl: `${addressOf(port)}/health`,
      log: join(dataDir, 'bank.log'),
      pidFile: join(dataDir, 'bank.pid'),
    },
    signal,
  );
}

/** How the API, and whoever recovers its payments, reaches the pretend bank. */
export function accessTo(port: number, environment: NodeJS.ProcessEnv): Record<string, string> {
  return { BANK_URL: addressOf(port), BANK_API_KEY: environment.BANK_API_KEY || defaultSettings.apiKey };
}

/**
 * With the ordinary settings, a payment whose API was killed is taken up after half a minute, since a real bank may
 * take ten seconds. This bank is on the same machine: six seconds let a reader see it happen. The three belong
 * together (a request, a call of two or three requests, a lease that outlasts the call), so whoever sets one of
 * them gets none of ours.
 */
const patience: Record<string, string> = {
  BANK_REQUEST_TIMEOUT_MS: '2000',
  BANK_TIMEOUT_MS: '5000',
  LEASE_MS: '6000',
};

export function patienceWith(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.keys(patience).some(name => environment[name]) ? {} : patience;
}

function addressOf(port: number): string {
  return `http://127.0.0.1:${String(port)}`;
}
