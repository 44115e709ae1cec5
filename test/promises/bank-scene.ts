import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultKind } from '../../bank/faults.js';
import { bootApi, type Api } from '../support/api.js';
import { startApi, type ApiOptions, type ApiProcess } from '../support/api-process.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Customer, type Database, type Sql } from '../support/database.js';
import { call, type Answer } from '../support/http.js';
import { checkMoney, checkOnePaymentPerKey } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import {
  checkNoLostAcknowledgement,
  checkOneCharge,
  checkPostedIsCharged,
  checkSameAnswer,
  checkUnknownIsNotFailed,
  readBookings,
  type Told,
} from '../support/rail-invariants.js';

/** £1.00 to somebody with an account at the other bank. */
export const orderToSam = { to: 'sam', amount: 100, currency: 'GBP', rail: 'bank' };

/** How that payment, made by alice, is fingerprinted: the canonical document, written out by hand. */
export const fingerprintOfOrder =
  '[1,"payment",{"amount":100,"currency":"GBP","from":"alice","rail":"bank","reference":null,"to":"sam"}]';

/** Waits that a test can afford, in the same proportions as those of production. */
export const quick = {
  LEASE_MS: '2000',
  BANK_TIMEOUT_MS: '1500',
  BANK_REQUEST_TIMEOUT_MS: '400',
  BANK_CONNECT_TIMEOUT_MS: '300',
  BANK_BACKOFF_MS: '10',
  BANK_BACKOFF_MAX_MS: '100',
  BANK_BREAK_MS: '200',
  // One bank for all faults of a suite: it fails more often than any bank we know.
  BANK_RETRY_TOKENS: '1000000',
  SWEEP_MS: '50',
  RECOVERY_BACKOFF_MS: '50',
  RECOVERY_BACKOFF_MAX_MS: '200',
  OUTAGE_BACKOFF_MAX_MS: '200',
  DUPLICATES_FLUSH_MS: '20',
};

/** For payments that a test holds inside the bank for as long as it likes. */
export const patient = { BANK_REQUEST_TIMEOUT_MS: '10000', BANK_TIMEOUT_MS: '12000', LEASE_MS: '15000' };

export interface Target {
  method?: 'PUT' | 'GET';
  reference?: string;
  creditor?: string;
  /** 0: every time. */
  times?: number;
}

export interface Fault extends Target {
  kind: FaultKind;
  status?: number;
  delay_ms?: number;
  retry_after?: string;
  location?: string;
}

export interface KeyRow {
  recovery_point: string;
  state: { payment_id: string; transfer_id: string; bank_transfer_id?: string } | null;
  epoch: number;
  attempts: number;
  may_be_sent: boolean;
  parked_because: string | null;
  response_body: string | null;
  /** What is left of the lease, or of the wait: milliseconds by the database's clock. */
  locked_ms: number | null;
}

export interface Wishes {
  payer?: Customer;
  prefer?: string;
}

export interface BankScene {
  database: Database;
  sql: Sql;
  bank: BankProcess;
  /** She has £10,000.00. */
  alice: Customer;
  /** He has nothing, and is paid over the ledger: at the bank anybody may be called sam. */
  sam: Customer;
  boot: (env?: Record<string, string>) => Promise<Api>;
  start: (options?: Partial<ApiOptions>) => Promise<ApiProcess>;
  /** All of them: what is then under way waits for whoever is booted next. */
  stopApis: () => Promise<void>;
  /** Through the bank, unless `body` says otherwise: what differs from £1.00 to sam. */
  pay: (api: { url: string }, key: string, body?: object, wishes?: Wishes) => Promise<Answer>;
  /** Sends the same request again and again, as a client would, until it has a definitive answer. */
  payUntilAnswered: (api: { url: string }, key: string, body?: object) => Promise<Answer>;
  operation: (api: { url: string }, key: string, customer?: Customer) => Promise<Answer>;
  cancel: (api: { url: string }, key: string, customer?: Customer) => Promise<Answer>;
  fault: (...faults: Fault[]) => Promise<void>;
  barrier: (at: 'before' | 'after', target?: Target) => Promise<Barrier>;
  row: (key: string) => Promise<KeyRow | undefined>;
  paymentOf: (key: string) => Promise<{ id: string; status: string; bank_transfer_id: string | null }>;
  balanceOf: (account: string) => Promise<{ posted: number; pending: number }>;
  /** Waits, and lets the workers work, until the row is as it should be. */
  untilRow: (key: string, isSo: (row: KeyRow) => boolean) => Promise<KeyRow>;
  /** One figure that an operator sees. */
  metric: (api: { url: string }, series: string) => Promise<number>;
  /** Every request about this payment that the bank has got: `PUT 201`, or `GET null` for one never answered. */
  conversation: (reference: string) => Promise<string[]>;
}

