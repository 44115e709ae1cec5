import { randomUUID } from 'node:crypto';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call, type Call } from '../support/http.js';
import { checkMoney, checkOnePaymentPerKey, countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';

const good = { to: 'sam', amount: 100, currency: 'GBP' };

describe('whoever makes several mistakes hears of them in one order', () => {
  let database: Database;
  let alice: Customer;
  let readOnly: Customer;
  let api: Api;

  /** A key of alice's that paid `good`. */
  const finished = randomUUID();
  /** A key of alice's on which somebody is at work. */
  const running = randomUUID();

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 100_000 });
    readOnly = await database.addCustomer({ name: 'reader', balance: 100_000, scopes: ['read'] });
    await database.addCustomer({ name: 'sam' });
    await database.addCustomer({ name: 'euro', currency: 'EUR' });
    api = await bootApi(database.url);
    expect((await pay({ key: finished })).status).toBe(200);
    await database.insertKeyRow({
      customerId: alice.id,
      key: running,
      // Written out by hand: the members in the order of their names, no white space.
      fingerprintOf:
        '[1,"payment",{"amount":100,"currency":"GBP","from":"alice","rail":"ledger","reference":null,"to":"sam"}]',
      params: { ...good, from: 'alice', rail: 'ledger', reference: null },
      leaseMs: 20_000,
    });
  });
  afterEach(async () => {
    await expectNoLeaks(database.sql);
    expect(await checkMoney(database.sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(database.sql)).toEqual([]);
  });
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  function pay(request: Call) {
    return call(`${api.url}/payments`, { method: 'POST', apiKey: alice.apiKey, body: good, ...request });
  }

  async function codeOf(request: Call): Promise<string> {
    const { status, json } = await pay(request);
    return `${status} ${(json?.['code'] as string | undefined) ?? 'paid'}`;
  }

  it('checks the customer, the scope, the key, the body, and only then what is stored', async () => {
    const before = await countRows(database.sql);
    const badKey = { headers: { 'idempotency-key': 'a,b' } };
    const badBody = { body: { ...good, amount: -1 } };

    // Each line mends the mistake that the line before it heard of.
    expect(await codeOf({ apiKey: 'sk_nobody', ...badKey, ...badBody })).toBe('401 unauthenticated');
    expect(await codeOf({ apiKey: readOnly.apiKey, ...badKey, ...badBody })).toBe('403 forbidden');
    expect(await codeOf({ ...badKey, ...badBody })).toBe('400 idempotency_key_invalid');
    expect(await codeOf({ ...badBody })).toBe('400 idempotency_key_missing');
    expect(await codeOf({ key: finished, body: '{' })).toBe('400 malformed_json');
    expect(await codeOf({ key: finished, ...badBody })).toBe('400 invalid_request');
    expect(await codeOf({ key: finished, body: { ...good, amount: 101 } })).toBe('409 collision_detected');
    expect(await codeOf({ key: running, body: { ...good, amount: 101 } })).toBe('409 collision_detected');
    expect(await codeOf({ key: running })).toBe('409 in_progress');
    expect(await codeOf({ key: finished })).toBe('200 paid');

    expect(await countRows(database.sql)).toEqual(before);
  });

  it('does not even read the body of a caller it does not know', async () => {
    const answer = await pay({ apiKey: 'sk_nobody', key: finished, body: '{"to":"\\ud800' });
    expect([answer.status, answer.json?.['code']]).toEqual([401, 'unauthenticated']);
  });

  it.each([
    ['to an unknown payee', { ...good, to: 'nobody' }, '422 unknown_payee', ['to']],
    ['from an unknown account', { ...good, from: 'nobody' }, '404 not_found', ['from']],
    ['of too much', { ...good, amount: 100_000_001 }, '422 amount_above_limit', ['amount']],
    ['to an account in another currency', { ...good, to: 'euro' }, '422 currency_mismatch', ['to']],
    [
      'in a currency the caller has no account in',
      { ...good, currency: 'EUR' },
      '422 currency_mismatch',
      ['currency', 'from'],
    ],
  ])('tells of a used key before it looks at a payment %s', async (_, body, alone, differsIn) => {
    expect(await codeOf({ key: randomUUID(), body })).toBe(alone);
    for (const key of [finished, running]) {
      const { status, json } = await pay({ key, body });
      expect([status, json?.['code']]).toEqual([409, 'collision_detected']);
      expect(differsIn).toEqual(expect.arrayContaining(json?.['differs_in'] as string[]));
    }
  });

  it('replays a payment whose `from` was left out, also when the caller has come to own a second account since', async () => {
    const customer = await database.addCustomer({ name: 'twofold', balance: 1_000 });
    const request = { apiKey: customer.apiKey, key: randomUUID() };
    const first = await pay(request);
    expect(first.status).toBe(200);
    await database.sql("INSERT INTO accounts (id, customer_id, currency) VALUES ('second', $1, 'GBP')", [
      customer.id,
    ]);

    const fresh = await pay({ ...request, key: randomUUID() });
    expect([fresh.status, fresh.json?.['code']]).toEqual([400, 'invalid_request']);
    const repeat = await pay(request);
    expect(repeat.text).toBe(first.text);
    expect(repeat.headers.get('idempotent-replayed')).toBe('true');
  });

  it('leaves a refused key free for the corrected request', async () => {
    const key = randomUUID();
    const mistakes: [object, number][] = [
      [{ ...good, amount: '100' }, 400],
      [{ ...good, to: 'nobody' }, 422],
      [{ ...good, to: 'alice' }, 422],
      [{ ...good, to: 'bank:GBP' }, 422],
      [{ ...good, to: 'euro' }, 422],
      [{ ...good, from: 'sam' }, 404],
      [{ ...good, amount: 100_000_001 }, 422],
    ];
    const before = await countRows(database.sql);
    for (const [body, status] of mistakes) expect((await pay({ key, body })).status).toBe(status);
    expect((await pay({ key, apiKey: 'sk_nobody' })).status).toBe(401);
    expect(await countRows(database.sql)).toEqual(before);

    const paid = await pay({ key });
    expect([paid.status, paid.headers.get('idempotency-status')]).toEqual([200, 'completed']);
    expect(await countRows(database.sql)).toEqual({
      keys: before.keys + 1,
      payments: before.payments + 1,
      transfers: before.transfers + 1,
    });
  });

  it('names the members that differ from the first request, and no value of it', async () => {
    const key = randomUUID();
    const first = { ...good, amount: 4711, reference: 'for the tulips' };
    expect((await pay({ key, body: first })).status).toBe(200);
    const { json, text } = await pay({ key, body: { ...good, to: 'nobody', amount: 4712, reference: 'x' } });
    expect(json?.['differs_in']).toEqual(['amount', 'reference', 'to']);
    expect(text).not.toMatch(/4711|tulips|sam/);
  });
});
