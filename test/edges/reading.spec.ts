import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { exchange, headerOf } from '../support/wire.js';

/** 8 kB that a greedy parser of nested queries would take apart (S42). */
const manyBrackets = `x${'['.repeat(8_000)}=1`;

interface Page {
  object: string;
  data: Record<string, unknown>[];
  next: string | null;
}

const uuid = expect.stringMatching(
  /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
) as unknown;
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;

describe('what can be read', () => {
  let database: Database;
  let alice: Customer;
  let bob: Customer;
  let sam: Customer;
  let api: Api;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 100_000 });
    bob = await database.addCustomer({ name: 'bob', balance: 5_000 });
    sam = await database.addCustomer({ name: 'sam' });
    api = await bootApi(database.url);
  });
  afterEach(() => expectNoLeaks(database.sql));
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  const pay = (customer: Customer, members: object, key: string = randomUUID()) =>
    call(`${api.url}/payments`, {
      apiKey: customer.apiKey,
      key,
      body: { to: 'sam', amount: 100, currency: 'GBP', ...members },
    });
  const get = (customer: Customer, path: string) => call(api.url + path, { apiKey: customer.apiKey });

  async function page(customer: Customer, path: string): Promise<Page> {
    const { status, json } = await get(customer, path);
    expect([path, status]).toEqual([path, 200]);
    expect(Object.keys(json ?? {}).sort()).toEqual(['data', 'next', 'object']);
    expect(json?.['object']).toBe('list');
    return json as unknown as Page;
  }

  async function allPages(customer: Customer, path: string, limit: number): Promise<Page[]> {
    const pages: Page[] = [];
    for (let after: string | null = null; pages.length < 100;) {
      const got = await page(customer, `${path}?limit=${limit}${after === null ? '' : `&after=${after}`}`);
      pages.push(got);
      after = got.next;
      if (after === null) return pages;
    }
    throw new Error('there is no end to the pages');
  }

  const ids = (pages: Page[]) => pages.flatMap(({ data }) => data.map(({ id }) => id));

  it('a payment shows these members, in this order, and no others (S41)', async () => {
    const key = randomUUID();
    const paid = await pay(alice, { amount: 1_234, reference: 'invoice 7' }, key);
    const payment = {
      id: uuid,
      object: 'payment',
      status: 'succeeded',
      from: 'alice',
      to: 'sam',
      amount: 1_234,
      currency: 'GBP',
      rail: 'ledger',
      reference: 'invoice 7',
      decline: null,
      bank_transfer_id: null,
      refunded: 0,
      idempotency_key: key,
      created_at: time,
      completed_at: time,
    };
    expect(paid.json).toEqual(payment);
    expect(Object.keys(paid.json ?? {})).toEqual(Object.keys(payment));

    const read = await get(alice, `/payments/${String(paid.json?.['id'])}`);
    expect(read.status).toBe(200);
    expect(read.text).toBe(paid.text);
    expect((await page(alice, '/payments?limit=1')).data).toEqual([paid.json]);
  });

  it('a declined payment is a problem that carries the payment, and can be read as one', async () => {
    const key = randomUUID();
    const declined = await pay(bob, { amount: 5_001 }, key);
    expect(declined.status).toBe(402);
    const payment = {
      id: uuid,
      object: 'payment',
      status: 'declined',
      from: 'bob',
      to: 'sam',
      amount: 5_001,
      currency: 'GBP',
      rail: 'ledger',
      reference: null,
      decline: { code: 'insufficient_funds', message: expect.any(String) as unknown },
      bank_transfer_id: null,
      refunded: 0,
      idempotency_key: key,
      created_at: time,
      completed_at: time,
    };
    expect(declined.json).toEqual({
      type: '/problems/insufficient_funds',
      title: expect.any(String) as unknown,
      status: 402,
      code: 'insufficient_funds',
      detail: expect.any(String) as unknown,
      retryable: false,
      payment,
    });
    const read = await get(bob, `/payments/${(declined.json?.['payment'] as { id: string }).id}`);
    expect([read.status, read.json]).toEqual([200, declined.json?.['payment']]);
  });

  it('a reference is stored and shown exactly as it was sent, whatever the characters (S09, S38)', async () => {
    const characters = fc.string({ unit: 'binary', maxLength: 70 }).filter(each => !each.includes('\0'));
    const hostile = [
      "'; DROP TABLE payments; --",
      '$1',
      '\\',
      '%s',
      '{"a":1}',
      '{1,2}',
      'NULL',
      '\r\n',
      'e\u0301',
      '\ufeff',
      '\u202e',
    ];
    const reference = fc.oneof(characters, fc.constantFrom(...hostile));
    await fc.assert(
      fc.asyncProperty(reference, async sent => {
        const paid = await pay(alice, { amount: 1, reference: sent });
        expect([paid.status, paid.json?.['reference']]).toEqual([200, sent]);
        const id = paid.json?.['id'] as string;
        expect((await get(alice, `/payments/${id}`)).text).toBe(paid.text);
        expect(await database.sql('SELECT reference FROM payments WHERE id = $1', [id])).toEqual([
          { reference: sent },
        ]);
      }),
      { numRuns: 40, examples: hostile.map(each => [each]) },
    );
  });

  it('HEAD says what GET says, and leaves out the body', async () => {
    const { port } = new URL(api.url);
    for (const path of ['/payments', '/accounts/alice', '/accounts/bob', '/health/live']) {
      const rest = `${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice.apiKey}\r\nConnection: close\r\n\r\n`;
      const [looked] = (await exchange(Number(port), `HEAD ${rest}`, { isHead: true })).answers;
      const [read] = (await exchange(Number(port), `GET ${rest}`)).answers;
      const told = (answer = looked) => [
        answer?.status,
        ...['content-type', 'content-length', 'cache-control'].map(name => answer && headerOf(answer, name)),
      ];
      expect(told(looked)).toEqual(told(read));
      expect(looked?.body).toBe('');
    }
  });

  it('an operation shows these members, in this order, and the stored answer byte for byte', async () => {
    const key = randomUUID();
    const paid = await pay(alice, { reference: '£ "quoted" \\ \u2028' }, key);
    const first = await get(alice, `/operations/${key}`);
    const operation = {
      key,
      object: 'operation',
      operation: 'payment',
      state: 'completed',
      recovery_point: 'finished',
      attempts: 1,
      duplicates: 0,
      first_seen_at: time,
      last_seen_at: time,
      expires_at: time,
      retry_after: null,
      request: {
        from: 'alice',
        to: 'sam',
        amount: 100,
        currency: 'GBP',
        rail: 'ledger',
        reference: '£ "quoted" \\ \u2028',
      },
      response: { status: 200, body: paid.text },
    };
    expect(first.json).toEqual(operation);
    expect(Object.keys(first.json ?? {})).toEqual(Object.keys(operation));

    await pay(alice, { reference: '£ "quoted" \\ \u2028' }, key);
    await pay(alice, { reference: 'another' }, key);
    const later = await get(alice, `/operations/${key}`);
    expect(later.json).toEqual({ ...operation, duplicates: 2 });
    expect(Date.parse(later.json?.['last_seen_at'] as string)).toBeGreaterThanOrEqual(
      Date.parse(first.json?.['last_seen_at'] as string),
    );
    expect(later.json?.['first_seen_at']).toBe(first.json?.['first_seen_at']);
  });

  it('an operation that somebody is at work on says where it stands and when to ask again', async () => {
    const key = randomUUID();
    const params = { to: 'sam', amount: 1 };
    await database.insertKeyRow({
      customerId: alice.id,
      key,
      params,
      leaseMs: 9_500,
      attempts: 3,
      ageMs: 60_000,
    });
    const { json } = await get(alice, `/operations/${key}`);
    expect(json).toEqual({
      key,
      object: 'operation',
      operation: 'payment',
      state: 'in_progress',
      recovery_point: 'started',
      attempts: 3,
      duplicates: 0,
      first_seen_at: time,
      last_seen_at: time,
      expires_at: time,
      retry_after: expect.any(Number) as unknown,
      request: params,
      response: null,
    });
    expect([9, 10]).toContain(json?.['retry_after']);
  });

  it.each([
    ['visible ASCII of every kind', "!#$%&'()*+-./:;<=>?@[]^_`{|}~"],
    ['a slash', 'a/b'],
    ['dots', '..'],
    ['a percent sign', '100%25'],
    ['a backslash and quotation marks', '"\\"'],
    ['255 characters', 'k'.repeat(255)],
  ])('an operation is found under a key made of %s', async (_, key) => {
    const quoted = `"${key.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
    const paid = await call(`${api.url}/payments`, {
      apiKey: alice.apiKey,
      headers: { 'idempotency-key': quoted },
      body: { to: 'sam', amount: 100, currency: 'GBP' },
    });
    expect([paid.status, paid.headers.get('idempotency-key')]).toEqual([200, key]);
    // Not with fetch, which takes dots for steps up.
    const path = Buffer.from(key).toString('hex').replace(/../g, '%$&');
    const lines = [
      `GET /operations/${path} HTTP/1.1`,
      'Host: x',
      `Authorization: Bearer ${alice.apiKey}`,
      'Connection: close',
      '',
      '',
    ];
    const { answers } = await exchange(Number(new URL(api.url).port), lines.join('\r\n'));
    expect(answers.map(({ status }) => status)).toEqual([200]);
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({
      object: 'operation',
      key,
      response: { status: 200, body: paid.text },
    });
  });

  it('an account shows what is posted, pending and available', async () => {
    const customer = await database.addCustomer({ name: 'carol', balance: 1_000 });
    await pay(customer, { amount: 300 });
    const expected = {
      id: 'carol',
      object: 'account',
      currency: 'GBP',
      balance: { posted: 700, pending: 0, available: 700 },
    };
    expect((await get(customer, '/accounts/carol')).json).toEqual(expected);
    expect(await page(customer, '/accounts')).toEqual({ object: 'list', data: [expected], next: null });

    // Reserved for a payment on its way.
    await database.sql("UPDATE accounts SET debits_pending = 250 WHERE id = 'carol'");
    expect((await get(customer, '/accounts/carol')).json?.['balance']).toEqual({
      posted: 700,
      pending: 250,
      available: 450,
    });
    const tooMuch = await pay(customer, { amount: 451 });
    expect(tooMuch.status).toBe(402);
    expect((await pay(customer, { amount: 450 })).status).toBe(200);
    await database.sql("UPDATE accounts SET debits_pending = 0 WHERE id = 'carol'");
  });

  it('the accounts of a customer are listed in the order of their names, and nobody else’s', async () => {
    const customer = await database.addCustomer({ name: 'dora', balance: 1 });
    await database.sql("INSERT INTO accounts (id, customer_id, currency) VALUES ('cash', $1, 'EUR')", [
      customer.id,
    ]);
    expect(ids([await page(customer, '/accounts')])).toEqual(['cash', 'dora']);
  });

  it('a transfer shows these members, on the accounts of both sides', async () => {
    const customer = await database.addCustomer({ name: 'erin', balance: 1_000 });
    const paid = await pay(customer, { amount: 42 });
    const transfer = {
      id: uuid,
      object: 'transfer',
      payment_id: paid.json?.['id'],
      debit_account: 'erin',
      credit_account: 'sam',
      amount: 42,
      state: 'posted',
      created_at: paid.json?.['created_at'],
    };
    const opening = {
      ...transfer,
      id: expect.any(String) as unknown,
      payment_id: null,
      debit_account: 'bank:GBP',
      credit_account: 'erin',
      amount: 1_000,
      created_at: time,
    };
    const { data } = await page(customer, '/accounts/erin/transfers');
    expect(data).toHaveLength(2);
    expect(data).toEqual(expect.arrayContaining([transfer, opening]));
    for (const each of data) expect(Object.keys(each)).toEqual(Object.keys(transfer));
    const [ofPayment] = data.filter(each => each['payment_id'] !== null);
    expect((await page(sam, '/accounts/sam/transfers?limit=1')).data).toEqual([ofPayment]);
  });

  it('lists hold everything once, newest first, whatever the size of the pages', async () => {
    const customer = await database.addCustomer({ name: 'fred', balance: 10_000 });
    const other = await database.addCustomer({ name: 'gina', balance: 10_000 });
    const made: unknown[] = [];
    for (let n = 0; n < 7; n += 1) {
      made.unshift((await pay(customer, { amount: n + 1 })).json?.['id']);
      await pay(other, { to: 'fred' });
    }
    for (const limit of [1, 2, 3, 7, 8, 100]) {
      const pages = await allPages(customer, '/payments', limit);
      expect(ids(pages)).toEqual(made);
      expect(pages).toHaveLength(Math.ceil(made.length / limit));
      for (const { data } of pages.slice(0, -1)) expect(data).toHaveLength(limit);
    }
    expect(ids([await page(customer, '/payments')])).toEqual(made);

    const transfers = await database.sql<{ id: string }>(
      "SELECT id FROM transfers WHERE 'fred' IN (debit_account_id, credit_account_id) ORDER BY id DESC",
    );
    expect(transfers).toHaveLength(15);
    for (const limit of [1, 4, 5, 15, 16]) {
      expect(ids(await allPages(customer, '/accounts/fred/transfers', limit))).toEqual(
        transfers.map(({ id }) => id),
      );
    }
  });

  it('a page stays what it was while new payments arrive', async () => {
    const customer = await database.addCustomer({ name: 'hugo', balance: 10_000 });
    for (let n = 0; n < 4; n += 1) await pay(customer, {});
    const first = await page(customer, '/payments?limit=2');
    const rest = await page(customer, `/payments?limit=2&after=${String(first.next)}`);
    await pay(customer, {});
    expect(await page(customer, `/payments?limit=2&after=${String(first.next)}`)).toEqual(rest);
  });

  it('lists of nothing are empty', async () => {
    const customer = await database.addCustomer({ name: 'ivan' });
    expect(await page(customer, '/payments')).toEqual({ object: 'list', data: [], next: null });
    expect(await page(customer, '/accounts/ivan/transfers')).toEqual({
      object: 'list',
      data: [],
      next: null,
    });
    expect(await page(customer, `/payments?after=${randomUUID()}`)).toEqual({
      object: 'list',
      data: [],
      next: null,
    });
  });

  it.each([
    'limit=0',
    'limit=101',
    'limit=-1',
    'limit=1.5',
    'limit=ten',
    'limit=',
    'limit=1&limit=2',
    'limit[]=1',
    'limit[a]=1',
    'limit=1e1',
    'limit=0x10',
    'after=',
    'after=1',
    'after=00000000',
    'after=a&after=b',
    'page=2',
    manyBrackets,
  ])('a query that makes no sense is refused: %.20s', async query => {
    for (const path of ['/payments', '/accounts/alice/transfers']) {
      const { status, json } = await get(alice, `${path}?${query}`);
      expect([path, status, json?.['code']]).toEqual([path, 400, 'invalid_request']);
    }
  });

  it('a key sent with a safe method is ignored, whatever it looks like', async () => {
    const used = randomUUID();
    await pay(alice, {}, used);
    for (const key of [used, randomUUID(), 'a,b', '']) {
      const answer = await call(`${api.url}/payments`, {
        apiKey: alice.apiKey,
        headers: { 'idempotency-key': key },
      });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('idempotent-replayed')).toBeNull();
    }
  });
});
