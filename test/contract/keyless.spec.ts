import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { patient, quick } from '../promises/bank-scene.js';
import { bootApi, type Api } from '../support/api.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call, together, type Answer } from '../support/http.js';
import { checkMoney, countNewRows, countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';

const windowSeconds = 2;
const onePayment = { keys: 1, payments: 1, transfers: 1 };

/** Payments that differ from test to test, so that none finds the window of another. */
let amounts = 1_000;
const newOrder = () => ({ to: 'sam', amount: ++amounts, currency: 'GBP' });

describe('a customer that cannot send keys is recognised by what it asks for', () => {
  let database: Database;
  let bank: BankProcess;
  let apis: [Api, Api];
  let api: Api;
  let legacy: Customer;
  let alice: Customer;

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), startBank()]);
    alice = await database.addCustomer({ name: 'alice', balance: 1_000_000 });
    legacy = await database.addCustomer({ name: 'legacy', balance: 1_000_000 });
    await database.addCustomer({ name: 'sam' });
    await database.sql("UPDATE customers SET keyless = 'fingerprint' WHERE id = $1", [legacy.id]);
    // Rows are counted, and those whose window is over are the reaper's to delete: it rests meanwhile.
    const reaper = { REAP_EVERY_MS: '86400000' };
    const env = { ...quick, ...patient, ...bank.env, ...reaper, FINGERPRINT_WINDOW: String(windowSeconds) };
    apis = [await bootApi(database.url, env), await bootApi(database.url, env)];
    [api] = apis;
  });
  afterEach(async () => {
    await expectNoLeaks(database.sql);
    expect(await checkMoney(database.sql)).toEqual([]);
  });
  afterAll(async () => {
    await Promise.all(apis.map(each => each.stop()));
    await bank.stop();
    await database.drop();
  });

  const pay = (body: object | string, headers: Record<string, string> = {}, at = api, by = legacy) =>
    call(`${at.url}/payments`, { apiKey: by.apiKey, body, headers });
  const untilWindowIsOver = (answer: Answer) =>
    sleep(Math.max(0, Date.parse(headerOf(answer, 'idempotency-expires')) - Date.now()) + 50);

  it('the answer says so: the key is the fingerprint, and it says when the window is over', async () => {
    const order = newOrder();
    const answer = await pay(order);
    expect([answer.status, isFirstAnswer(answer)]).toEqual([200, true]);
    // The canonical document, written out by hand: the members in the order of their names, no white space.
    const document = `[1,"payment",{"amount":${order.amount},"currency":"GBP","from":"legacy","rail":"ledger","reference":null,"to":"sam"}]`;
    const key = `fp_${createHash('sha256').update(document).digest('base64url')}`;
    expect(headerOf(answer, 'idempotency-key')).toBe(key);
    const opened = Date.parse(String(answer.json?.created_at));
    expect(Date.parse(headerOf(answer, 'idempotency-expires')) - opened).toBe(windowSeconds * 1_000);

    const operation = await call(`${api.url}/operations/${key}`, { apiKey: legacy.apiKey });
    expect(operation.json).toMatchObject({ key, state: 'completed', response: { body: answer.text } });
  });

  it('the payment remembers its key and the time at which the window opened', async () => {
    const answer = await pay(newOrder());
    const opened = Date.parse(String(answer.json?.created_at));
    expect(answer.json?.idempotency_key).toBe(`${headerOf(answer, 'idempotency-key')}_${opened}`);
  });

  it('an equal payment inside the window is the same payment, at any instance', async () => {
    const order = newOrder();
    const before = await countRows(database.sql);
    const first = await pay(order);
    for (const at of [...apis, api]) {
      const repeat = await pay(order, {}, at);
      expect([repeat.status, repeat.text, isReplay(repeat)]).toEqual([200, first.text, true]);
      expect(headerOf(repeat, 'idempotency-expires')).toBe(headerOf(first, 'idempotency-expires'));
    }
    expect(await countNewRows(database.sql, before)).toEqual(onePayment);
  });

  it('the price: two honest equal payments inside the window are one', async () => {
    const order = { ...newOrder(), reference: 'a coffee' };
    const before = await countRows(database.sql);
    const coffee = await pay(order);
    const anotherCoffee = await pay(order);
    expect(anotherCoffee.json?.id).toBe(coffee.json?.id);
    expect(await countNewRows(database.sql, before)).toEqual(onePayment);
    // Whoever means two says so, in a member that counts.
    expect(isFirstAnswer(await pay({ ...order, reference: 'another coffee' }))).toBe(true);
  });

  it('after the window it is a new payment, whether the reaper came by or not', async () => {
    const order = newOrder();
    const first = await pay(order);
    await untilWindowIsOver(first);
    const second = await pay(order, {}, apis[1]);
    expect(isFirstAnswer(second)).toBe(true);
    expect(headerOf(second, 'idempotency-key')).toBe(headerOf(first, 'idempotency-key'));
    expect(second.json?.id).not.toBe(first.json?.id);
    expect(second.json?.idempotency_key).not.toBe(first.json?.idempotency_key);
    // What memory held of the first window is not told in the second.
    for (const at of apis) expect((await pay(order, {}, at)).text).toBe(second.text);

    await database.sql('DELETE FROM idempotency_keys WHERE key = $1', [headerOf(first, 'idempotency-key')]);
    expect(isFirstAnswer(await pay(order))).toBe(true);
  });

  it('a decline is repeated inside the window, and tried anew after it', async () => {
    const poor = await database.addCustomer({ name: `poor-${++amounts}`, balance: 10 });
    await database.sql("UPDATE customers SET keyless = 'fingerprint' WHERE id = $1", [poor.id]);
    const order = newOrder();
    const first = await pay(order, {}, api, poor);
    expect([first.status, isReplay(await pay(order, {}, api, poor))]).toEqual([402, true]);
    await untilWindowIsOver(first);
    const later = await pay(order, {}, api, poor);
    expect([later.status, isFirstAnswer(later)]).toEqual([402, true]);
  });

  it('40 equal ones at once, at two instances, are one payment', async () => {
    const order = newOrder();
    const before = await countRows(database.sql);
    const answers = await together(40, index => pay(order, {}, apis[index % 2]));
    expect(answers.filter(isFirstAnswer)).toHaveLength(1);
    expect(answers.filter(isReplay)).toHaveLength(39);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(await countNewRows(database.sql, before)).toEqual(onePayment);
  });

  it('and 40 at once just after a window are one new payment', async () => {
    const order = newOrder();
    const first = await pay(order);
    await untilWindowIsOver(first);
    const before = await countRows(database.sql);
    const answers = await together(40, index => pay(order, {}, apis[index % 2]));
    expect(answers.filter(isFirstAnswer)).toHaveLength(1);
    expect(answers.filter(isReplay)).toHaveLength(39);
    expect(await countNewRows(database.sql, before)).toEqual({ keys: 0, payments: 1, transfers: 1 });
  });

  it('refunds too: equal ones of one payment are one inside the window', async () => {
    const paid = await pay(newOrder());
    const refund = () =>
      call(`${api.url}/payments/${String(paid.json?.id)}/refunds`, {
        apiKey: legacy.apiKey,
        body: { amount: 10 },
      });
    const first = await refund();
    const repeat = await refund();
    expect([first.status, repeat.text, isReplay(repeat)]).toEqual([200, first.text, true]);
    await untilWindowIsOver(first);
    const second = await refund();
    expect([isFirstAnswer(second), second.json?.id === first.json?.id]).toEqual([true, false]);
  });

  describe('what makes two requests equal', () => {
    const order = { to: 'sam', amount: 100, currency: 'GBP' };
    const text = JSON.stringify(order);

    it.each<[what: string, body: string, headers: Record<string, string>]>([
      ['the order of members', '{"currency":"GBP","amount":100,"to":"sam"}', {}],
      ['white space', '{ "to" : "sam",\n "amount" : 100, "currency" : "GBP" }', {}],
      ['100.0 for 100', text.replace('100', '100.0'), {}],
      ['1e2 for 100', text.replace('100', '1e2'), {}],
      ['the default rail', text.replace('}', ',"rail":"ledger"}'), {}],
      ['the default account', text.replace('}', ',"from":"legacy"}'), {}],
      ['a reference of null', text.replace('}', ',"reference":null}'), {}],
      ['an escaped letter', text.replace('sam', '\\u0073am'), {}],
      ['client_timestamp', text.replace('}', ',"client_timestamp":"2026-11-22T10:00:00Z"}'), {}],
      ['timestamps in headers', text, { date: 'Sun, 22 Nov 2026 10:00:00 GMT', 'x-timestamp': '1795341600' }],
      ['other headers', text, { 'user-agent': 'another', accept: 'text/plain', traceparent: 'x' }],
    ])('%s makes no difference', async (_, body, headers) => {
      const first = await pay(order);
      const repeat = await pay(body, headers);
      // One window may end between the two; the key tells nothing of windows.
      expect(repeat.status).toBe(200);
      expect(headerOf(repeat, 'idempotency-key')).toBe(headerOf(first, 'idempotency-key'));
    });

    it.each([
      ['amount', { amount: 101 }],
      ['payee', { to: 'alice' }],
      ['reference', { reference: '' }],
      ['rail', { rail: 'bank' }],
    ])('another %s does', async (_, difference) => {
      const first = await pay(order);
      const other = await pay({ ...order, ...difference });
      expect(headerOf(other, 'idempotency-key')).not.toBe(headerOf(first, 'idempotency-key'));
    });

    it('so does another customer: its payment is its own', async () => {
      const other = await database.addCustomer({ name: `legacy-${++amounts}`, balance: 10_000 });
      await database.sql("UPDATE customers SET keyless = 'fingerprint' WHERE id = $1", [other.id]);
      const same = { ...newOrder(), rail: 'ledger' };
      await pay(same);
      expect(isFirstAnswer(await pay(same, {}, api, other))).toBe(true);
    });
  });

  describe('through the bank', () => {
    it('an unfinished payment stays taken past its window: an equal one must not run beside it', async () => {
      const order = { ...newOrder(), rail: 'bank' };
      const { id } = (await bank.control('POST', '/barriers', { at: 'before' })) as { id: string };
      const before = await countRows(database.sql);
      const first = await pay(order, { prefer: 'respond-async' });
      expect([first.status, first.json?.status]).toEqual([202, 'pending']);
      expect(first.headers.get('location')).toBe(`/operations/${headerOf(first, 'idempotency-key')}`);
      await untilWindowIsOver(first);
      for (const at of apis) {
        const repeat = await pay(order, { prefer: 'respond-async' }, at);
        expect(['409 in_progress', '202 undefined']).toContain(
          `${repeat.status} ${String(repeat.json?.code)}`,
        );
      }
      expect(await countNewRows(database.sql, before)).toEqual(onePayment);
      await bank.control('DELETE', `/barriers/${id}`);

      const ended = await pay(order, { prefer: 'wait=20' });
      expect([ended.status, ended.json?.id]).toEqual([200, first.json?.id]);
      expect(await bank.charges(String(first.json?.id))).toHaveLength(1);
    });

    it('the window is counted from its end, so that a caller who retries finds the answer', async () => {
      const order = { ...newOrder(), rail: 'bank' };
      const paid = await pay(order);
      expect(paid.status).toBe(200);
      const left =
        Date.parse(headerOf(paid, 'idempotency-expires')) - Date.parse(String(paid.json?.completed_at));
      expect(Math.abs(left - windowSeconds * 1_000)).toBeLessThan(5);
      expect(isReplay(await pay(order))).toBe(true);
    });
  });

  describe('with the header, the key decides as usual', () => {
    it('two keys are two payments, however equal; one key is one, and a different request a collision', async () => {
      const order = newOrder();
      const [key, another] = [randomUUID(), randomUUID()];
      const first = await pay(order, { 'idempotency-key': key });
      expect(headerOf(first, 'idempotency-key')).toBe(key);
      expect(first.json?.idempotency_key).toBe(key);
      expect(isFirstAnswer(await pay(order, { 'idempotency-key': another }))).toBe(true);
      expect(isFirstAnswer(await pay(order))).toBe(true);
      expect(isReplay(await pay(order, { 'idempotency-key': key }))).toBe(true);
      const collision = await pay(newOrder(), { 'idempotency-key': key });
      expect(collision.json?.code).toBe('collision_detected');
    });

    it('also where the key is one that an answer told: every instance then tells of the same payment', async () => {
      const order = newOrder();
      const first = await pay(order);
      const told = { 'idempotency-key': headerOf(first, 'idempotency-key') };
      for (const at of apis) expect((await pay(order, told, at)).text).toBe(first.text);
      await untilWindowIsOver(first);
      const second = await pay(order);
      expect(isFirstAnswer(second)).toBe(true);
      for (const at of apis) expect((await pay(order, told, at)).text).toBe(second.text);
    });

    it('and is kept for three days, not for a window', async () => {
      const paid = await pay(newOrder(), { 'idempotency-key': randomUUID() });
      const kept =
        Date.parse(headerOf(paid, 'idempotency-expires')) - Date.parse(String(paid.json?.completed_at));
      expect(kept).toBe(72 * 60 * 60 * 1_000);
    });

    it('a malformed key is refused: it is not taken for none', async () => {
      const refused = await pay(newOrder(), { 'idempotency-key': 'a,b' });
      expect([refused.status, refused.json?.code]).toEqual([400, 'idempotency_key_invalid']);
    });
  });

  it('everyone else without the header is refused', async () => {
    const before = await countRows(database.sql);
    for (const path of ['/payments', `/payments/${randomUUID()}/refunds`]) {
      const refused = await call(api.url + path, { apiKey: alice.apiKey, body: newOrder() });
      expect([refused.status, refused.json?.code]).toEqual([400, 'idempotency_key_missing']);
    }
    expect(await countNewRows(database.sql, before)).toEqual({ keys: 0, payments: 0, transfers: 0 });
  });

  it('a refused request opens no window', async () => {
    const before = await countRows(database.sql);
    const refused = await pay({ ...newOrder(), to: 'nobody' });
    expect([refused.status, refused.json?.code]).toEqual([422, 'unknown_payee']);
    expect(await countNewRows(database.sql, before)).toEqual({ keys: 0, payments: 0, transfers: 0 });
  });
});

function headerOf({ headers }: Answer, name: string): string {
  return headers.get(name) ?? `no ${name}`;
}
