import { PaySam } from '../src/client.js';

const paySam = { to: 'sam', amount: 1, currency: 'GBP' };

/** A server that answers when it is told to, oldest request first. */
class Counter {
  readonly arrived: string[] = [];
  underWayMax = 0;
  private readonly open: (() => void)[] = [];

  readonly fetch: typeof fetch = (_, init) => {
    const key = new Headers(init?.headers).get('idempotency-key')?.replaceAll('"', '') ?? '';
    this.arrived.push(key);
    const body = JSON.stringify({ object: 'payment', status: 'succeeded', idempotency_key: key });
    return new Promise(resolve => {
      this.open.push(() => {
        resolve(new Response(body, { headers: { 'content-type': 'application/json' } }));
      });
      this.underWayMax = Math.max(this.underWayMax, this.open.length);
    });
  };

  answerOne(): void {
    this.open.shift()?.();
  }
}

/** Until whatever can go on without the server has gone on. */
const settled = () => new Promise(resolve => setTimeout(resolve, 5));

describe('a thousand calls at once', () => {
  let server: Counter;
  const client = (atOnceMax: number) =>
    new PaySam({ apiKey: 'sk_test', baseUrl: 'http://127.0.0.1:9', fetch: server.fetch, atOnceMax });
  beforeEach(() => {
    server = new Counter();
  });

  it('are sent a few at a time, first come first served, and all of them are answered', async () => {
    const one = client(3);
    const keys = Array.from({ length: 1_000 }, (_, index) => `order-${index}`);
    const paid = keys.map(idempotencyKey => one.payments.create(paySam, { idempotencyKey }));
    while (server.arrived.length < keys.length) {
      await Promise.resolve();
      server.answerOne();
    }
    for (let left = 0; left < 3; left += 1) server.answerOne();
    const results = await Promise.all(paid);
    expect(server.underWayMax).toBe(3);
    expect(server.arrived).toEqual(keys);
    expect(results.map(({ idempotencyKey }) => idempotencyKey)).toEqual(keys);
  });

  it('do not wait for a turn beyond their deadline: nothing was sent, and nobody waits longer for it', async () => {
    const one = client(1);
    const first = one.payments.create(paySam, { idempotencyKey: 'first' });
    await settled();
    const late = one.payments.create(paySam, { idempotencyKey: 'late', deadlineMs: 20 });
    await expect(late).rejects.toMatchObject({ name: 'NotSent', why: 'deadline', attempts: 0 });
    const third = one.payments.create(paySam, { idempotencyKey: 'third' });
    server.answerOne();
    await first;
    await settled();
    server.answerOne();
    await third;
    expect(server.arrived).toEqual(['first', 'third']);
  });

  it('leave the queue when their caller gives up, without taking a turn along', async () => {
    const one = client(1);
    const caller = new AbortController();
    const first = one.payments.create(paySam, { idempotencyKey: 'first' });
    await settled();
    const given = one.payments.create(paySam, { idempotencyKey: 'given-up', signal: caller.signal });
    const third = one.payments.create(paySam, { idempotencyKey: 'third' });
    await settled();
    caller.abort();
    await expect(given).rejects.toMatchObject({ name: 'NotSent', why: 'aborted', attempts: 0 });
    server.answerOne();
    await first;
    await settled();
    server.answerOne();
    await third;
    expect(server.arrived).toEqual(['first', 'third']);
  });

  it.each([0, 1.5, Number.NaN])('cannot be told to be sent %s at a time', atOnceMax => {
    expect(() => client(atOnceMax)).toThrow(TypeError);
  });
});
