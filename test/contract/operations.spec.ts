import { randomUUID } from 'node:crypto';
import { orderToSam, setUpBankScene } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import type { Customer } from '../support/database.js';
import { call, together, type Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';
import { exchange, headerOf } from '../support/wire.js';

const params = { to: 'sam', amount: 100, currency: 'GBP' };
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;

/** A payment carried out twice would show in these. */
const nothing = { keys: 0, payments: 0, transfers: 0 };
const onePayment = { keys: 1, payments: 1, transfers: 1 };

describe('a key may be put', () => {
  const scene = setUpBankScene();
  let api: Api;
  let bob: Customer;

  beforeAll(async () => {
    api = await scene.boot();
    bob = await scene.database.addCustomer({ name: 'bob', balance: 5_000 });
  });

  const put = (key: string, body: object | string, headers: Record<string, string> = {}, by = scene.alice) =>
    call(`${api.url}/operations/${key}`, { method: 'PUT', apiKey: by.apiKey, body, headers });
  const putPayment = (
    key: string,
    more: object = {},
    headers: Record<string, string> = {},
    by = scene.alice,
  ) => put(key, { operation: 'payment', params: { ...params, ...more } }, headers, by);
  const putRefund = (key: string, payment_id: unknown, amount: number) =>
    put(key, { operation: 'refund', params: { payment_id, amount } });
  const post = (key: string, more: object = {}) => scene.pay(api, key, { rail: 'ledger', ...more });
  const codeOf = ({ status, json }: Answer) => `${status} ${String(json?.code ?? json?.object)}`;

  describe('and is answered with the operation', () => {
    it('whose result is definitive: 200, the stored answer inside, headers as on a POST', async () => {
      const key = randomUUID();
      const answer = await putPayment(key, { reference: 'first' });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(answer.json).toEqual({
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
        request: { ...params, from: 'alice', rail: 'ledger', reference: 'first' },
        response: { status: 200, body: expect.any(String) as unknown },
      });
      expect(JSON.parse(stored(answer).body)).toMatchObject({
        object: 'payment',
        status: 'succeeded',
        idempotency_key: key,
        reference: 'first',
      });
      expect(isFirstAnswer(answer)).toBe(true);
      expect(answer.headers.get('idempotency-key')).toBe(key);
      expect(answer.headers.get('idempotency-expires')).toBe(answer.json?.expires_at);
    });

    it('that was declined: 200 all the same, with the 402 inside', async () => {
      const key = randomUUID();
      const answer = await putPayment(key, { amount: 5_001 }, {}, bob);
      expect([answer.status, stored(answer).status]).toEqual([200, 402]);
      expect(JSON.parse(stored(answer).body)).toMatchObject({
        code: 'insufficient_funds',
        payment: { status: 'declined', from: 'bob' },
      });
      const again = await putPayment(key, { amount: 5_001 }, {}, bob);
      expect([again.status, stored(again), isReplay(again)]).toEqual([200, stored(answer), true]);
    });

    it('that still runs: 202, with Location and Retry-After; its end is found under the key', async () => {
      const key = randomUUID();
      const barrier = await scene.barrier('before');
      const answer = await putPayment(key, { rail: 'bank' }, { prefer: 'respond-async' });
      expect(answer.status).toBe(202);
      expect(answer.json).toMatchObject({ object: 'operation', state: 'in_progress', response: null, key });
      expect(answer.headers.get('preference-applied')).toBe('respond-async');
      expect(answer.headers.get('location')).toBe(`/operations/${key}`);
      expect(answer.headers.get('idempotency-status')).toBe('in_progress');
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      await barrier.release();

      const end = await putPayment(key, { rail: 'bank' }, { prefer: 'wait=20' });
      expect([end.status, end.json?.state, stored(end).status]).toEqual([200, 'completed', 200]);
      expect(end.headers.get('preference-applied')).toBe('wait=20');
      expect(isReplay(end)).toBe(true);
    });

    it('while it runs, a repeat is told 409 in_progress, as by a POST', async () => {
      const key = randomUUID();
      const barrier = await scene.barrier('before');
      await putPayment(key, { rail: 'bank' }, { prefer: 'respond-async' });
      const repeats = [await putPayment(key, { rail: 'bank' }), await scene.pay(api, key, orderToSam)];
      expect(repeats.map(codeOf)).toEqual(['409 in_progress', '409 in_progress']);
      for (const { headers } of repeats) {
        expect(headers.get('should-retry')).toBe('true');
        expect(headers.get('idempotency-status')).toBe('in_progress');
        expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
      }
      await barrier.release();
    });

    it('that gives money back', async () => {
      const paid = await post(randomUUID());
      const key = randomUUID();
      const refund = await putRefund(key, paid.json?.id, 40);
      expect(refund.status).toBe(200);
      expect(refund.json).toMatchObject({
        operation: 'refund',
        state: 'completed',
        request: { payment_id: paid.json?.id, amount: 40 },
      });
      expect(JSON.parse(stored(refund).body)).toMatchObject({ object: 'refund', amount: 40 });

      // The same refund by its other way, and then one too many.
      const posted = await call(`${api.url}/payments/${String(paid.json?.id)}/refunds`, {
        apiKey: scene.alice.apiKey,
        key,
        body: { amount: 40 },
      });
      expect([posted.status, posted.text, isReplay(posted)]).toEqual([200, stored(refund).body, true]);
      const tooMuch = await putRefund(randomUUID(), paid.json?.id, 61);
      expect(codeOf(tooMuch)).toBe('422 refund_exceeds_payment');
      expect(tooMuch.json?.detail).toContain('60');
      expect(codeOf(await putRefund(randomUUID(), randomUUID(), 1))).toBe('404 not_found');
    });
  });

  describe('and is the same claim as the POST with that key', () => {
    it.each(['POST, then PUT', 'PUT, then POST'])(
      '%s: one payment, and the same stored bytes',
      async order => {
        const key = randomUUID();
        const before = await countRows(scene.sql);
        const [first, second] = order.startsWith('POST') ? [post, putPayment] : [putPayment, post];
        const answers = [await first(key), await second(key), await first(key)];
        expect(answers.map(isReplay)).toEqual([false, true, true]);
        expect(new Set(answers.map(bytes)).size).toBe(1);
        expect(await countNewRows(scene.sql, before)).toEqual(onePayment);
      },
    );

    it('both at once, twenty times: one payment, and one answer', async () => {
      const key = randomUUID();
      const before = await countRows(scene.sql);
      const answers = await together(20, index => (index % 2 === 0 ? post(key) : putPayment(key)));
      expect(answers.filter(isFirstAnswer)).toHaveLength(1);
      expect(answers.filter(isReplay)).toHaveLength(19);
      expect(new Set(answers.map(bytes)).size).toBe(1);
      expect(await countNewRows(scene.sql, before)).toEqual(onePayment);
    });

    it.each(['POST, then PUT', 'PUT, then POST'])('%s of another request: a collision', async order => {
      const key = randomUUID();
      const [first, second] = order.startsWith('POST') ? [post, putPayment] : [putPayment, post];
      await first(key);
      const before = await countRows(scene.sql);
      const refused = await second(key, { amount: 101, reference: 'x' });
      expect(codeOf(refused)).toBe('409 collision_detected');
      expect(refused.json?.differs_in).toEqual(['amount', 'reference']);
      expect(await countNewRows(scene.sql, before)).toEqual(nothing);
    });

    it('also between a payment and a refund: one key, one operation', async () => {
      const paid = await post(randomUUID());
      const key = randomUUID();
      await putRefund(key, paid.json?.id, 1);
      const refused = await putPayment(key);
      expect(codeOf(refused)).toBe('409 collision_detected');
      expect(refused.json?.differs_in).toEqual(['operation']);
    });

    it('whatever makes no difference there makes none here', async () => {
      const key = randomUUID();
      await post(key);
      const spelledOut = `{"params": {"currency":"GBP", "client_timestamp":"now", "rail":"ledger", "from":"alice",
        "reference":null, "amount":1.00e2, "to":"sam"}, "operation": "payment"}`;
      expect(isReplay(await put(key, spelledOut))).toBe(true);
    });

    it('only the key in the path counts: a header beside it is not looked at', async () => {
      const [key, another] = [randomUUID(), randomUUID()];
      const answer = await putPayment(key, {}, { 'idempotency-key': another });
      expect([isFirstAnswer(answer), answer.headers.get('idempotency-key')]).toEqual([true, key]);
      expect(isFirstAnswer(await post(another))).toBe(true);
    });

    it('another customer’s key is never seen: its payment is a second one, and nothing shows of the first', async () => {
      const key = randomUUID();
      const first = await putPayment(key, { reference: 'alice only' });
      const other = await putPayment(key, { amount: 7 }, {}, bob);
      expect([other.status, isFirstAnswer(other)]).toEqual([200, true]);
      expect(other.text).not.toContain('alice');
      expect(stored(other).body).not.toBe(stored(first).body);
    });

    it('a cancelled key stays closed to it', async () => {
      const key = randomUUID();
      await scene.cancel(api, key);
      expect(codeOf(await putPayment(key))).toBe('409 operation_cancelled');
    });

    it('a reaped key is answered from what the payment remembers', async () => {
      const key = randomUUID();
      const first = await putPayment(key, { reference: 'long ago' });
      await scene.sql('DELETE FROM idempotency_keys WHERE key = $1', [key]);
      const before = await countRows(scene.sql);
      const late = await putPayment(key, { reference: 'long ago' });
      expect([late.status, isReplay(late), stored(late)]).toEqual([200, true, stored(first)]);
      expect(late.json).toMatchObject({ key, state: 'completed', request: first.json?.request as object });
      expect(codeOf(await putPayment(key))).toBe('409 collision_detected');
      expect(await countNewRows(scene.sql, before)).toEqual(nothing);
    });
  });

  describe('and what is wrong with it is told', () => {
    it.each([
      ['amount', { amount: '100' }, 'a whole number'],
      ['amount', { amount: 0 }, 'not be less than 1'],
      ['to', { to: undefined }, 'the id of an account'],
      ['to', { to: 'x'.repeat(65) }, '1 to 64 characters'],
      ['currency', { currency: 'gbp' }, 'ISO 4217'],
      ['reference', { reference: 'x'.repeat(141) }, '0 to 140 characters'],
      ['rail', { rail: 'pigeon' }, '"ledger" or "bank"'],
      ['tip', { tip: 5 }, 'unknown'],
      ['constructor', { constructor: 5 }, 'unknown'],
      ['prototype', { prototype: 5 }, 'unknown'],
      ['fee', { fee: { a: 1 } }, 'unknown'],
    ])('as a member of params: params.%s', async (name, wrong, limit) => {
      const { status, json } = await putPayment(randomUUID(), wrong);
      expect([status, json?.code]).toEqual([400, 'invalid_request']);
      const errors = json?.errors as { field: string; message: string }[];
      expect(errors.map(({ field }) => field)).toEqual([`params.${name}`]);
      expect(json?.detail).toContain(`params.${name}: `);
      expect(json?.detail).toContain(limit);
    });

    it('also where only the books know: which of several accounts pays, or that there is no bank', async () => {
      const twofold = await scene.database.addCustomer({ name: 'twofold', balance: 1_000 });
      await scene.sql("INSERT INTO accounts (id, customer_id, currency) VALUES ('second', $1, 'GBP')", [
        twofold.id,
      ]);
      const which = await putPayment(randomUUID(), {}, {}, twofold);
      expect([which.status, which.json?.errors]).toMatchObject([400, [{ field: 'params.from' }]]);
      const bankless = await scene.boot({ BANK_URL: '', BANK_API_KEY: '' });
      const rail = await call(`${bankless.url}/operations/${randomUUID()}`, {
        method: 'PUT',
        apiKey: scene.alice.apiKey,
        body: { operation: 'payment', params: { ...params, rail: 'bank' } },
      });
      expect([rail.status, rail.json?.errors]).toMatchObject([400, [{ field: 'params.rail' }]]);
    });

    it.each([
      ['operation', { operation: 'transfer', params }],
      ['operation', { params }],
      ['params', { operation: 'payment' }],
      ['params', { operation: 'payment', params: [params] }],
      ['params', { operation: 'payment', params: 'x' }],
      ['params.payment_id', { operation: 'refund', params: { payment_id: '1', amount: 1 } }],
      ['params.amount', { operation: 'refund', params: { payment_id: randomUUID(), amount: 0.5 } }],
      ['key', { operation: 'payment', params, key: 'x' }],
    ])('or of the body: %s', async (field, body) => {
      const { status, json } = await put(randomUUID(), body);
      expect([status, json?.code]).toEqual([400, 'invalid_request']);
      expect((json?.errors as { field: string }[]).map(error => error.field)).toContain(field);
    });

    it.each([
      ['a blank', 'a%20b'],
      ['a comma', 'a,b'],
      ['a comma, encoded', 'a%2Cb'],
      ['a tab', 'a%09'],
      ['a letter with an accent', '%C3%A9'],
      ['256 characters', 'k'.repeat(256)],
    ])('a key in the path with %s is no key, whatever the body', async (_, path) => {
      for (const body of [{ operation: 'payment', params }, '{']) {
        const refused = await put(path, body);
        expect(codeOf(refused)).toBe('400 idempotency_key_invalid');
        expect(refused.json?.detail).toMatch(/255|visible ASCII/);
      }
    });

    it('and the key is as it was: a corrected request is carried out', async () => {
      const key = randomUUID();
      const before = await countRows(scene.sql);
      for (const wrong of [{ amount: -1 }, { to: 'nobody' }, { amount: 100_000_001 }, { currency: 'JPY' }]) {
        expect((await putPayment(key, wrong)).status).toBeGreaterThanOrEqual(400);
      }
      expect(await countNewRows(scene.sql, before)).toEqual(nothing);
      expect(isFirstAnswer(await putPayment(key))).toBe(true);
    });
  });

  describe('and looked at', () => {
    it('repeats are counted, and the last one has its time', async () => {
      const key = randomUUID();
      await post(key);
      const first = await scene.operation(api, key);
      expect(first.json).toMatchObject({ duplicates: 0, last_seen_at: first.json?.first_seen_at });
      await post(key);
      await post(key, { amount: 2 });
      await putPayment(key);
      const later = await scene.operation(api, key);
      expect(later.json).toMatchObject({ duplicates: 3, first_seen_at: first.json?.first_seen_at });
      expect(String(later.json?.last_seen_at) > String(first.json?.last_seen_at)).toBe(true);
      // To look is no repeat.
      expect((await scene.operation(api, key)).json).toEqual(later.json);
    });

    it('it tells when the stored answer may go: three days after the end', async () => {
      const key = randomUUID();
      const paid = await post(key);
      const { json } = await scene.operation(api, key);
      expect(json?.expires_at).toBe(paid.headers.get('idempotency-expires'));
      const kept = Date.parse(String(json?.expires_at)) - Date.parse(String(paid.json?.completed_at));
      expect(kept).toBe(72 * 60 * 60 * 1_000);
    });

    it('while it runs, it tells the recovery point and when to ask again; nothing is stored yet', async () => {
      const key = randomUUID();
      const barrier = await scene.barrier('before');
      await scene.pay(api, key, {}, { prefer: 'respond-async' });
      await barrier.reached();
      const { json } = await scene.operation(api, key);
      expect(json).toMatchObject({ state: 'in_progress', recovery_point: 'funds_reserved', response: null });
      expect(json?.retry_after).toBeGreaterThanOrEqual(1);
      expect(json?.retry_after).toBeLessThanOrEqual(30);
      await barrier.release();
    });

    it('parked, it says so, and no time to come back: nobody can say', async () => {
      const key = randomUUID();
      await scene.fault({ kind: 'wrong_amount', times: 0 });
      await scene.pay(api, key, {}, { prefer: 'respond-async' });
      await scene.untilRow(key, row => row.parked_because !== null);
      const { json, text } = await scene.operation(api, key);
      expect(json).toMatchObject({ state: 'parked', retry_after: null, response: null });
      // Why is for whoever operates this.
      expect(Object.keys(json ?? {})).not.toContain('parked_because');
      expect(text).not.toMatch(/contradict/i);
      const repeat = await scene.pay(api, key);
      expect([codeOf(repeat), repeat.headers.get('retry-after')]).toEqual(['409 in_progress', '30']);
    });

    it('cancelled, it never expires, and has asked for nothing if it never came', async () => {
      const key = randomUUID();
      expect((await scene.cancel(api, key)).status).toBe(200);
      const { status, json } = await scene.operation(api, key);
      expect(status).toBe(200);
      expect(json).toMatchObject({
        state: 'cancelled',
        recovery_point: 'cancelled',
        operation: null,
        expires_at: null,
        retry_after: null,
        request: null,
        response: null,
      });
    });

    it('reaped, it shows what is remembered; never used, or somebody else’s, it is not found', async () => {
      const key = randomUUID();
      const paid = await post(key);
      await scene.sql('DELETE FROM idempotency_keys WHERE key = $1', [key]);
      const { status, json } = await scene.operation(api, key);
      expect(status).toBe(200);
      expect(json).toEqual({
        key,
        object: 'operation',
        operation: 'payment',
        state: 'completed',
        recovery_point: 'finished',
        attempts: null,
        duplicates: null,
        first_seen_at: null,
        last_seen_at: null,
        expires_at: paid.headers.get('idempotency-expires'),
        retry_after: null,
        request: { ...params, from: 'alice', rail: 'ledger', reference: null },
        response: { status: 200, body: paid.text },
      });
      expect(codeOf(await scene.operation(api, key, bob))).toBe('404 not_found');
      expect(codeOf(await scene.operation(api, randomUUID()))).toBe('404 not_found');
    });
  });

  it('only by whoever may pay: to look, reading is enough', async () => {
    const key = randomUUID();
    await post(key);
    const reader = await scene.database.addCustomer({ name: 'reader', scopes: ['read'] });
    expect(codeOf(await putPayment(key, {}, {}, reader))).toBe('403 forbidden');
    expect(codeOf(await scene.operation(api, key, reader))).toBe('404 not_found');
    expect(codeOf(await call(`${api.url}/operations/${key}`, { method: 'PUT', body: {} }))).toBe(
      '401 unauthenticated',
    );
  });

  it('every character that a key may have may be in the path, encoded or not', async () => {
    const key = '!#$%&\'()*+-./:;<=>?@[]^_`{|}~"\\';
    const paid = await call(`${api.url}/payments`, {
      apiKey: scene.alice.apiKey,
      headers: { 'idempotency-key': `"${key.replace(/["\\]/g, '\\$&')}"` },
      body: params,
    });
    const body = JSON.stringify({ operation: 'payment', params });
    const path = Buffer.from(key).toString('hex').replace(/../g, '%$&');
    // Not with fetch, which takes dots for steps up.
    const lines = [
      `PUT /operations/${path} HTTP/1.1`,
      'Host: x',
      `Authorization: Bearer ${scene.alice.apiKey}`,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      'Connection: close',
      '',
      body,
    ];
    const { answers } = await exchange(Number(new URL(api.url).port), lines.join('\r\n'));
    const [answer] = answers;
    expect([answer?.status, answer && headerOf(answer, 'idempotency-key')]).toEqual([200, key]);
    expect(answer && headerOf(answer, 'idempotent-replayed')).toBe('true');
    expect(JSON.parse(answer?.body ?? '')).toMatchObject({ key, response: { body: paid.text } });
  });
});

function stored({ json }: Answer): { status: number; body: string } {
  return json?.response as { status: number; body: string };
}

/** The stored bytes, from a POST or from inside an operation. */
function bytes(answer: Answer): string {
  return answer.json?.object === 'operation' ? stored(answer).body : answer.text;
}
