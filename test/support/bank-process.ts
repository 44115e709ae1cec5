import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keptPort } from './own-port.js';

const apiKey = 'bk_test_paysam';

/** The other bank, in a process of its own. Its books lie in a folder of their own, and outlive its kills. */
export interface BankProcess {
  url: string;
  /** What an API or a worker needs to reach it. */
  env: { BANK_URL: string; BANK_API_KEY: string };
  pid: number;
  control: (method: string, path: string, body?: object) => Promise<unknown>;
  /** What the bank has booked for this reference: its own books, not what it answered. */
  charges: (reference: string) => Promise<{ amount: number; currency: string }[]>;
  /** How often it was asked, and for what, by its own log. */
  requests: (reference: string) => Promise<{ PUT: number; GET: number }>;
  kill: (signal?: 'SIGKILL' | 'SIGTERM') => Promise<void>;
  /** On the same port, with the same books. */
  restart: () => Promise<void>;
  /** Ends it, and throws its books away. */
  stop: () => Promise<void>;
}

export async function startBank(env: Record<string, string> = {}): Promise<BankProcess> {
  const port = await keptPort();
  const folder = mkdtempSync(join(tmpdir(), 'pay-sam-bank-'));
  const url = `http://127.0.0.1:${port}`;
  let child = await start();

  async function start() {
    const process_ = spawn(process.execPath, ['dist/bank/main.js'], {
      env: {
        ...process.env,
        BANK_PORT: String(port),
        BANK_BOOKS: join(folder, 'bank.db'),
        BANK_API_KEY: apiKey,
        BANK_CONTROL: '1',
        ...env,
      },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    for (let tries = 0; tries < 400; tries += 1) {
      const health = await fetch(`${url}/health`).catch(() => undefined);
      if (health?.ok) return process_;
      if (process_.exitCode !== null) break;
      await sleep(25);
    }
    process_.kill('SIGKILL');
    throw new Error('the bank did not get ready');
  }

  async function ask(method: string, path: string, body?: object): Promise<unknown> {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the bank answered ${method} ${path} with ${answer.status}: ${text}`);
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  }

  const bank: BankProcess = {
    url,
    env: { BANK_URL: url, BANK_API_KEY: apiKey },
    get pid() {
      return child.pid ?? 0;
    },
    control: (method, path, body) => ask(method, `/control${path}`, body),
    charges: async reference => {
      const all: { kind: string; reference: string; amount: number; currency: string }[] = [];
      for (let since = 0, more = true; more;) {
        const page = (await ask('GET', `/transfers?since=${since}`)) as {
          bookings: typeof all;
          next: number;
        };
        all.push(...page.bookings);
        more = page.bookings.length > 0;
        since = page.next;
      }
      return all
        .filter(booking => booking.kind === 'charge' && booking.reference === reference)
        .map(({ amount, currency }) => ({ amount, currency }));
    },
    requests: async reference => {
      const log = (await ask('GET', `/control/requests?reference=${reference}`)) as {
        counts: { PUT?: number; GET?: number };
      };
      return { PUT: log.counts.PUT ?? 0, GET: log.counts.GET ?? 0 };
    },
    kill: async (signal = 'SIGKILL') => {
      const gone = new Promise(resolve => child.once('exit', resolve));
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await gone;
    },
    restart: async () => {
      await bank.kill();
      child = await start();
    },
    stop: async () => {
      await bank.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return bank;
}
