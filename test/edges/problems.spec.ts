import { randomUUID } from 'node:crypto';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call, type Answer, type Call } from '../support/http.js';
import { expectNoLeaks } from '../support/leak-check.js';

/** The contract's list, written out: a code that is missing here or there is a mistake in one of them. */
const codes = [
  'malformed_json',
  'invalid_request',
  'idempotency_key_missing',
  'idempotency_key_invalid',
  'unauthenticated',
  'insufficient_funds',
  'declined_by_bank',
  'forbidden',
  'not_found',
  'method_not_allowed',
  'request_timeout',
  'collision_detected',
  'in_progress',
  'already_completed',
  'operation_cancelled',
  'body_too_large',
  'unsupported_media_type',
  'unknown_payee',
  'currency_mismatch',
  'amount_above_limit',
  'refund_exceeds_payment',
  'rate_limited',
  'headers_too_large',
  'internal',
  'overloaded',
  'unavailable',
];

const good = { to: 'sam', amount: 100, currency: 'GBP' };

/** What every problem has, and nothing more; then what some have besides. */
const members = ['code', 'detail', 'retryable', 'status', 'title', 'type'];

describe('every no says what it means', () => {
  let database: Database;
  let alice: Customer;
  let reader: Customer;
  let api: Api;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 1_000 });
    reader = await database.addCustomer({ name: 'reader', scopes: ['read'] });
    await database.addCustomer({ name: 'sam' });
    await database.addCustomer({ name: 'euro', currency: 'EUR' });
    api = await bootApi(database.url);
  });
  afterEach(() => expectNoLeaks(database.sql));
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  const pay = (request: Call = {}) =>
    call(`${api.url}/payments`, { apiKey: alice.apiKey, key: randomUUID(), body: good, ...request });
  const get = (path: string) => call(api.url + path, { apiKey: alice.apiKey });

  const inProgress = async () => {
    const key = randomUUID();
    const params = { ...good, from: 'alice', rail: 'ledger', reference: null };
    const fingerprintOf =
      '[1,"payment",{"amount":100,"currency":"GBP","from":"alice","rail":"ledger","reference":null,"to":"sam"}]';
    await database.insertKeyRow({ customerId: alice.id, key, params, fingerprintOf, leaseMs: 20_000 });
    return pay({ key });
  };
  const collision = async () => {
    const key = randomUUID();
    await pay({ key });
    return pay({ key, body: { ...good, amount: 101 } });
  };

  it.each<[what: string, refused: () => Promise<Answer>, status: number, code: string, more?: string[]]>([
    ['a body that is no JSON', () => pay({ body: '{' }), 400, 'malformed_json'],
    ['a body without what is needed', () => pay({ body: {} }), 400, 'invalid_request', ['errors']],
    ['a body that is no object', () => pay({ body: '[]' }), 400, 'invalid_request'],
    ['a page of nothing', () => get('/payments?limit=0'), 400, 'invalid_request', ['errors']],
    ['a path that cannot be decoded', () => get('/payments/%zz'), 400, 'invalid_request'],
    [
      'a payment without a key',
      () => call(`${api.url}/payments`, { apiKey: alice.apiKey, body: good }),
      400,
      'idempotency_key_missing',
    ],
    [
      'a blank in the key',
      () => pay({ headers: { 'idempotency-key': 'a b' } }),
      400,
      'idempotency_key_invalid',
    ],
    ['an unknown API key', () => pay({ apiKey: 'sk_nobody' }), 401, 'unauthenticated'],
    [
      'too little money',
      () => pay({ body: { ...good, amount: 999_999 } }),
      402,
      'insufficient_funds',
      ['payment'],
    ],
    ['an API key that may only read', () => pay({ apiKey: reader.apiKey }), 403, 'forbidden'],
    ['somebody else’s account to pay from', () => pay({ body: { ...good, from: 'sam' } }), 404, 'not_found'],
    [
      'another method',
      () => call(`${api.url}/accounts/alice`, { method: 'DELETE' }),
      405,
      'method_not_allowed',
    ],
    ['another request under the key', collision, 409, 'collision_detected', ['differs_in']],
    ['a first request that still runs', inProgress, 409, 'in_progress'],
    ['a long body', () => pay({ body: ' '.repeat(70_000) }), 413, 'body_too_large'],
    [
      'another content type',
      () => pay({ headers: { 'content-type': 'text/plain' } }),
      415,
      'unsupported_media_type',
    ],
    ['a payee who is not there', () => pay({ body: { ...good, to: 'nobody' } }), 422, 'unknown_payee'],
    ['a payee in another currency', () => pay({ body: { ...good, to: 'euro' } }), 422, 'currency_mismatch'],
    [
      'a currency without an account',
      () => pay({ body: { ...good, currency: 'JPY' } }),
      422,
      'currency_mismatch',
    ],
    ['a huge amount', () => pay({ body: { ...good, amount: 100_000_001 } }), 422, 'amount_above_limit'],
  ])('%s: in the shape of RFC 9457', async (_, refused, status, code, more = []) => {
    expectProblem(await refused(), status, code, more);
  });

  it.each([
    '/nowhere',
    '/payments/018f0000-0000-7000-8000-000000000000',
    '/payments/1',
    '/payments/%00',
    '/accounts/nobody',
    '/accounts/%00',
    '/accounts/%00/transfers',
    '/accounts/a%2Fb',
    '/operations/never-used',
    '/operations/%00',
    '/operations/a%20b',
    '/operations/%22a%22',
    '/problems/nonsense',
    '/problems/constructor',
    '/problems/__proto__',
    '/problems/%00',
  ])('nothing is found at %s, and it says so', async path => {
    expectProblem(await get(path), 404, 'not_found');
  });

  it.each(['/payments/', '/accounts/', '/operations/', '/problems/'])(
    'nothing is found under a name of 2,000 characters at %s, and it says so',
    async path => {
      expectProblem(await get(path + 'n'.repeat(2_000)), 404, 'not_found');
    },
  );

  it('names each member that is wrong, and what is wrong with it', async () => {
    const { json } = await pay({ body: { amount: 1.5, currency: 'gbp', reference: 7, extra: true } });
    expect(json?.['errors']).toEqual(
      expect.arrayContaining(
        ['to', 'amount', 'currency', 'reference', 'extra'].map(field => ({
          field,
          message: expect.any(String) as unknown,
        })),
      ),
    );
    expect(json?.['errors']).toHaveLength(5);
  });

  it('says how long to wait where waiting helps, in seconds from 1 to 30', async () => {
    const seconds = Number((await inProgress()).headers.get('retry-after'));
    expect(seconds).toBeGreaterThanOrEqual(18);
    expect(seconds).toBeLessThanOrEqual(20);
  });

  it('links every problem to a page for people', async () => {
    for (const code of codes) {
      const page = await call(`${api.url}/problems/${code}`);
      expect([code, page.status]).toEqual([code, 200]);
      expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(page.headers.get('request-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(page.text).toContain(code);
      expect(page.text).not.toMatch(/undefined|\[object|<script/);
    }
  });

  it('gives every answer a Request-Id of its own, and takes none from the caller', async () => {
    const paths = [
      '/health/live',
      '/payments',
      '/nowhere',
      '/problems/internal',
      '/payments',
      '/payments/%zz',
    ];
    const answers = await Promise.all(
      paths.map(path =>
        call(api.url + path, {
          apiKey: alice.apiKey,
          headers: { 'request-id': 'forged', 'x-request-id': 'forged' },
        }),
      ),
    );
    const ids = answers.map(answer => answer.headers.get('request-id'));
    expect(new Set(ids).size).toBe(answers.length);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it('says of every answer what it is made of, and that it is nobody else’s', async () => {
    for (const path of [
      '/payments',
      '/accounts',
      '/accounts/alice',
      '/accounts/alice/transfers',
      '/health/live',
    ]) {
      const { status, headers } = await get(path);
      expect([path, status, headers.get('content-type')]).toEqual([
        path,
        200,
        'application/json; charset=utf-8',
      ]);
      expect(headers.get('cache-control')).toContain('no-store');
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('server')).toBeNull();
    }
  });
});

function expectProblem(answer: Answer, status: number, code: string, more: string[] = []): void {
  const retryable = code === 'in_progress';
  expect([answer.status, answer.json?.['code']]).toEqual([status, code]);
  expect(answer.json).toMatchObject({ type: `/problems/${code}`, status, retryable });
  expect(Object.keys(answer.json ?? {}).sort()).toEqual([...members, ...more].sort());
  expect(answer.json?.['title']).not.toBe('');
  expect(answer.json?.['detail']).not.toBe('');
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(answer.headers.get('should-retry')).toBe(String(retryable));
  expect(answer.headers.get('request-id')).toMatch(/^[0-9a-f-]{36}$/);
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.headers.get('x-powered-by')).toBeNull();
  expect(answer.headers.get('server')).toBeNull();
  expect(answer.headers.get('retry-after') !== null).toBe(retryable);
}
