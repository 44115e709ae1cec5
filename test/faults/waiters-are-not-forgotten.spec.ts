import { setTimeout as sleep } from 'node:timers/promises';
import { Rail } from '../crashes/rail.js';
import type { ApiProcess } from '../support/api-process.js';
import { call, together, type Answer } from '../support/http.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';

/** Long enough for waiters to gather on a busy machine while the holder stands still. */
const leaseMs = 2_500;

const places = [
  ['before it asks the bank (K2p)', 'call_begins@funds_reserved'],
  ['with the bank’s yes in memory (K5p)', 'call_ended@funds_reserved'],
  ['in the transaction that records it (K6)', 'outcomes_recorded@funds_reserved'],
  ['with the news that it has settled in memory (K5q)', 'call_ended@transfer_sent'],
] as const;

/** They wait for an answer that their instance has to fetch from the rows, since its holder is elsewhere. */
describe('waiters are not forgotten', () => {
  let rail: Rail;
  let api: ApiProcess;

  beforeAll(async () => {
    rail = await Rail.open({ LEASE_MS: String(leaseMs), IN_FLIGHT_PER_CUSTOMER_MAX: '12' });
    api = await rail.startApi();
  });

  afterAll(() => rail.close());

  const order = { to: 'sam', amount: 100, currency: 'GBP', rail: 'bank' };

  /** As rail.pay, by a caller who says how long it would wait. */
  const wait = async (key: string, seconds: number): Promise<Answer & { ms: number }> => {
    const began = performance.now();
    const headers = { prefer: `wait=${seconds}` };
    const answer = await call(`${api.url}/payments`, {
      apiKey: rail.alice.apiKey,
      key,
      body: order,
      headers,
    });
    return { ...answer, ms: performance.now() - began };
  };

  /** The same by one who hangs up. */
  const waitUntil = (key: string, signal: AbortSignal) =>
    fetch(`${api.url}/payments`, {
      method: 'POST',
      headers: {
        prefer: 'wait=5',
        authorization: `Bearer ${rail.alice.apiKey}`,
        'idempotency-key': key,
        'content-type': 'application/json',
      },
      body: JSON.stringify(order),
      signal,
    }).then(
      ({ status }) => status,
      () => 'left',
    );

  it.each(places)(
    'F114: their holder dies %s: one of them goes on, and all are told the same in time',
    async (_, faultPoint) => {
      const key = faultPoint.replace('@', '-');
      const holder = await rail.startApi({ faultPoint, faultSignal: 'SIGSTOP' });
      const first = rail.pay(holder, key);
      first.catch(() => undefined);
      await holder.faultPointReached();
      const patient = together(8, () => wait(key, 20));
      const hasty = wait(key, 1);
      await sleep(200);
      await holder.kill();
      await expect(first).rejects.toThrow('fetch failed');

      const answers = await patient;
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      expect([answers.filter(isFirstAnswer).length, answers.filter(isReplay).length]).toEqual([1, 7]);
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      // Its wait was shorter than the lease; on a machine that is very busy it may have been the one who went on.
      const { status, headers, json, ms } = await hasty;
      if (status !== 200) {
        expect([status, json?.code]).toEqual([409, 'in_progress']);
        expect(headers.get('retry-after')).toMatch(/^[1-3]$/);
      }
      expect(ms).toBeLessThan(10_000);
      const { epoch, payment_id: id } = await rail.row(key);
      expect([epoch, (await rail.charges()).get(id)]).toEqual([2, 1]);
      expect(await rail.quietViolations()).toEqual([]);
    },
    60_000,
  );

  it('F114: only so many wait, and those that have left make room, when their wait is over at the latest', async () => {
    const barrier = await rail.barrier('before');
    const holder = await rail.startApi();
    const first = rail.pay(holder, 'crowd');
    await barrier.holds(1);
    const leaving = new AbortController();
    const waiting = together(12, () => waitUntil('crowd', leaving.signal));
    await untilRefused('crowd');
    leaving.abort();
    expect(await waiting).toEqual(Array(12).fill('left'));

    await barrier.release();
    expect((await first).status).toBe(200);
    const until = performance.now() + 15_000;
    let answer = await rail.pay(api, 'after-them', { rail: 'ledger' });
    while (answer.status === 429 && performance.now() < until) {
      await sleep(100);
      answer = await rail.pay(api, 'after-them', { rail: 'ledger' });
    }
    expect(isFirstAnswer(answer)).toBe(true);
    await rail.untilAllHaveEnded();
    expect(await rail.quietViolations()).toEqual([]);
  }, 60_000);

  /** All places are taken: whoever comes now is told so, at once. */
  async function untilRefused(key: string): Promise<void> {
    for (let looks = 0; looks < 100; looks += 1) {
      const answer = await rail.pay(api, key);
      if (answer.status === 429) {
        expect(answer.headers.get('retry-after')).toBe('1');
        return;
      }
      await sleep(50);
    }
    throw new Error('there was always room for one more');
  }
});
