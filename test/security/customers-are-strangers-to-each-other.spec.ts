import { createHash, randomUUID } from 'node:crypto';
import { demoKeys, seedDemo } from '../../start/seed.js';
import { createDataSource } from '../../src/data-source.js';
import { Account } from '../../src/ledger/account.entity.js';
import { Payment } from '../../src/payments/payment.entity.js';
import { Refund } from '../../src/payments/refund.entity.js';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Database } from '../support/database.js';
import { call, together, type Answer } from '../support/http.js';
import { checkMoney, checkOnePaymentPerKey, countRows } from '../support/invariants.js';
import { routesOf } from './routes.js';

const order = { to: 'sam', amount: 100, currency: 'GBP' };

/** Something of alice's, of each kind, for others to reach for. */
interface Hers {
  key: string;
  refundKey: string;
  closedKey: string;
  payment: string;
}

interface Visit {
  method?: string;
  url: string;
  key?: string;
  body?: object;
}

/** One call on each route of a customer's, about what is `hers`. */
const visitsTo = ({ key, closedKey, payment }: Hers): Record<string, Visit> => ({
  'POST /payments': { url: '/payments', key, body: order },
  'GET /payments': { url: '/payments' },
  'GET /payments/:id': { url: `/payments/${payment}` },
  'POST /payments/:id/refunds': { url: `/payments/${payment}/refunds`, key: `${key}-r`, body: { amount: 1 } },
  'GET /accounts': { url: '/accounts' },
  'GET /accounts/:id': { url: '/accounts/alice' },
  'GET /accounts/:id/transfers': { url: '/accounts/alice/transfers' },
  'GET /operations/:key': { url: `/operations/${key}` },
  'PUT /operations/:key': {
    method: 'PUT',
    url: `/operations/${key}`,
    body: { operation: 'payment', params: order },
  },
  'POST /operations/:key/cancel': { method: 'POST', url: `/operations/${closedKey}/cancel` },
});

/**
 * Who may do what. What is asked for is alice's, and finished: 200 is a replay, or her own to see. For sam, who has
 * money too, her keys are keys that he has never used.
 */
const matrix: Record<string, Record<string, number>> = {
  'POST /payments': { none: 401, unknown: 401, revoked: 401, readonly: 403, alice: 200, sam: 402 },
  'GET /payments': { none: 401, unknown: 401, revoked: 401, readonly: 200, alice: 200, sam: 200 },
  'GET /payments/:id': { none: 401, unknown: 401, revoked: 401, readonly: 200, alice: 200, sam: 404 },
  'POST /payments/:id/refunds': {
    none: 401,
    unknown: 401,
    revoked: 401,
    readonly: 403,
    alice: 200,
    sam: 404,
  },
  'GET /accounts': { none: 401, unknown: 401, revoked: 401, readonly: 200, alice: 200, sam: 200 },
  'GET /accounts/:id': { none: 401, unknown: 401, revoked: 401, readonly: 200, alice: 200, sam: 404 },
  'GET /accounts/:id/transfers': {
    none: 401,
    unknown: 401,
    revoked: 401,
    readonly: 200,
    alice: 200,
    sam: 404,
  },
  'GET /operations/:key': { none: 401, unknown: 401, revoked: 401, readonly: 200, alice: 200, sam: 404 },
  'PUT /operations/:key': { none: 401, unknown: 401, revoked: 401, readonly: 403, alice: 200, sam: 200 },
  'POST /operations/:key/cancel': {
    none: 401,
    unknown: 401,
    revoked: 401,
    readonly: 403,
    alice: 200,
    sam: 200,
  },
};

/** Routes that show nothing of a customer's, and ask nobody who he is. */
const openToAll = /^GET \/(health\/(live|ready)|metrics|problems\/:code|openapi\.json|docs.*|lab.*)?$/;

