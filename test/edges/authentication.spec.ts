import { createHash, randomUUID } from 'node:crypto';
import { METHODS } from 'node:http';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { exchange, headerOf } from '../support/wire.js';

const pay = { to: 'sam', amount: 100, currency: 'GBP' };

describe('nobody sees or moves money that is not theirs', () => {
  let database: Database;
  let api: Api;
  let port: number;
  let alice: Customer;
  let bob: Customer;
  let readOnly: string;

  /** Something of each kind that belongs to alice. */
  let payment: { id: string; key: string; text: string };

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 100_000 });
    bob = await database.addCustomer({ name: 'bob', balance: 100_000 });
    await database.addCustomer({ name: 'sam' });
    readOnly = await apiKeyOf(alice, ['read']);
    api = await bootApi(database.url);
    port = Number(new URL(api.url).port);

    const key = randomUUID();
    const { text, json } = await call(`${api.url}/payments`, { apiKey: alice.apiKey, key, body: pay });
    payment = { id: json?.['id'] as string, key, text };
  });
  afterEach(() => expectNoLeaks(database.sql));
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  async function apiKeyOf(customer: Customer, scopes: string[]): Promise<string> {
    const apiKey = `sk_test_${randomUUID()}`;
    await database.sql('INSERT INTO api_keys (hash, customer_id, scopes) VALUES ($1, $2, $3)', [
      createHash('sha256').update(apiKey).digest(),
      customer.id,
      scopes,
    ]);
    return apiKey;
  }

  /** Every route, with what belongs to alice. */
  const routes = () =>
    ({
      'POST /payments': { url: '/payments', key: payment.key, body: pay },
      'GET /payments': { url: '/payments' },
      'GET /payments/{id}': { url: `/payments/${payment.id}` },
      'GET /accounts': { url: '/accounts' },
      'GET /accounts/{id}': { url: '/accounts/alice' },
      'GET /accounts/{id}/transfers': { url: '/accounts/alice/transfers' },
      'GET /operations/{key}': { url: `/operations/${payment.key}` },
      'GET /health/live': { url: '/health/live' },
      'GET /health/ready': { url: '/health/ready' },
      'GET /problems/{slug}': { url: '/problems/not_found' },
    }) satisfies Record<string, { url: string; key?: string; body?: object }>;

  const visit = (route: { url: string; key?: string; body?: object }, headers: Record<string, string>) =>
    call(api.url + route.url, { ...route, headers });

  /**
   * Who may call what; the payment's key is finished, so a 200 on POST is a replay. `other` is another customer
   * with every scope: for it, the payment's key is one it has never used.
   */
  const matrix = {
    'POST /payments': { none: 401, unknown: 401, revoked: 401, readOnly: 403, own: 200, other: 200 },
    'GET /payments': { none: 401, unknown: 401, revoked: 401, readOnly: 200, own: 200, other: 200 },
    'GET /payments/{id}': { none: 401, unknown: 401, revoked: 401, readOnly: 200, own: 200, other: 404 },
    'GET /accounts': { none: 401, unknown: 401, revoked: 401, readOnly: 200, own: 200, other: 200 },
    'GET /accounts/{id}': { none: 401, unknown: 401, revoked: 401, readOnly: 200, own: 200, other: 404 },
    'GET /accounts/{id}/transfers': {
      none: 401,
      unknown: 401,
      revoked: 401,
      readOnly: 200,
      own: 200,
      other: 404,
    },
    'GET /operations/{key}': { none: 401, unknown: 401, revoked: 401, readOnly: 200, own: 200, other: 404 },
    'GET /health/live': { none: 200, unknown: 200, revoked: 200, readOnly: 200, own: 200, other: 200 },
    'GET /health/ready': { none: 200, unknown: 200, revoked: 200, readOnly: 200, own: 200, other: 200 },
    'GET /problems/{slug}': { none: 200, unknown: 200, revoked: 200, readOnly: 200, own: 200, other: 200 },
  } as const;

  it('lets each API key do what is written for it, and nothing else (S24, S25, S40)', async () => {
    const revoked = await apiKeyOf(alice, ['read', 'pay']);
    await database.sql('UPDATE api_keys SET revoked_at = now() WHERE hash = $1', [
      createHash('sha256').update(revoked).digest(),
    ]);
    const mallory = await database.addCustomer({ name: 'mallory', balance: 1_000 });
    const apiKeys = {
      none: undefined,
      unknown: 'sk_nobody',
      revoked,
      readOnly,
      own: alice.apiKey,
      other: mallory.apiKey,
    };

    const seen = Object.fromEntries(
      await Promise.all(
        Object.entries(routes()).map(async ([name, route]) => {
          const statuses = await Promise.all(
            Object.entries(apiKeys).map(async ([who, apiKey]) => {
              const headers: Record<string, string> = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
              return [who, (await visit(route, headers)).status] as const;
            }),
          );
          return [name, Object.fromEntries(statuses)] as const;
        }),
      ),
    );
    expect(seen).toEqual(matrix);
  });

  it('asks for credentials in the way RFC 6750 says, and stores nothing meanwhile', async () => {
    const before = await countRows(database.sql);
    const wrong = [
      '',
      'Bearer',
      'Bearer ',
      'Basic YWxpY2U6',
      alice.apiKey,
      `Token ${alice.apiKey}`,
      'Bearer sk_x',
      `Bearer ${alice.apiKey} x`,
      `Bearer ${alice.apiKey}é`,
    ];
    for (const authorization of wrong) {
      const answer = await visit(routes()['POST /payments'], { authorization });
      expect([authorization, answer.status, answer.json?.['code']]).toEqual([
        authorization,
        401,
        'unauthenticated',
      ]);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
      expect(answer.headers.get('should-retry')).toBe('false');
      expect(answer.headers.get('idempotent-replayed')).toBeNull();
      expect(answer.headers.get('idempotency-status')).toBeNull();
    }
    expect(await countRows(database.sql)).toEqual(before);
  });

  it('takes the scheme in any letter case', async () => {
    for (const scheme of ['bearer', 'BEARER', 'Bearer ']) {
      expect(
        (await visit(routes()['GET /payments'], { authorization: `${scheme} ${alice.apiKey}` })).status,
      ).toBe(200);
    }
  });

  it('refuses an API key from the moment it is revoked, replays and reads alike (S24, B119)', async () => {
    const apiKey = await apiKeyOf(alice, ['read', 'pay']);
    const headers = { authorization: `Bearer ${apiKey}` };
    const ofAlice = Object.entries(routes()).filter(([name]) => !/health|problems/.test(name));
    const statuses = () =>
      Promise.all(ofAlice.map(async ([, route]) => (await visit(route, headers)).status));
    expect(new Set(await statuses())).toEqual(new Set([200]));

    await database.sql('UPDATE api_keys SET revoked_at = now() WHERE hash = $1', [
      createHash('sha256').update(apiKey).digest(),
    ]);
    expect(new Set(await statuses())).toEqual(new Set([401]));
  });

  it('does not let an API key that may only read replay a payment, nor learn that its key was used (S25)', async () => {
    const headers = { authorization: `Bearer ${readOnly}` };
    const used = await visit(routes()['POST /payments'], headers);
    const unused = await visit({ ...routes()['POST /payments'], key: randomUUID() }, headers);
    expect([used.status, used.json?.['code']]).toEqual([403, 'forbidden']);
    expect({ ...used.json }).toEqual({ ...unused.json });
    expect(used.text).not.toContain(payment.id);
  });

  it('gives two customers with one key a payment each, and neither a value of the other (S01)', async () => {
    const answer = await visit(routes()['POST /payments'], { authorization: `Bearer ${bob.apiKey}` });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('idempotent-replayed')).toBeNull();
    expect(answer.json?.['from']).toBe('bob');
    expect(answer.text).not.toContain(payment.id);
    expect(answer.text).not.toContain('alice');

    const again = await visit(routes()['POST /payments'], { authorization: `Bearer ${alice.apiKey}` });
    expect(again.text).toBe(payment.text);
  });

  it('answers for another customer’s things exactly as for things that do not exist (S05, S40)', async () => {
    const headers = { authorization: `Bearer ${bob.apiKey}` };
    const pairs = [
      [`/payments/${payment.id}`, `/payments/${randomUUID()}`],
      ['/accounts/alice', '/accounts/nobody'],
      ['/accounts/alice/transfers', '/accounts/nobody/transfers'],
      ['/accounts/bank:GBP', '/accounts/bank:EUR'],
    ] as const;
    for (const [theirs, none] of pairs) {
      const [a, b] = [await visit({ url: theirs }, headers), await visit({ url: none }, headers)];
      expect([theirs, a.status, a.json]).toEqual([theirs, 404, b.json]);
    }

    const from = async (id: string) =>
      visit({ url: '/payments', key: randomUUID(), body: { ...pay, from: id } }, headers);
    const [a, b] = [await from('alice'), await from('nobody')];
    expect([a.status, a.json]).toEqual([404, b.json]);
    expect(await listed('/payments', bob)).toEqual(expect.not.arrayContaining([payment.id]));
  });

  async function listed(path: string, { apiKey }: Customer): Promise<string[]> {
    const { json } = await call(api.url + path, { apiKey });
    return (json?.['data'] as { id: string }[]).map(({ id }) => id);
  }

  it('cannot be reached around the guard: every path in every spelling, every method, without credentials (S14)', async () => {
    const paths = [
      '/payments',
      `/payments/${payment.id}`,
      '/accounts',
      '/accounts/alice',
      '/accounts/alice/transfers',
      `/operations/${payment.key}`,
    ];
    const spellings = (path: string) => [
      path,
      `${path}/`,
      `${path}//`,
      `/${path}`,
      `//x${path}`,
      `/.${path}`,
      `/x/..${path}`,
      `${path}/.`,
      `${path}/..`,
      `${path};x=1`,
      `${path}%20`,
      `${path}%00`,
      `${path}%2f`,
      `${path}?`,
      `${path}?x=1`,
      `${path}.json`,
      path.toUpperCase(),
      path.replace(/[a-z](?=[^/]*$)/, letter => `%${letter.charCodeAt(0).toString(16)}`),
      path.replaceAll('/', '%2f').replace('%2f', '/'),
      path.replaceAll('/', '\\').replace('\\', '/'),
      `http://127.0.0.1${path}`,
    ];
    const seen = new Map<number, string[]>();
    for (const path of paths.flatMap(spellings)) {
      const methods = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'];
      const outcomes = await Promise.all(
        methods.map(async method => {
          const { answers } = await exchange(
            port,
            `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
            { isHead: method === 'HEAD' },
          );
          return [`${method} ${path}`, answers[0]] as const;
        }),
      );
      for (const [what, answer] of outcomes) {
        const status = answer?.status ?? 0;
        seen.set(status, [...(seen.get(status) ?? []), what]);
        expect(answer?.body).not.toContain(payment.id);
      }
    }
    const others = [...seen].filter(([status]) => ![401, 404, 405].includes(status));
    expect(others).toEqual([]);
    expect(seen.get(401)).toEqual(
      expect.arrayContaining(paths.flatMap(path => [`GET ${path}`, `HEAD ${path}`])),
    );
  });

  it('tells every other method which ones the path takes', async () => {
    for (const method of METHODS.filter(each => !['GET', 'HEAD', 'POST', 'CONNECT'].includes(each))) {
      const { answers } = await exchange(
        port,
        `${method} /payments HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      );
      const [answer] = answers;
      expect([method, answer?.status, answer && headerOf(answer, 'allow')]).toEqual([
        method,
        405,
        'GET, HEAD, POST',
      ]);
    }
  });

  it('survives a header whose name is __proto__ (S12)', async () => {
    const { answers } = await exchange(
      port,
      `GET /payments HTTP/1.1\r\nHost: x\r\n__proto__: 1\r\nconstructor: 1\r\nAuthorization: Bearer ${alice.apiKey}\r\nConnection: close\r\n\r\n`,
    );
    expect(answers.map(({ status }) => status)).toEqual([200]);
  });

  it('does not believe a header that names another caller or another address (S14, 4.1.3)', async () => {
    const before = await listed('/payments', bob);
    const answer = await visit(routes()['GET /payments'], {
      authorization: `Bearer ${bob.apiKey}`,
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-host': 'elsewhere.example',
      'x-customer-id': alice.id,
      'x-original-url': '/accounts/alice',
    });
    expect((answer.json?.['data'] as { id: string }[]).map(({ id }) => id)).toEqual(before);
  });
});
