import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../../test/support/api-process.js';
import { setUpScene } from '../../test/support/scene.js';
import { MemoryJournal } from '../src/journal/memory-journal.js';
import { Declined, NotSent, OutcomeUnknown, PaySam, type PaymentParams } from '../src/client.js';
import { FaultyProxy, faults, type Fault } from './support/faulty-proxy.js';
import { seeded } from './support/seeded.js';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));

/** After these the server has paid, and the client does not know. */
const paidUnheard: Fault[] = ['lose_answer', 'cut_answer', 'swallow_answer', 'slow_answer'];

/** After these the server has not heard of it. */
const neverHeard: Fault[] = ['refuse', 'lose_request', 'swallow_request'];

describe(`through a faulty network (seed ${seed})`, () => {
  const scene = setUpScene();
  const proxies: FaultyProxy[] = [];
  const random = seeded(seed);
  let api: ApiProcess;

  beforeAll(async () => {
    api = await scene.start();
  });

  afterEach(async () => {
    while (proxies.some(({ underway }) => underway > 0)) await sleep(50);
    for (const proxy of proxies.splice(0)) proxy.stop();
  });

  /** A client whose nth attempt meets the nth fault; those after them are left alone. */
  async function clientMeeting(
    plan: readonly Fault[],
    { apiKey = scene.alice.apiKey, beforeTheSecond = () => Promise.resolve() } = {},
  ) {
    const proxy = await FaultyProxy.start({ apiPort: api.port, random });
    proxies.push(proxy);
    const left = [...plan];
    const journal = new MemoryJournal();
    const client = new PaySam({
      apiKey,
      baseUrl: proxy.url,
      journal,
      // One more than the faults there are, and one for a late request that is being carried out at that moment.
      attemptsMax: 5,
      // Long enough that a busy machine does not look like another fault.
      attemptTimeoutMs: 1_000,
      backoff: { baseMs: 20 },
      fetch: async (...request) => {
        if (left.length === plan.length - 1) await beforeTheSecond();
        const fault = left.shift();
        proxy.choose = () => fault;
        if (fault === 'refuse') {
          proxy.struck.refuse += 1;
          proxy.refuse();
        } else await proxy.accept();
        return fetch(...request);
      },
    });
    return { client, proxy, journal };
  }

  const payment = (reference: string): PaymentParams => ({
    to: 'sam',
    amount: 1,
    currency: 'GBP',
    reference,
  });

  async function paymentsOf(reference: string): Promise<string[]> {
    const rows = await scene.sql<{ id: string }>('SELECT id FROM payments WHERE reference = $1', [reference]);
    return rows.map(({ id }) => id);
  }

  it(`pays once after any three faults of ${faults.length}, and tells how it went`, async () => {
    const plans = faults.flatMap(one => faults.flatMap(two => faults.map(three => [one, two, three])));
    const struck = Object.fromEntries(faults.map(fault => [fault, 0])) as Record<Fault, number>;
    await inParallel(32, plans, async plan => {
      const reference = plan.join(' ');
      const { client, proxy, journal } = await clientMeeting(plan);
      const result = await client.payments.create(payment(reference));

      const isAhead = plan.some(fault => paidUnheard.includes(fault));
      const isSilent = plan.every(fault => neverHeard.includes(fault));
      const mayComeLate = plan.includes('delay_request');
      expect({ reference, status: result.status, payment: result.data.status }).toEqual({
        reference,
        status: 200,
        payment: 'succeeded',
      });
      if (mayComeLate) expect(result.attempts).toBeGreaterThanOrEqual(4);
      else expect([reference, result.attempts, result.replayed]).toEqual([reference, 4, isAhead]);
      if (isSilent) expect(result.requestIds).toHaveLength(1);
      expect(result.requestIds.at(-1)).toBe(result.headers.get('request-id'));
      expect(result.data.idempotency_key).toBe(result.idempotencyKey);
      expect(await journal.unfinished()).toEqual([]);
      for (const fault of faults) struck[fault] += proxy.struck[fault];
      expect(await paymentsOf(reference)).toEqual([result.data.id]);
    });
    // Each fault three times in 64 of the plans: none was only planned.
    for (const fault of faults) expect([fault, struck[fault]]).toEqual([fault, 3 * faults.length ** 2]);

    // The late ones have arrived by now as well.
    while (proxies.some(({ underway }) => underway > 0)) await sleep(50);
    const [books] = await scene.sql<{ payments: number; references: number }>(
      'SELECT count(*) AS payments, count(DISTINCT reference) AS references FROM payments',
    );
    expect(books).toEqual({ payments: plans.length, references: plans.length });
  }, 120_000);

  it('says that nothing was sent only where nobody ever listened, and then forgets the payment', async () => {
    const { client, journal } = await clientMeeting(Array<Fault>(5).fill('refuse'));
    const failed = await failureOf(client.payments.create(payment('refused throughout')));
    expect(failed).toBeInstanceOf(NotSent);
    expect([failed.attempts, failed.requestIds, failed.headers]).toEqual([5, [], null]);
    expect(await journal.unfinished()).toEqual([]);
    expect(await paymentsOf('refused throughout')).toEqual([]);
  });

  it.each(faults.filter(fault => fault !== 'refuse'))(
    'says that it does not know after nothing but %s, even once; resume() ends it with the same key, and one payment',
    async fault => {
      const reference = `only ${fault}`;
      const { client, journal } = await clientMeeting([fault, 'refuse', 'refuse', 'refuse', 'refuse']);
      const failed = await failureOf(client.payments.create(payment(reference)));
      expect(failed).toBeInstanceOf(OutcomeUnknown);
      expect(failed.attempts).toBe(5);
      expect((await journal.unfinished()).map(({ key }) => key)).toEqual([failed.idempotencyKey]);

      const { resumed } = await client.resume();
      expect(resumed).toHaveLength(1);
      const result = resumed[0]?.result;
      expect(result?.idempotencyKey).toBe(failed.idempotencyKey);
      if (fault !== 'delay_request') expect(result?.replayed).toBe(paidUnheard.includes(fault));
      expect(await journal.unfinished()).toEqual([]);
      expect(await paymentsOf(reference)).toEqual([result?.data.id]);
    },
  );

  it('does not say that nothing was sent where another process has resumed the payment meanwhile', async () => {
    const { client, proxy, journal } = await clientMeeting(Array<Fault>(5).fill('refuse'), {
      beforeTheSecond: async () => {
        const other = new PaySam({ apiKey: scene.alice.apiKey, baseUrl: proxy.url, journal });
        proxy.choose = () => undefined;
        await proxy.accept();
        const { resumed } = await other.resume();
        expect(resumed.map(({ result }) => result?.data.status)).toEqual(['succeeded']);
      },
    });
    const failed = await failureOf(client.payments.create(payment('resumed meanwhile')));
    expect(failed).toBeInstanceOf(OutcomeUnknown);
    expect(await paymentsOf('resumed meanwhile')).toHaveLength(1);
  });

  it('tells of a decline that was lost on the way, and does not ask for it again', async () => {
    const bob = await scene.database.addCustomer({ name: 'bob', balance: 0 });
    const { client, journal } = await clientMeeting(['cut_answer', 'lose_answer'], { apiKey: bob.apiKey });
    const declined = await failureOf(client.payments.create(payment('too much for bob')));
    expect(declined).toBeInstanceOf(Declined);
    expect(declined).toMatchObject({ attempts: 3, replayed: true, code: 'insufficient_funds' });
    expect((declined as Declined).payment).toMatchObject({
      status: 'declined',
      reference: 'too much for bob',
    });
    expect(await journal.unfinished()).toEqual([]);
    expect(await paymentsOf('too much for bob')).toHaveLength(1);
  });

  it('reads questions to the end as well', async () => {
    for (const fault of faults) {
      const { client } = await clientMeeting([fault]);
      const { data, attempts } = await client.accounts.get('alice');
      expect([fault, data.id, attempts]).toEqual([fault, 'alice', 2]);
    }
  });
});

async function failureOf(call: Promise<unknown>): Promise<NotSent | OutcomeUnknown | Declined> {
  try {
    await call;
  } catch (error) {
    return error as NotSent;
  }
  throw new Error('the call was expected to fail');
}

async function inParallel<T>(
  lanes: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
