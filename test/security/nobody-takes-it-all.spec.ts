import { connect as connectTo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { orderToSam, patient, setUpBankScene } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import { type Customer } from '../support/database.js';
import { call, together, type Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { PostgresProxy } from '../support/postgres-proxy.js';

const ledger = { rail: 'ledger' };

function expectRateLimited(answer: Answer, seconds: string): void {
  expect([answer.status, answer.json?.['code']]).toEqual([429, 'rate_limited']);
  expect(answer.headers.get('retry-after')).toBe(seconds);
  expect(answer.headers.get('should-retry')).toBe('true');
  expect(answer.headers.get('idempotency-status')).toBeNull();
}

describe('nobody takes it all', () => {
  const scene = setUpBankScene();
  let bob: Customer;

  beforeAll(async () => {
    bob = await scene.database.addCustomer({ name: 'bob', balance: 100_000 });
  });
  afterEach(() => scene.stopApis());

  const list = (api: Api, { apiKey }: Customer, headers: Record<string, string> = {}) =>
    call(`${api.url}/payments?limit=1`, { apiKey, headers });

  describe('requests a second (S30, B124)', () => {
    const max = 10;

    /** Sends until it is refused; windows begin anew, so some more than `max` may pass. */
    async function useUp(api: Api, customer: Customer, headers?: Record<string, string>): Promise<Answer[]> {
      const answers = await together(3 * max, () => list(api, customer, headers));
      expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(2 * max);
      const refused = answers.filter(({ status }) => status !== 200);
      expect(refused.length).toBeGreaterThanOrEqual(max);
      return refused;
    }

    it('are bounded for each customer: 429, which says when to come back, and what is left', async () => {
      const api = await scene.boot({ REQUESTS_PER_SECOND_MAX: String(max) });
      const first = await list(api, scene.alice);
      expect(first.headers.get('ratelimit-limit')).toBe(String(max));
      expect(first.headers.get('ratelimit-remaining')).toBe(String(max - 1));
      expect(first.headers.get('ratelimit-reset')).toBe('1');
      for (const refused of await useUp(api, scene.alice)) {
        expectRateLimited(refused, '1');
        expect(refused.headers.get('ratelimit-remaining')).toBe('0');
        expect(refused.json?.['detail']).toContain(String(max));
      }
    });

    it('touch no key when refused: no row, no replay, and the same key pays a second later', async () => {
      const api = await scene.boot({ REQUESTS_PER_SECOND_MAX: String(max) });
      const before = await countRows(scene.sql);
      const answers = await together(3 * max, index => scene.pay(api, `burst-${index}`, ledger));
      const paid = answers.filter(({ status }) => status === 200).length;
      const refused = answers.flatMap(({ status }, index) => (status === 429 ? [index] : []));
      expect(paid + refused.length).toBe(3 * max);
      expect(await countNewRows(scene.sql, before)).toEqual({ keys: paid, payments: paid, transfers: paid });

      await sleep(1_100);
      const [again] = refused;
      const answer = await scene.pay(api, `burst-${again}`, ledger);
      expect([answer.status, answer.headers.get('idempotency-status')]).toEqual([200, 'completed']);
    });

    it('are counted by customer: another address is the same customer, and other customers are not', async () => {
      const api = await scene.boot({ REQUESTS_PER_SECOND_MAX: String(max) });
      await useUp(api, scene.alice);
      const disguises = ['10.0.0.1', '::1', '127.0.0.1, 10.0.0.2'].flatMap(address => [
        { 'x-forwarded-for': address },
        { forwarded: `for="${address}"`, 'x-real-ip': address },
      ]);
      const disguised = await together(3 * max, index =>
        list(api, scene.alice, disguises[index % disguises.length]),
      );
      const others = await together(max - 1, () => list(api, bob));
      expect(disguised.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(2 * max);
      expect(others.map(({ status }) => status)).toEqual(others.map(() => 200));
    });

    it('are not used up for a customer by somebody who does not have its API key', async () => {
      const api = await scene.boot({ REQUESTS_PER_SECOND_MAX: String(max) });
      const nobody = { ...scene.alice, apiKey: `${scene.alice.apiKey}x` };
      const refused = await together(3 * max, () => list(api, nobody));
      expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([401]));
      expect((await list(api, scene.alice)).headers.get('ratelimit-remaining')).toBe(String(max - 1));
    });
  });

  describe('requests at once (S31)', () => {
    const max = 3;

    it('are bounded for each customer, and free again when they are answered', async () => {
      const api = await scene.boot({ ...patient, IN_FLIGHT_PER_CUSTOMER_MAX: String(max) });
      const barrier = await scene.barrier('before', { times: 0 });
      const held = together(max, index => scene.pay(api, `held-${index}`));
      await barrier.holds(max);

      const before = await countRows(scene.sql);
      expectRateLimited(await scene.pay(api, 'one-more'), '1');
      expectRateLimited(await list(api, scene.alice), '1');
      expect(await countRows(scene.sql)).toEqual(before);
      expect((await scene.pay(api, 'of-bob', ledger, { payer: bob })).status).toBe(200);

      await barrier.release();
      expect((await held).map(({ status }) => status)).toEqual([200, 200, 200]);
      expect((await scene.pay(api, 'one-more')).headers.get('idempotency-status')).toBe('completed');
    });

    /** Sends it `times` times, on a connection each, or on one; and hangs up without having read anything. */
    async function hangUp(api: Api, { times, pipelined }: { times: number; pipelined: boolean }) {
      const { port } = new URL(api.url);
      const request = `GET /payments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${scene.alice.apiKey}\r\n\r\n`;
      const bytes = pipelined ? [request.repeat(times)] : Array.from({ length: times }, () => request);
      const sockets = bytes.map(each => {
        const socket = connectTo(Number(port), '127.0.0.1', () => socket.write(each));
        return socket;
      });
      await sleep(100);
      for (const socket of sockets) socket.destroy();
      await sleep(100);
    }

    it.each([
      ['each on its own connection', false],
      ['one behind the other', true],
    ])('are free again when callers hang up while they are being looked up, %s', async (_, pipelined) => {
      const proxy = await PostgresProxy.start(scene.database.url);
      const api = await scene.boot({
        DATABASE_URL: proxy.url,
        IN_FLIGHT_PER_CUSTOMER_MAX: String(max),
        WORKERS: 'elsewhere',
      });
      expect((await list(api, scene.alice)).status).toBe(200);
      proxy.goSilent();
      await hangUp(api, { times: 2 * max, pipelined });
      await proxy.heal();
      await sleep(300);
      expect((await list(api, scene.alice)).status).toBe(200);
      await scene.stopApis();
      proxy.stop();
    });
  });

  it('payments through the bank that have not ended are bounded: 429, no row; ledger and others go on (S30)', async () => {
    const api = await scene.boot({ ...patient, UNFINISHED_PER_CUSTOMER_MAX: '2' });
    const barrier = await scene.barrier('before', { times: 0 });
    const held = together(2, index => scene.pay(api, `long-${index}`));
    await barrier.holds(2);
    const before = await countRows(scene.sql);
    expectRateLimited(await scene.pay(api, 'third'), '30');
    expectRateLimited(
      await call(`${api.url}/operations/third`, {
        method: 'PUT',
        apiKey: scene.alice.apiKey,
        body: { operation: 'payment', params: orderToSam },
      }),
      '30',
    );
    expect(await countRows(scene.sql)).toEqual(before);
    expect((await scene.pay(api, 'third', ledger)).status).toBe(200);
    await barrier.release();
    expect((await held).map(({ status }) => status)).toEqual([200, 200]);
    expect((await scene.pay(api, 'fourth')).status).toBe(200);
  });

  it('keys closed without ever having been used are bounded, since they are kept for ever (S30)', async () => {
    const api = await scene.boot({ CLOSED_KEYS_PER_CUSTOMER_MAX: '2' });
    for (const key of ['unused-1', 'unused-2']) expect((await scene.cancel(api, key)).status).toBe(200);
    const before = await countRows(scene.sql);
    const refused = await scene.cancel(api, 'unused-3');
    expect([refused.status, refused.json?.['code']]).toEqual([429, 'rate_limited']);
    expect(await countRows(scene.sql)).toEqual(before);
    // What is closed already, what was used, and what is somebody else's is none of its business.
    expect((await scene.cancel(api, 'unused-1')).status).toBe(200);
    expect((await scene.pay(api, 'unused-3', ledger)).status).toBe(200);
    expect((await scene.cancel(api, 'unused-1', bob)).status).toBe(200);
  });

  it('a process that cannot keep up turns newcomers away, and no key is touched (S31)', async () => {
    const api = await scene.boot({ EVENT_LOOP_DELAY_MAX_MS: '50', WORKERS: 'elsewhere' });
    const cell = new Int32Array(new SharedArrayBuffer(4));
    const before = await countRows(scene.sql);
    // The thread sleeps, and with it everything that runs on it: nothing is computed, and nothing answered.
    const late = setInterval(() => Atomics.wait(cell, 0, 0, 150), 1);
    let refused: Answer | undefined;
    for (let tries = 0; tries < 20 && refused?.status !== 503; tries += 1) {
      refused = await list(api, scene.alice);
    }
    const payment = await scene.pay(api, 'while-late', ledger);
    const ready = await call(`${api.url}/health/ready`);
    const live = await call(`${api.url}/health/live`);
    const metrics = await call(`${api.url}/metrics`);
    clearInterval(late);
    expect([refused?.status, refused?.json?.['code']]).toEqual([503, 'overloaded']);
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect(refused?.headers.get('should-retry')).toBe('true');
    expect([payment.status, payment.json?.['code']]).toEqual([503, 'overloaded']);
    expect(await countRows(scene.sql)).toEqual(before);
    // Whoever sends it callers sends them elsewhere (F14).
    expect([ready.status, ready.json?.['code']]).toEqual([503, 'overloaded']);
    // Whoever would restart it, or look at its figures, is answered.
    expect([live.status, metrics.status]).toEqual([200, 200]);

    let answer = await list(api, scene.alice);
    for (let tries = 0; tries < 50 && answer.status !== 200; tries += 1) {
      await sleep(100);
      answer = await list(api, scene.alice);
    }
    expect(answer.status).toBe(200);
    expect((await call(`${api.url}/health/ready`)).status).toBe(200);
    expect((await scene.pay(api, 'while-late', ledger)).status).toBe(200);
  });
});
