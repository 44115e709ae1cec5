import { request, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBank, type RunningBank } from '../server.js';
import type { BankSettings } from '../settings.js';

export interface Heard {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  json: Said;
}

/** All that the bank ever says, as if each answer said everything: a test that expects what is not there fails. */
interface Said {
  id: string;
  reference: string;
  amount: number;
  status: string;
  decline: { code: string; message: string };
  created_at: string;
  settled_at: string;
  error: { code: string; message: string };
  bookings: { kind: string; reference: string }[];
  next: number;
  charges: number;
  reached: boolean;
  held: number;
  requests: object[];
  struck: Record<string, number>;
  counts: { PUT: number; GET: number };
}

export const order = { amount: 10_000, currency: 'GBP', creditor: 'sam' };

/** One request over a socket of its own. Rejects when the connection ends before the answer does. */
export function ask(url: string, method: string, path: string, asked: Asked = {}): Promise<Heard> {
  const { body, apiKey = 'bk_demo_paysam', signal, onData } = asked;
  const { promise, resolve, reject } = Promise.withResolvers<Heard>();
  const headers = apiKey === null ? {} : { authorization: `Bearer ${apiKey}` };
  const call = request(url + path, { method, headers, agent: false, ...(signal && { signal }) }, response => {
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      onData?.(text);
    });
    response.on('error', reject).on('end', () => {
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text,
        json: jsonOrNothing(text),
      });
    });
  });
  call.on('error', reject).end(typeof body === 'string' ? body : body && JSON.stringify(body));
  return promise;
}

export interface Asked {
  body?: object | string;
  apiKey?: string | null;
  signal?: AbortSignal;
  /** Called with all that has come so far. */
  onData?: (text: string) => void;
}

/** A bank inside the test, with the calls that most tests make. */
export async function openBank(settings: Partial<BankSettings> = {}) {
  const bank: RunningBank = await startBank({
    ...{ port: 0, books: ':memory:', control: true, settleMs: 0, hangMs: 100 },
    ...settings,
  });
  const call = (method: string, path: string, body?: object | string) =>
    ask(bank.url, method, path, body === undefined ? {} : { body });
  return {
    ...bank,
    call,
    put: (reference: string, changed: object = {}) =>
      call('PUT', `/transfers/${reference}`, { ...order, ...changed }),
    get: (reference: string) => call('GET', `/transfers/${reference}`),
    statement: async (query = '') => (await call('GET', `/transfers${query}`)).json,
    totals: async () => (await call('GET', '/control/books')).json,
    fault: async (body: object) => {
      const { status, text } = await call('POST', '/control/faults', body);
      if (status !== 201) throw new Error(`no such fault: ${text}`);
    },
    control: (path: string, body: object = {}) => call('POST', `/control/${path}`, body),
  };
}

export type TestBank = Awaited<ReturnType<typeof openBank>>;

/** The code of whatever ended a call without an answer; 'answered', if none did. */
export async function endOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'answered',
    (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error),
  );
}

export async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await isTrue()); tries += 1) {
    if (tries === 200) throw new Error('It did not become true within two seconds.');
    await sleep(10);
  }
}

function jsonOrNothing(text: string): Said {
  try {
    return JSON.parse(text) as Said;
  } catch {
    return undefined as unknown as Said;
  }
}