describe('customers are strangers to each other', () => {
  let database: Database;
  let api: Api;
  let hers: Hers;

  beforeAll(async () => {
    database = await createDatabase();
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    await dataSource.transaction(seedDemo);
    await dataSource.destroy();
    api = await bootApi(database.url, { REQUESTS_PER_SECOND_MAX: '100000' });
  });
  beforeEach(async () => {
    hers = await something();
  });
  afterEach(async () => {
    expect(await checkMoney(database.sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(database.sql)).toEqual([]);
  });
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  const visit = ({ url, ...rest }: Visit, apiKey?: string) =>
    call(api.url + url, { ...rest, ...(apiKey !== undefined && { apiKey }) });

  /** A payment, a refund and a closed key of alice's. */
  async function something(): Promise<Hers> {
    const key = randomUUID();
    const closedKey = `${key}-closed`;
    const paid = await visit({ url: '/payments', key, body: order }, 'sk_demo_alice');
    const payment = String(paid.json?.['id']);
    const refundKey = `${key}-r`;
    const refund = { url: `/payments/${payment}/refunds`, key: refundKey, body: { amount: 1 } };
    const closing = { method: 'POST', url: `/operations/${closedKey}/cancel` };
    expect([paid.status, (await visit(refund, 'sk_demo_alice')).status]).toEqual([200, 200]);
    expect((await visit(closing, 'sk_demo_alice')).status).toBe(200);
    return { key, refundKey, closedKey, payment };
  }

  async function newApiKey(name: string): Promise<{ apiKey: string; hash: Buffer }> {
    const apiKey = `sk_test_${randomUUID()}`;
    const hash = createHash('sha256').update(apiKey).digest();
    await database.sql(
      "INSERT INTO api_keys (hash, customer_id, scopes) SELECT $1, id, '{read,pay}' FROM customers WHERE name = $2",
      [hash, name],
    );
    return { apiKey, hash };
  }

  const revoke = (hash: Buffer) =>
    database.sql('UPDATE api_keys SET revoked_at = now() WHERE hash = $1', [hash]);

  it('every route is written down here, and says itself what it needs (S14, API5)', () => {
    const routes = routesOf(api).map(({ method, path, needs }) => ({ name: `${method} ${path}`, needs }));
    const closed = routes.filter(({ needs }) => needs !== 'none');
    expect(closed.map(({ name }) => name).sort()).toEqual(Object.keys(matrix).sort());
    expect(closed.filter(({ needs }) => needs === undefined)).toEqual([]);
    const open = routes.filter(({ needs }) => needs === 'none').map(({ name }) => name);
    expect(open.filter(name => !openToAll.test(name))).toEqual([]);
    // What may only be read needs `read`, and whatever else there is needs `pay`.
    expect(closed.filter(({ name, needs }) => (needs === 'read') !== name.startsWith('GET '))).toEqual([]);
  });

  it('each API key may do on each route what is written here, and nothing else (S24, S25, S40, API5)', async () => {
    const { apiKey: revoked, hash } = await newApiKey('alice');
    await revoke(hash);
    const callers: Record<string, string | undefined> = {
      none: undefined,
      unknown: 'sk_demo_nobody',
      revoked,
      readonly: 'sk_demo_readonly',
      alice: 'sk_demo_alice',
    };
    const seen: typeof matrix = {};
    for (const [name, each] of Object.entries(visitsTo(hers))) {
      seen[name] = {};
      for (const [who, apiKey] of Object.entries(callers))
        seen[name][who] = (await visit(each, apiKey)).status;
    }
    // Sam last, on a thing of its own for each route: what he does under her keys, he does under his own.
    for (const name of Object.keys(matrix)) {
      const fresh = visitsTo(await something())[name] as Visit;
      const body = name === 'POST /payments' ? { ...order, to: 'alice', amount: 100_000_000 } : fresh.body;
      const params = { ...order, to: 'alice', amount: 1 };
      const his = name.startsWith('PUT') ? { operation: 'payment', params } : body;
      (seen[name] ??= {})['sam'] = (
        await visit({ ...fresh, ...(his && { body: his }) }, 'sk_demo_sam')
      ).status;
    }
    expect(seen).toEqual(matrix);
  });

  it('a customer that is missing matches nobody, and everybody even less (S03)', async () => {
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    for (const entity of [Payment, Refund, Account]) {
      for (const customerId of [undefined, null]) {
        const where = { customerId } as unknown as { customerId: string };
        await expect(dataSource.manager.findBy(entity, where)).rejects.toThrow();
        await expect(dataSource.manager.findOneBy(entity, where)).rejects.toThrow();
      }
    }
    await dataSource.destroy();
  });

  it('every demo key is that of its customer, with its scopes (S25)', async () => {
    for (const { key, customer, scopes } of demoKeys) {
      const { status, json } = await visit({ url: '/accounts' }, key);
      expect([key, status, (json?.['data'] as { id: string }[]).map(({ id }) => id)]).toEqual([
        key,
        200,
        [customer],
      ]);
      const refused = await visit(
        { url: '/payments', key: randomUUID(), body: { ...order, amount: 0 } },
        key,
      );
      expect([key, refused.status]).toEqual([key, scopes.includes('pay') ? 400 : 403]);
    }
  });

  it('a revoked key is refused at once, on replays, operations and cancels alike (S24)', async () => {
    const { apiKey, hash } = await newApiKey('alice');
    const all = Object.values(visitsTo(hers));
    for (const each of all) expect((await visit(each, apiKey)).status).toBe(200);
    await revoke(hash);
    const before = await countRows(database.sql);
    for (const each of all) {
      const { status, headers, text } = await visit(each, apiKey);
      expect([each.url, status, headers.get('idempotency-status')]).toEqual([each.url, 401, null]);
      expect(text).not.toContain(hers.payment);
    }
    expect(await countRows(database.sql)).toEqual(before);
  });

  it('one key of two customers is two keys: two payments, and no value shared (S01)', async () => {
    const body = { to: 'sam', amount: 1, currency: 'GBP', reference: 'the very same' };
    for (const put of [false, true]) {
      const key = randomUUID();
      const ask = (apiKey: string) =>
        put
          ? visit(
              { method: 'PUT', url: `/operations/${key}`, body: { operation: 'payment', params: body } },
              apiKey,
            )
          : visit({ url: '/payments', key, body }, apiKey);
      const [a, b] = await Promise.all([ask('sk_demo_alice'), ask('sk_demo_bob')]);
      expect([a.status, b.status]).toEqual([200, 200]);
      expect([a, b].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, null]);
      const [mine, his] = [await show(key, 'sk_demo_alice'), await show(key, 'sk_demo_bob')];
      expect(mine.text).not.toBe(his.text);
      for (const value of idsIn(mine.text)) expect(his.text).not.toContain(value);
      expect(mine.text).not.toMatch(/bob/);
      expect(his.text).not.toMatch(/alice/);
    }
  });

  it('nor does he meet her answer where it is kept in memory, for those who repeat (S01)', async () => {
    const key = randomUUID();
    const pay = async (apiKey: string) => (await visit({ url: '/payments', key, body: order }, apiKey)).text;
    const hers = [await pay('sk_demo_alice'), await pay('sk_demo_alice'), await pay('sk_demo_alice')];
    const his = [await pay('sk_demo_bob'), await pay('sk_demo_bob'), await pay('sk_demo_bob')];
    expect([new Set(hers).size, new Set(his).size]).toEqual([1, 1]);
    expect(await pay('sk_demo_alice')).toBe(hers[0]);
    expect([...new Set([...hers, ...his])].map(text => (JSON.parse(text) as { from?: string }).from)).toEqual(
      ['alice', 'bob'],
    );
  });

  const show = (key: string, apiKey: string) => visit({ url: `/operations/${key}` }, apiKey);
  const idsIn = (text: string) => text.match(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{22}/g) ?? [];

  it('nobody can take, close or fill a key for somebody else: squatting gains nothing (S02)', async () => {
    const squat: ((key: string) => Visit)[] = [
      key => ({ url: '/payments', key, body: { ...order, to: 'alice', amount: 1 } }),
      key => ({
        method: 'PUT',
        url: `/operations/${key}`,
        body: { operation: 'payment', params: { ...order, to: 'alice', amount: 1 } },
      }),
      key => ({ method: 'POST', url: `/operations/${key}/cancel` }),
    ];
    for (const first of squat) {
      const key = randomUUID();
      expect((await visit(first(key), 'sk_demo_sam')).status).toBe(200);
      const paid = await visit({ url: '/payments', key, body: order }, 'sk_demo_alice');
      expect([paid.status, paid.headers.get('idempotency-status')]).toEqual([200, 'completed']);
    }
  });

  it('a used key of hers is told apart from an unused one by nothing, on any route (S05)', async () => {
    const plain = ({ status, json, headers }: Answer) => ({
      status,
      status_of_key: headers.get('idempotency-status'),
      members: Object.keys(json ?? {}),
      code: json?.['code'],
      detail: json?.['detail'],
    });
    const nothing = { key: randomUUID(), refundKey: 'x', closedKey: randomUUID(), payment: randomUUID() };
    const [used, unused] = [visitsTo(hers), visitsTo(nothing)];
    for (const name of Object.keys(matrix).filter(each => !/accounts/.test(each))) {
      const [a, b] = [
        await visit(used[name] as Visit, 'sk_demo_sam'),
        await visit(unused[name] as Visit, 'sk_demo_sam'),
      ];
      expect([name, plain(a)]).toEqual([name, plain(b)]);
    }
    // Refunds of hers under a key of his: the payment is none of his, whatever the key.
    const refund = (payment: string) =>
      visit({ url: `/payments/${payment}/refunds`, key: randomUUID(), body: { amount: 1 } }, 'sk_demo_sam');
    expect(plain(await refund(hers.payment))).toEqual(plain(await refund(randomUUID())));
  });

  it('1,000 guesses of her keys on each route hit nothing, and leave nothing (S04)', async () => {
    const guesses = 1_000;
    // Short and telling keys, as careless callers choose them; every tenth is one she has used.
    const keys = Array.from({ length: 100 }, (_, index) => `order-${index}`);
    const paid = await Promise.all(
      keys.map(key => visit({ url: '/payments', key, body: { ...order, amount: 1 } }, 'sk_demo_alice')),
    );
    expect(new Set(paid.map(({ status }) => status))).toEqual(new Set([200]));
    const before = await countRows(database.sql);

    const outcomes = new Map<string, number>();
    const note = (route: string, { status, headers }: Answer) => {
      const what = `${route} ${status} ${headers.get('idempotency-status') ?? '-'} ${headers.get('idempotent-replayed') ?? '-'}`;
      outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
    };
    for (let from = 0; from < guesses; from += 100) {
      await together(100, async index => {
        const key = `order-${from + index}`;
        note('GET', await show(key, 'sk_demo_sam'));
        const refused = { ...order, to: 'nobody', amount: 1 };
        note('POST', await visit({ url: '/payments', key, body: refused }, 'sk_demo_sam'));
        const put = { operation: 'payment', params: refused };
        note('PUT', await visit({ method: 'PUT', url: `/operations/${key}`, body: put }, 'sk_demo_sam'));
        const url = `/payments/${randomUUID()}/refunds`;
        note('refund', await visit({ url, key, body: { amount: 1 } }, 'sk_demo_sam'));
      });
    }
    expect(Object.fromEntries(outcomes)).toEqual({
      'GET 404 - -': guesses,
      'POST 422 - -': guesses,
      'PUT 422 - -': guesses,
      'refund 404 - -': guesses,
    });
    expect(await countRows(database.sql)).toEqual(before);

    // Closing a key is his right, under his own name only: a hundred of his, none of hers.
    const closed = await together(100, index =>
      visit({ method: 'POST', url: `/operations/order-${index}/cancel` }, 'sk_demo_sam'),
    );
    expect(new Set(closed.map(({ status }) => status))).toEqual(new Set([200]));
    const replays = await Promise.all(
      keys.map(key => visit({ url: '/payments', key, body: { ...order, amount: 1 } }, 'sk_demo_alice')),
    );
    expect(replays.map(({ text }) => text)).toEqual(paid.map(({ text }) => text));
  }, 60_000);
});
