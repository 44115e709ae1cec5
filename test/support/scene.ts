import { bootApi, type Api } from './api.js';
import { startApi, type ApiOptions, type ApiProcess } from './api-process.js';
import { createDatabase, type Customer, type Database, type Sql } from './database.js';
import { call, type Answer } from './http.js';
import { checkMoney, checkOnePaymentPerKey } from './invariants.js';
import { expectNoLeaks } from './leak-check.js';

/** £1.00 to Sam: what most promises are tried with. */
export const paySam = { to: 'sam', amount: 100, currency: 'GBP' };

/** How the payment above, made by alice, is fingerprinted: the canonical document, written out by hand. */
export const fingerprintOfPaySam =
  '[1,"payment",{"amount":100,"currency":"GBP","from":"alice","rail":"ledger","reference":null,"to":"sam"}]';

export interface Scene {
  database: Database;
  sql: Sql;
  /** She has £10,000.00. */
  alice: Customer;
  /** He has nothing yet. */
  sam: Customer;
  /** An instance of the API, stopped after the last test. Through a proxy, if its `url` is given. */
  boot: (env?: Record<string, string>, url?: string) => Promise<Api>;
  /** The same in a process of its own, as it is shipped; for crashes, and where Jest's own globals would matter. */
  start: (options?: Partial<ApiOptions>) => Promise<ApiProcess>;
  /** `body` says what differs from £1.00 to Sam; a string is sent as it is. */
  pay: (api: { url: string }, key: string, body?: object | string, payer?: Customer) => Promise<Answer>;
}

/**
 * Sets a suite up on a database of its own. After each test, whatever it was about: nothing is left behind, no
 * money was made or lost, no key has two payments.
 */
export function setUpScene(): Scene {
  const scene = {} as Scene;
  const apis: Api[] = [];
  const processes: ApiProcess[] = [];

  beforeAll(async () => {
    const database = await createDatabase();
    const alice = await database.addCustomer({ name: 'alice', balance: 1_000_000 });
    const sam = await database.addCustomer({ name: 'sam' });
    Object.assign(scene, {
      database,
      sql: database.sql,
      alice,
      sam,
      boot: async (env, url = database.url) => {
        const api = await bootApi(url, env);
        apis.push(api);
        return api;
      },
      start: async options => {
        const api = await startApi({ databaseUrl: database.url, ...options });
        processes.push(api);
        return api;
      },
      pay: (api, key, body = {}, payer = alice) =>
        call(`${api.url}/payments`, {
          apiKey: payer.apiKey,
          key,
          body: typeof body === 'string' ? body : { ...paySam, ...body },
        }),
    } satisfies Scene);
  });

  afterEach(async () => {
    await expectNoLeaks(scene.sql);
    expect(await checkMoney(scene.sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(scene.sql)).toEqual([]);
  });

  afterAll(async () => {
    await Promise.all([...apis.map(api => api.stop()), ...processes.map(api => api.kill())]);
    await scene.database.drop();
  });

  return scene;
}

/** Not a repeat: the answer to the call that did it. */
export function isFirstAnswer({ status, headers }: Answer): boolean {
  return (
    (status === 200 || status === 402) &&
    headers.get('idempotency-status') === 'completed' &&
    headers.get('idempotent-replayed') === null
  );
}

export function isReplay({ status, headers }: Answer): boolean {
  return (
    (status === 200 || status === 402) &&
    headers.get('idempotency-status') === 'already_completed' &&
    headers.get('idempotent-replayed') === 'true'
  );
}
