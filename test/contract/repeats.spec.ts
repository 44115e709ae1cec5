import { createHash, randomUUID } from 'node:crypto';
import { orderToSam, patient, setUpBankScene } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import { call, type Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';

const order = { to: 'sam', amount: 100, currency: 'GBP' };
const bad = { apiKey: 'sk_nobody', key: 'a,b', body: { ...order, amount: -1 } };

/** Whatever an answer may say about its key, or about trying again. */
const telling = [
  'idempotency-key',
  'idempotency-status',
  'idempotency-expires',
  'idempotent-replayed',
  'idempotency-original-date',
  'should-retry',
  'retry-after',
  'preference-applied',
  'location',
];

describe('what a repeat gets', () => {
  const scene = setUpBankScene();
  let api: Api;
  /** Of alice, as her own; it may not pay. */
  let readOnly: string;
  const keys = { finished: '', declined: '', running: '', cancelled: '', refunded: '' };

  beforeAll(async () => {
    api = await scene.boot(patient);
    readOnly = `sk_test_${randomUUID()}`;
    await scene.sql("INSERT INTO api_keys (hash, customer_id, scopes) VALUES ($1, $2, ARRAY['read'])", [
      createHash('sha256').update(readOnly).digest(),
      scene.alice.id,
    ]);
  });
  beforeEach(async () => {
    for (const name of Object.keys(keys) as (keyof typeof keys)[]) keys[name] = `${name}-${randomUUID()}`;
    await send({ key: keys.finished });
    await send({ key: keys.declined, body: { ...order, amount: 99_000_000 } });
    await call(`${api.url}/operations/${keys.cancelled}/cancel`, {
      method: 'POST',
      apiKey: scene.alice.apiKey,
    });
  });

  interface Sent {
    apiKey?: string;
    key?: string;
    body?: object;
    prefer?: string;
    at?: Api;
  }
  const send = ({ apiKey = scene.alice.apiKey, key = randomUUID(), body = order, prefer, at = api }: Sent) =>
    call(`${at.url}/payments`, {
      apiKey,
      body,
      headers: { 'idempotency-key': key, ...(prefer !== undefined && { prefer }) },
    });
  const put = ({ apiKey = scene.alice.apiKey, key = randomUUID(), body = order, at = api }: Sent) =>
    call(`${at.url}/operations/${encodeURIComponent(key)}`, {
      method: 'PUT',
      apiKey,
      body: { operation: 'payment', params: body },
    });
  /** A payment held inside the bank until `release`. */
  const run = async () => {
    const barrier = await scene.barrier('before');
    await send({ key: keys.running, body: orderToSam, prefer: 'respond-async' });
    await barrier.reached();
    return barrier;
  };
  const codeOf = ({ status, json }: Answer) => `${status} ${String(json?.code)}`;
  const toldBy = ({ headers }: Answer) => telling.filter(name => headers.has(name)).sort();

  describe.each(['POST', 'PUT'])('%s: of two mistakes, or two things to tell, the first is told', method => {
    const ask = (sent: Sent) => (method === 'POST' ? send(sent) : put(sent)).then(codeOf);
    const different = { ...order, amount: 101 };

    it('authentication before everything else', async () => {
      const { apiKey } = bad;
      for (const sent of [
        { key: bad.key },
        { body: bad.body },
        { key: keys.cancelled },
        { key: keys.finished, body: different },
        { key: keys.finished },
      ]) {
        expect(await ask({ ...sent, apiKey })).toBe('401 unauthenticated');
      }
    });

    it('then authorisation', async () => {
      for (const sent of [
        { key: bad.key },
        { body: bad.body },
        { key: keys.cancelled },
        { key: keys.finished, body: different },
        { key: keys.finished },
      ]) {
        expect(await ask({ ...sent, apiKey: readOnly })).toBe('403 forbidden');
      }
    });

    it('then the key, before the body', async () => {
      expect(await ask({ key: bad.key, body: bad.body })).toBe('400 idempotency_key_invalid');
    });

    it('then the body, before what is stored', async () => {
      for (const key of [keys.cancelled, keys.finished, keys.declined]) {
        expect(await ask({ key, body: bad.body })).toBe('400 invalid_request');
      }
    });

    it('then that it was cancelled, whatever is asked for', async () => {
      expect(await ask({ key: keys.cancelled, body: order })).toBe('409 operation_cancelled');
      expect(await ask({ key: keys.cancelled, body: different })).toBe('409 operation_cancelled');
    });

    it('also where the books would refuse it: nobody has to own an account in yen to hear that', async () => {
      const yen = { ...order, currency: 'JPY' };
      expect(await ask({ body: yen })).toBe('422 currency_mismatch');
      expect(await ask({ key: keys.cancelled, body: yen })).toBe('409 operation_cancelled');
      expect(await ask({ key: keys.finished, body: yen })).toBe('409 collision_detected');
      const paid = await send({ key: keys.finished });
      await call(`${api.url}/payments/${String(paid.json?.id)}/refunds`, {
        apiKey: scene.alice.apiKey,
        key: keys.refunded,
        body: { amount: 1 },
      });
      expect(await ask({ key: keys.refunded, body: yen })).toBe('409 collision_detected');
      await scene.sql('DELETE FROM idempotency_keys WHERE key = $1', [keys.refunded]);
      expect(await ask({ key: keys.refunded, body: yen })).toBe('409 collision_detected');
    });

    it('then a collision, before in progress and before a replay', async () => {
      const barrier = await run();
      expect(await ask({ key: keys.running, body: different })).toBe('409 collision_detected');
      expect(await ask({ key: keys.running, body: bad.body })).toBe('400 invalid_request');
      expect(await ask({ key: keys.running, body: orderToSam, apiKey: readOnly })).toBe('403 forbidden');
      expect(await ask({ key: keys.running, body: orderToSam })).toBe('409 in_progress');
      await barrier.release();
      expect(await ask({ key: keys.finished, body: different })).toBe('409 collision_detected');
      expect(await ask({ key: keys.declined, body: different })).toBe('409 collision_detected');
    });
  });

  describe('the headers of each outcome', () => {
    const ofStored = ['idempotency-expires', 'idempotency-key', 'idempotency-status'];
    const ofReplay = [...ofStored, 'idempotency-original-date', 'idempotent-replayed'].sort();

    it('the first answer, paid or declined', async () => {
      const key = randomUUID();
      const paid = await send({ key });
      expect([paid.status, toldBy(paid)]).toEqual([200, ofStored]);
      expect(paid.headers.get('idempotency-key')).toBe(key);
      expect(paid.headers.get('idempotency-status')).toBe('completed');
      expect(paid.headers.get('content-type')).toBe('application/json; charset=utf-8');

      const declined = await send({ body: { ...order, amount: 99_000_000 } });
      expect([declined.status, toldBy(declined)]).toEqual([402, [...ofStored, 'should-retry']]);
      expect(declined.headers.get('idempotency-status')).toBe('completed');
      expect(declined.headers.get('should-retry')).toBe('false');
      expect(declined.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    });

    it('a replay, of either', async () => {
      const paid = await send({ key: keys.finished });
      expect([paid.status, toldBy(paid)]).toEqual([200, ofReplay]);
      const declined = await send({ key: keys.declined, body: { ...order, amount: 99_000_000 } });
      expect([declined.status, toldBy(declined)]).toEqual([402, [...ofReplay, 'should-retry'].sort()]);
      for (const [{ headers }, payment] of [
        [paid, paid.json],
        [declined, declined.json?.payment],
      ] as const) {
        expect(headers.get('idempotency-status')).toBe('already_completed');
        expect(headers.get('idempotent-replayed')).toBe('true');
        expect(headers.get('idempotency-original-date')).toBe(
          (payment as { completed_at: string }).completed_at,
        );
      }
    });

    it('a collision', async () => {
      const refused = await send({
        key: keys.finished,
        body: { ...order, to: 'secret-payee', amount: 4711 },
      });
      expect([refused.status, toldBy(refused)]).toEqual([409, [...ofStored, 'should-retry']]);
      expect(refused.headers.get('idempotency-status')).toBe('collision_detected');
      expect(refused.headers.get('should-retry')).toBe('false');
      expect(refused.json?.differs_in).toEqual(['amount', 'to']);
      expect(refused.text).not.toMatch(/4711|secret-payee|"sam"/);
    });

    it('a first call that is still pending, and its repeat', async () => {
      const barrier = await scene.barrier('before');
      const pending = await send({ key: keys.running, body: orderToSam, prefer: 'respond-async' });
      expect([pending.status, toldBy(pending)]).toEqual([
        202,
        [...ofStored, 'location', 'preference-applied', 'retry-after'],
      ]);
      expect(pending.headers.get('idempotency-status')).toBe('in_progress');
      expect(pending.headers.get('location')).toBe(`/operations/${keys.running}`);
      await barrier.reached();

      const repeat = await send({ key: keys.running, body: orderToSam });
      expect([repeat.status, toldBy(repeat)]).toEqual([409, [...ofStored, 'retry-after', 'should-retry']]);
      expect(repeat.headers.get('idempotency-status')).toBe('in_progress');
      expect(repeat.headers.get('should-retry')).toBe('true');
      // What is left of a lease of 15 s.
      const wait = Number(repeat.headers.get('retry-after'));
      expect(wait).toBeGreaterThanOrEqual(10);
      expect(wait).toBeLessThanOrEqual(15);
      await barrier.release();

      const waited = await send({ key: keys.running, body: orderToSam, prefer: 'wait=20' });
      expect([waited.status, toldBy(waited)]).toEqual([200, [...ofReplay, 'preference-applied'].sort()]);
      expect(waited.headers.get('preference-applied')).toBe('wait=20');
    });

    it('a cancelled key', async () => {
      const refused = await send({ key: keys.cancelled });
      expect([refused.status, toldBy(refused)]).toEqual([
        409,
        ['idempotency-key', 'idempotency-status', 'should-retry'],
      ]);
      expect(refused.headers.get('idempotency-status')).toBe('operation_cancelled');
      expect(refused.headers.get('should-retry')).toBe('false');
    });

    it('what is refused says nothing of its key, which is as it was', async () => {
      const key = randomUUID();
      for (const sent of [
        { key, apiKey: bad.apiKey },
        { key, apiKey: readOnly },
        { key, body: bad.body },
        { key, body: { ...order, to: 'nobody' } },
      ]) {
        expect(toldBy(await send(sent))).toEqual(['should-retry']);
      }
      expect((await send({ key })).headers.get('idempotency-status')).toBe('completed');
    });

    it('every answer has a Request-Id of its own, which its replay does not repeat', async () => {
      const ids = [
        await send({ key: keys.finished }),
        await send({ key: keys.finished }),
        await send({ key: keys.cancelled }),
        await put({ key: keys.finished }),
        await send(bad),
      ].map(({ headers }) => headers.get('request-id'));
      expect(new Set(ids).size).toBe(5);
      for (const id of ids) expect(id).toMatch(/^[0-9a-f-]{36}$/);
    });
  });

  describe('with COLLISION_STATUS=422, the profile of the IETF draft', () => {
    let draft: Api;
    beforeAll(async () => {
      draft = await scene.boot({ ...patient, COLLISION_STATUS: '422' });
    });

    it.each(['POST', 'PUT'])('a collision is 422, in the status line and in the body (%s)', async method => {
      const sent = { key: keys.finished, body: { ...order, amount: 101 } };
      const ask = method === 'POST' ? send : put;
      const [as422, as409] = [await ask({ ...sent, at: draft }), await ask(sent)];
      expect([as422.status, as409.status]).toEqual([422, 409]);
      expect(as422.json).toEqual({ ...as409.json, status: 422 });
      expect(as409.json).toMatchObject({ status: 409, code: 'collision_detected' });
      expect(toldBy(as422)).toEqual(toldBy(as409));
      for (const name of ['idempotency-key', 'idempotency-status', 'idempotency-expires', 'should-retry']) {
        expect(as422.headers.get(name)).toBe(as409.headers.get(name));
      }
      expect(as422.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    });

    it('everything else is what it was: replays, in progress, cancelled, already completed, refusals', async () => {
      const barrier = await run();
      for (const [sent, told] of [
        [{ key: keys.finished }, '200 undefined'],
        [{ key: keys.running, body: orderToSam }, '409 in_progress'],
        [{ key: keys.cancelled }, '409 operation_cancelled'],
        [{ body: { ...order, to: 'nobody' } }, '422 unknown_payee'],
      ] as const) {
        expect(codeOf(await send({ ...sent, at: draft }))).toBe(told);
      }
      await barrier.release();
      const cancelled = await call(`${draft.url}/operations/${keys.finished}/cancel`, {
        method: 'POST',
        apiKey: scene.alice.apiKey,
      });
      expect(codeOf(cancelled)).toBe('409 already_completed');
    });

    it('and its page says 422', async () => {
      const page = await call(`${draft.url}/problems/collision_detected`);
      expect(page.text).toContain('HTTP/1.1 422 ');
      expect(page.text).not.toContain('409');
      expect((await call(`${api.url}/problems/collision_detected`)).text).toContain('HTTP/1.1 409 Conflict');
    });
  });

  it('a reaped key, asked for another operation, is a collision', async () => {
    await scene.sql('DELETE FROM idempotency_keys WHERE key = $1', [keys.finished]);
    const before = await countRows(scene.sql);
    const paid = await send({ key: keys.finished });
    expect(paid.headers.get('idempotent-replayed')).toBe('true');
    const refund = await call(`${api.url}/payments/${String(paid.json?.id)}/refunds`, {
      apiKey: scene.alice.apiKey,
      key: keys.finished,
      body: { amount: 1 },
    });
    expect([codeOf(refund), refund.json?.differs_in]).toEqual(['409 collision_detected', ['operation']]);
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 0, payments: 0, transfers: 0 });
  });

  it('cancelling what is finished tells its result, byte for byte', async () => {
    const paid = await send({ key: keys.finished });
    const cancelled = await call(`${api.url}/operations/${keys.finished}/cancel`, {
      method: 'POST',
      apiKey: scene.alice.apiKey,
    });
    expect(codeOf(cancelled)).toBe('409 already_completed');
    expect(cancelled.json?.response).toEqual({ status: 200, body: paid.text });
    expect(cancelled.headers.get('idempotency-status')).toBe('already_completed');
    expect(cancelled.headers.get('should-retry')).toBe('false');
  });
});
