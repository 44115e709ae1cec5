import { randomUUID } from 'node:crypto';
import { patient, setUpBankScene } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import type { Customer } from '../support/database.js';
import { call, type Answer } from '../support/http.js';
import { exchange, headerOf } from '../support/wire.js';

const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

interface Page {
  data: { id: string; created_at: string }[];
  next: string | null;
}

describe('what can be called', () => {
  const scene = setUpBankScene();
  let api: Api;
  let bob: Customer;
  const key = randomUUID();
  let paid: Answer;
  let paymentId: string;

  beforeAll(async () => {
    api = await scene.boot(patient);
    bob = await scene.database.addCustomer({ name: 'bob', balance: 5_000 });
    paid = await pay(key);
    paymentId = String(paid.json?.id);
  });

  const pay = (as: string, more: object = {}, payer = scene.alice) =>
    scene.pay(api, as, { rail: 'ledger', ...more }, { payer });
  const get = (path: string, by = scene.alice) => call(api.url + path, { apiKey: by.apiKey });
  const refund = (amount: number) =>
    call(`${api.url}/payments/${paymentId}/refunds`, {
      apiKey: scene.alice.apiKey,
      key: randomUUID(),
      body: { amount },
    });

  it('ids are UUIDv7, and in the order of time', async () => {
    const refunded = await refund(1);
    const { json } = await get('/accounts/alice/transfers?limit=1');
    const [transfer] = (json as unknown as Page).data;
    const declined = await pay(randomUUID(), { amount: 5_001 }, bob);
    const ids = [
      paymentId,
      refunded.json?.id,
      transfer?.id,
      (declined.json?.payment as { id: string }).id,
    ].map(String);
    for (const id of ids) expect(id).toMatch(uuidV7);
    expect(ids[0] && ids[1] && ids[0] < ids[1]).toBe(true);
    // The first 48 bits are the time, in milliseconds.
    const made = Number.parseInt(paymentId.replace('-', '').slice(0, 12), 16);
    expect(Math.abs(made - Date.parse(String(paid.json?.created_at)))).toBeLessThan(5_000);
  });

  it('times are RFC 3339, UTC, with milliseconds, wherever they are', async () => {
    const barrier = await scene.barrier('before');
    const pending = await scene.pay(api, randomUUID(), {}, { prefer: 'respond-async' });
    const refunded = await refund(1);
    const operation = await get(`/operations/${key}`);
    const replay = await pay(key);
    const { json } = await get('/accounts/alice/transfers?limit=1');
    const declined = (await pay(randomUUID(), { amount: 5_001 }, bob)).json?.payment;
    const payments = [paid.json, refunded.json, declined] as Record<string, unknown>[];
    const times = [
      ...payments.flatMap(each => [each.created_at, each.completed_at]),
      pending.json?.created_at,
      (json as unknown as Page).data[0]?.created_at,
      ...['first_seen_at', 'last_seen_at', 'expires_at'].map(name => operation.json?.[name]),
      replay.headers.get('idempotency-expires'),
      replay.headers.get('idempotency-original-date'),
    ];
    for (const each of times) expect(each).toMatch(time);
    expect(times).toHaveLength(13);
    expect(pending.json?.completed_at).toBeNull();
    await barrier.release();
  });

  it('amounts are integers in the minor unit: 10000 is £100.00, and that is what moves', async () => {
    const before = (await get('/accounts/bob', bob)).json?.balance as { posted: number };
    expect((await pay(randomUUID(), { to: 'bob', amount: 10_000 })).json?.amount).toBe(10_000);
    const after = (await get('/accounts/bob', bob)).json?.balance as { posted: number };
    expect(after.posted - before.posted).toBe(10_000);
  });

  it('a balance tells what is posted, what is pending, and what is left to spend', async () => {
    const carol = await scene.database.addCustomer({ name: 'carol', balance: 1_000 });
    const barrier = await scene.barrier('before');
    const pending = await scene.pay(api, randomUUID(), {}, { payer: carol, prefer: 'respond-async' });
    expect(pending.status).toBe(202);
    expect((await get('/accounts/carol', carol)).json).toEqual({
      id: 'carol',
      object: 'account',
      currency: 'GBP',
      balance: { posted: 1_000, pending: 100, available: 900 },
    });
    await barrier.release();
  });

  it('a refund is a payment backwards that names what it gives back', async () => {
    const { status, json } = await refund(2);
    expect(status).toBe(200);
    expect(json).toMatchObject({
      object: 'refund',
      payment_id: paymentId,
      status: 'succeeded',
      from: 'sam',
      to: 'alice',
      amount: 2,
    });
    expect(Object.keys(json ?? {}).sort()).toEqual([...Object.keys(paid.json ?? {}), 'payment_id'].sort());
    const { refunded } = (await get(`/payments/${paymentId}`)).json as { refunded: number };
    expect(refunded).toBeGreaterThanOrEqual(2);
  });

  describe('lists', () => {
    it('come in pages, newest first; `next` leads on, also while new payments arrive', async () => {
      const dave = await scene.database.addCustomer({ name: 'dave', balance: 1_000 });
      const ids: string[] = [];
      for (let index = 0; index < 5; index += 1) {
        ids.unshift(String((await pay(`dave-${index}`, { amount: 1 }, dave)).json?.id));
      }
      const seen: string[] = [];
      let path: string | null = '/payments?limit=2';
      for (let pages = 0; path !== null && pages < 10; pages += 1) {
        const page: Page = (await get(path, dave)).json as unknown as Page;
        seen.push(...page.data.map(({ id }) => id));
        path = page.next === null ? null : `/payments?limit=2&after=${page.next}`;
        await pay(`dave-later-${pages}`, { amount: 1 }, dave);
      }
      expect(seen).toEqual(ids);
    });

    it('hold 20 unless told otherwise, and 100 at most', async () => {
      const erin = await scene.database.addCustomer({ name: 'erin', balance: 1_000 });
      await Promise.all(Array.from({ length: 101 }, (_, index) => pay(`erin-${index}`, { amount: 1 }, erin)));
      const sizes = await Promise.all(
        ['', '?limit=100', '?limit=1'].map(
          async query => ((await get(`/payments${query}`, erin)).json as unknown as Page).data.length,
        ),
      );
      expect(sizes).toEqual([20, 100, 1]);
      expect((await get('/payments?limit=101', erin)).status).toBe(400);
    });

    it('with another customer’s cursor show one’s own payments only', async () => {
      const { json } = await get(`/payments?after=${randomUUID().replace(/^./, 'f')}`, bob);
      for (const payment of (json as unknown as { data: { from: string }[] }).data) {
        expect(payment.from).toBe('bob');
      }
    });
  });

  it.each([
    ['/payments', 'GET, HEAD, POST'],
    ['/payments/{id}', 'GET, HEAD'],
    ['/payments/{id}/refunds', 'POST'],
    ['/operations/{key}', 'GET, HEAD, PUT'],
    ['/operations/{key}/cancel', 'POST'],
    ['/accounts', 'GET, HEAD'],
    ['/accounts/alice', 'GET, HEAD'],
    ['/accounts/alice/transfers', 'GET, HEAD'],
    ['/problems/in_progress', 'GET, HEAD'],
    ['/health/live', 'GET, HEAD'],
    ['/health/ready', 'GET, HEAD'],
    ['/metrics', 'GET, HEAD'],
  ])('%s takes %s, and tells every other method so: 405, with Allow', async (path, allow) => {
    const url = path.replace('{id}', paymentId).replace('{key}', key);
    for (const method of ['DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PUT', 'POST', 'GET']) {
      if (allow.includes(method)) continue;
      const { answers } = await exchange(
        Number(new URL(api.url).port),
        `${method} ${url} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${scene.alice.apiKey}\r\nConnection: close\r\n\r\n`,
      );
      const [answer] = answers;
      expect([method, answer?.status, answer && headerOf(answer, 'allow')]).toEqual([method, 405, allow]);
      expect(JSON.parse(answer?.body ?? '{}')).toMatchObject({
        code: 'method_not_allowed',
        detail: `This path takes ${allow}.`,
      });
      expect(answer && headerOf(answer, 'should-retry')).toBe('false');
    }
  });

  it.each(['/', '/payment', '/payments/1/2/3', '/operations', '/v1/payments', '//payments', '/problems'])(
    '%s leads nowhere: 404, in the words of every problem',
    async path => {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
        const { status, json, headers } = await call(api.url + path, {
          method,
          apiKey: scene.alice.apiKey,
          ...(method !== 'GET' && { body: {} }),
        });
        expect([path, method, status, json?.code]).toEqual([path, method, 404, 'not_found']);
        expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
        expect(headers.get('should-retry')).toBe('false');
        expect(headers.get('request-id')).toMatch(/^[0-9a-f-]{36}$/);
      }
    },
  );

  it('the key may be quoted or bare: one key, two spellings', async () => {
    const spelled = randomUUID();
    const send = (value: string) =>
      call(`${api.url}/payments`, {
        apiKey: scene.alice.apiKey,
        headers: { 'idempotency-key': value },
        body: { to: 'sam', amount: 100, currency: 'GBP' },
      });
    const bare = await send(spelled);
    const quoted = await send(`"${spelled}"`);
    expect([quoted.text, quoted.headers.get('idempotent-replayed')]).toEqual([bare.text, 'true']);
    for (const { headers } of [bare, quoted]) expect(headers.get('idempotency-key')).toBe(spelled);
  });
});