/** Where requests are held inside the bank. */
export interface Barrier {
  reached: () => Promise<void>;
  /** Waits until so many are held. */
  holds: (requests: number) => Promise<void>;
  release: () => Promise<void>;
}

export const hasEnded = ({ recovery_point: point, parked_because: why }: KeyRow) =>
  point === 'finished' || point === 'cancelled' || why !== null;

/**
 * Sets a suite up with a database and a bank of its own. After each test, whatever went wrong in it: every operation
 * comes to an end or is parked, nothing is left behind, and three witnesses agree: what callers were told, the bank's
 * books and ours.
 */
export function setUpBankScene(
  options: { bankEnv?: Record<string, string>; isHonest?: boolean } = {},
): BankScene {
  const scene = {} as BankScene;
  const apis: Api[] = [];
  const processes: ApiProcess[] = [];
  const told: Told[] = [];

  beforeAll(async () => {
    const [database, bank] = await Promise.all([createDatabase(), startBank(options.bankEnv)]);
    const alice = await database.addCustomer({ name: 'alice', balance: 1_000_000 });
    const sam = await database.addCustomer({ name: 'sam' });
    const { sql } = database;
    Object.assign(scene, {
      database,
      sql,
      bank,
      alice,
      sam,
      boot: async env => {
        const api = await bootApi(database.url, { ...quick, ...bank.env, ...env });
        apis.push(api);
        return api;
      },
      start: async (more = {}) => {
        const env = { ...quick, ...bank.env, ...more.env };
        const api = await startApi({ databaseUrl: database.url, ...more, env });
        processes.push(api);
        return api;
      },
      stopApis: async () => {
        await Promise.all([
          ...apis.splice(0).map(api => api.stop()),
          ...processes.splice(0).map(api => api.kill('SIGTERM')),
        ]);
      },
      pay: async (api, key, body = {}, { payer = alice, prefer } = {}) => {
        const answer = await call(`${api.url}/payments`, {
          apiKey: payer.apiKey,
          key,
          body: { ...orderToSam, ...body },
          ...(prefer !== undefined && { headers: { prefer } }),
        });
        told.push({ customerId: payer.id, key, status: answer.status, body: answer.text });
        return answer;
      },
      payUntilAnswered: async (api, key, body) => {
        for (let tries = 0; tries < 200; tries += 1) {
          const answer = await scene.pay(api, key, body);
          if (answer.status === 200 || answer.status === 402) return answer;
          expect([202, 409]).toContain(answer.status);
          expect(answer.headers.get('idempotency-status')).toBe('in_progress');
          await sleep(50);
        }
        throw new Error(`there was never an answer for ${key}`);
      },
      operation: (api, key, customer = alice) =>
        call(`${api.url}/operations/${key}`, { apiKey: customer.apiKey }),
      cancel: (api, key, customer = alice) =>
        call(`${api.url}/operations/${key}/cancel`, { method: 'POST', apiKey: customer.apiKey }),
      fault: async (...faults) => {
        for (const fault of faults) await bank.control('POST', '/faults', fault);
      },
      barrier: (at, target = {}) => raiseBarrier(bank, { at, ...target }),
      row: async key => {
        const [row] = await sql<KeyRow>(
          `SELECT *, (extract(epoch FROM locked_until - clock_timestamp()) * 1000)::float8 AS locked_ms
             FROM idempotency_keys WHERE key = $1`,
          [key],
        );
        return row;
      },
      paymentOf: async key => {
        const [payment] = await sql<Awaited<ReturnType<BankScene['paymentOf']>>>(
          'SELECT id, status, bank_transfer_id FROM payments WHERE idempotency_key = $1',
          [key],
        );
        if (!payment) throw new Error(`there is no payment under ${key}`);
        return payment;
      },
      balanceOf: async account => {
        const [balance] = await sql<{ posted: number; pending: number }>(
          'SELECT credits_posted - debits_posted AS posted, debits_pending AS pending FROM accounts WHERE id = $1',
          [account],
        );
        return balance ?? { posted: NaN, pending: NaN };
      },
      untilRow: async (key, isSo) => {
        for (let looks = 0; looks < 400; looks += 1) {
          const row = await scene.row(key);
          if (row && isSo(row)) return row;
          await sleep(25);
        }
        throw new Error(`${key} never came so far: ${JSON.stringify(await scene.row(key))}`);
      },
      metric: async (api, series) => {
        const { text } = await call(`${api.url}/metrics`);
        const line = text.split('\n').find(each => each.startsWith(`${series} `));
        if (line === undefined) throw new Error(`${series} is not told`);
        return Number(line.slice(series.length));
      },
      conversation: async reference => {
        const { requests } = (await bank.control('GET', `/requests?reference=${reference}`)) as {
          requests: { method: string; status: number | null }[];
        };
        return requests.map(({ method, status }) => `${method} ${status}`);
      },
    } satisfies BankScene);
  });

  afterEach(async () => {
    const { sql, bank } = scene;
    await bank.control('POST', '/reset');
    await untilAllHaveEnded(scene);
    await expectNoLeaks(sql);
    expect(await checkMoney(sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(sql)).toEqual([]);
    const witnesses = { sql, bookings: await readBookings(bank.env), told };
    expect(await checkSameAnswer(witnesses)).toEqual([]);
    expect(await checkUnknownIsNotFailed(witnesses)).toEqual([]);
    if (options.isHonest === false) return;
    expect(await checkNoLostAcknowledgement(witnesses)).toEqual([]);
    expect(await checkOneCharge(witnesses)).toEqual([]);
    // What is parked stays promised, charged or not, until a person has looked.
    const parked = await sql('SELECT FROM idempotency_keys WHERE parked_because IS NOT NULL');
    if (parked.length === 0) expect(await checkPostedIsCharged(witnesses)).toEqual([]);
  });

  afterAll(async () => {
    await scene.stopApis();
    await scene.bank.stop();
    await scene.database.drop();
  });

  return scene;
}

async function raiseBarrier(bank: BankProcess, barrier: object): Promise<Barrier> {
  const { id } = (await bank.control('POST', '/barriers', barrier)) as { id: string };
  const watch = (waitMs: number) =>
    bank.control('GET', `/barriers/${id}?wait_ms=${waitMs}`) as Promise<{ reached: boolean; held: number }>;
  return {
    reached: async () => {
      if (!(await watch(10_000)).reached) throw new Error('nobody came to the barrier');
    },
    holds: async requests => {
      await watch(10_000);
      for (let looks = 0; (await watch(0)).held < requests; looks += 1) {
        if (looks === 400) throw new Error(`there were never ${requests} requests at the barrier`);
        await sleep(25);
      }
    },
    release: async () => {
      await bank.control('DELETE', `/barriers/${id}`);
    },
  };
}

/**
 * Once the faults are over, everything that is under way ends, or a person is asked (I5). What the instances of the
 * test leave unfinished, another one with a completer must be able to finish.
 */
async function untilAllHaveEnded({ sql, bank, database }: BankScene): Promise<void> {
  const findUnfinished = () =>
    sql(`
      SELECT * FROM idempotency_keys
       WHERE recovery_point NOT IN ('finished', 'cancelled') AND parked_because IS NULL`);
  let unfinished = await findUnfinished();
  if (unfinished.length === 0) return;
  const healer = await bootApi(database.url, { ...quick, ...bank.env });
  for (let looks = 0; looks < 400 && unfinished.length > 0; looks += 1) {
    await sleep(25);
    unfinished = await findUnfinished();
  }
  await healer.stop();
  if (unfinished.length > 0) throw new Error(`never came to an end: ${JSON.stringify(unfinished)}`);
}
