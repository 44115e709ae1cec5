import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../support/api-process.js';
import { call, together } from '../support/http.js';
import { Rail } from './rail.js';

/** How long the bank is away, and how long everything is watched before. */
const [outageMs, healthyMs] = [3_000, 1_500];

/** A caller gets its 202 much sooner; this only has to be less than the patience that people have. */
const quicklyMs = 5_000;

/** SIGKILL for the other company's process, and a new one on the same books. */
describe('the bank is killed', () => {
  let rail: Rail;
  let apis: ApiProcess[];

  beforeAll(async () => {
    rail = await Rail.open();
    apis = await together(2, () => rail.startApi());
    rail.startWorker(['completer']);
  });

  afterEach(async () => {
    expect(await rail.quietViolations()).toEqual([]);
  });

  afterAll(() => rail.close());

  it('under load (F53): our own books go on, others are told 202, and all of it is paid when the bank is back', async () => {
    const ledger: number[] = [];
    const throughBank: { key: string; beganAt: number; tookMs: number; status: number }[] = [];
    let isOver = false;
    const callers = together(8, async caller => {
      const api = apis[caller % 2] as ApiProcess;
      for (let number = 0; !isOver; number += 1) {
        const key = `load-${caller}-${number}`;
        const beganAt = performance.now();
        const isOurs = caller < 4;
        const { status } = await rail.pay(api, key, { rail: isOurs ? 'ledger' : 'bank', amount: 1 });
        if (isOurs) {
          expect(status).toBe(200);
          ledger.push(performance.now());
        } else throughBank.push({ key, beganAt, tookMs: performance.now() - beganAt, status });
        await sleep(25);
      }
    });
    callers.catch(() => undefined);

    const began = performance.now();
    await sleep(healthyMs);
    const killed = performance.now();
    await rail.bank.kill();
    await sleep(outageMs);
    const isReady = await Promise.all(
      apis.map(async ({ url }) => (await call(`${url}/health/ready`)).status),
    );
    const restarted = performance.now();
    await rail.bank.restart();
    await sleep(500);
    isOver = true;
    await callers;
    await rail.untilAllHaveEnded();
    const drainedMs = Math.round(performance.now() - restarted);

    // Not as many to the last one, on a busy machine; but a bank that is away must not slow down who does not need it.
    const paidBetween = (from: number, to: number) => ledger.filter(at => at >= from && at < to).length;
    const paidBefore = paidBetween(began, killed);
    const paidMeanwhile = paidBetween(killed, restarted);
    expect(paidBefore).toBeGreaterThan(10);
    expect(paidMeanwhile / outageMs).toBeGreaterThan(paidBefore / healthyMs / 3);
    // It is no reason to take an instance out of service either.
    expect(isReady).toEqual([200, 200]);

    const meanwhile = throughBank.filter(({ beganAt }) => beganAt > killed && beganAt < restarted - 1_500);
    expect(meanwhile.length).toBeGreaterThan(10);
    expect(new Set(meanwhile.map(({ status }) => status))).toEqual(new Set([202]));
    expect(Math.max(...meanwhile.map(({ tookMs }) => tookMs))).toBeLessThan(quicklyMs);
    expect(throughBank.some(({ beganAt, status }) => beganAt < killed && status === 200)).toBe(true);

    await expectPaidOnce(throughBank.map(({ key }) => key));
    console.log(
      `The bank away for ${outageMs} ms: ${paidMeanwhile} payments in our own books meanwhile, ${meanwhile.length} ` +
        `for the bank told 202; all of them at their end ${drainedMs} ms after its start.`,
    );
  });

  it('with its answers pending: its books survive, what it had charged is found, and nothing is sent again', async () => {
    const { keys, told } = await killWhileHolding('after');
    // In its books since before it died, and nobody else knows.
    expect(await chargesOf(keys)).toEqual(keys.map(() => 1));
    await rail.untilAllHaveEnded();
    await told;

    await expectPaidOnce(keys);
    const requests = await requestsSinceItsStart(keys);
    expect(requests.every(({ GET }) => GET > 0)).toBe(true);
    expect(requests.map(({ PUT }) => PUT)).toEqual(keys.map(() => 0));
  });

  it('with orders unread: nothing was charged, and each order is sent once more', async () => {
    const { keys, told } = await killWhileHolding('before');
    await rail.untilAllHaveEnded();
    await told;

    await expectPaidOnce(keys);
    expect((await requestsSinceItsStart(keys)).map(({ PUT }) => PUT)).toEqual(keys.map(() => 1));
  });

  /** Kills the bank while it has twenty orders in hand, and starts it again. */
  async function killWhileHolding(moment: 'before' | 'after') {
    const keys = Array.from({ length: 20 }, (_, index) => `held-${moment}-${index}`);
    const barrier = await rail.barrier(moment, { times: keys.length });
    const statuses = Promise.all(
      keys.map(async (key, index) => (await rail.pay(apis[index % 2] as ApiProcess, key)).status),
    );
    await barrier.holds(keys.length);
    await rail.bank.kill();
    // Nobody is told no. Some may learn the end while they wait.
    const told = statuses.then(all => {
      expect(all.filter(status => status !== 202 && status !== 200)).toEqual([]);
    });
    told.catch(() => undefined);
    await sleep(300);
    await rail.bank.restart();
    return { keys, told };
  }

  async function expectPaidOnce(keys: string[]): Promise<void> {
    const answers = await Promise.all(keys.map((key, index) => repeat(key, index)));
    expect(answers.filter(status => status !== 200)).toEqual([]);
    expect(await chargesOf(keys)).toEqual(keys.map(() => 1));
  }

  async function repeat(key: string, index: number): Promise<number> {
    const amount = key.startsWith('load') ? { amount: 1 } : {};
    return (await rail.pay(apis[index % 2] as ApiProcess, key, amount)).status;
  }

  async function chargesOf(keys: string[]): Promise<(number | undefined)[]> {
    const charges = await rail.charges();
    return (await idsOf(keys)).map(id => charges.get(id));
  }

  async function requestsSinceItsStart(keys: string[]) {
    return Promise.all((await idsOf(keys)).map(id => rail.bank.requests(id)));
  }

  async function idsOf(keys: string[]): Promise<string[]> {
    const rows = await rail.sql<{ id: string }>('SELECT id FROM payments WHERE idempotency_key = ANY ($1)', [
      keys,
    ]);
    expect(rows).toHaveLength(keys.length);
    return rows.map(({ id }) => id);
  }
});
