import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from '../support/api.js';
import { call, type Answer } from '../support/http.js';
import { watchMoney } from '../support/invariants.js';
import { readBookings } from '../support/rail-invariants.js';
import { isFirstAnswer } from '../support/scene.js';
import { setUpBankScene } from './bank-scene.js';

/** The bank is down for a while. Nobody is told that a payment failed, nobody waits in vain, and nothing is paid twice. */
describe('a bank outage ends (F53)', () => {
  const scene = setUpBankScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot();
  });

  const posted = async () => {
    const [sum] = await scene.sql<{ posted: number; pending: number }>(`
      SELECT coalesce(sum(transfers.amount) FILTER (WHERE state = 'posted'), 0)::bigint AS posted,
             coalesce(sum(transfers.amount) FILTER (WHERE state = 'pending'), 0)::bigint AS pending
        FROM transfers JOIN payments ON payments.id = payment_id
       WHERE rail = 'bank' AND refund_id IS NULL`);
    return sum ?? { posted: NaN, pending: NaN };
  };

  /** Posted ≤ charged ≤ posted + pending (I4): ours before the bank's for the first, the bank's before ours for the second. */
  const watchBothBooks = () => {
    const seen = { looks: 0, violations: [] as object[] };
    const stopped = new AbortController();
    const watching = (async () => {
      while (!stopped.signal.aborted) {
        const before = await posted();
        // While the bank is down its books cannot be read; they do not change either.
        const bookings = await readBookings(scene.bank.env).catch(() => undefined);
        if (bookings) {
          const charged = bookings.reduce(
            (sum, { kind, amount }) => sum + (kind === 'charge' ? amount : -amount),
            0,
          );
          const after = await posted();
          seen.looks += 1;
          if (before.posted > charged || charged > after.posted + after.pending) {
            seen.violations.push({ before, charged, after });
          }
        }
        // A look takes long enough on a busy machine: it has to see the middle of things.
        await sleep(5);
      }
    })();
    return async () => {
      stopped.abort();
      await watching;
      return seen;
    };
  };

  it('payments are taken on, told to be pending, and drained when the bank is back', async () => {
    const money = await watchMoney(scene.database.url);
    const stopWatching = watchBothBooks();
    const told: { key: string; answer: Answer; ms: number }[] = [];
    const pay = async (key: string, body?: object) => {
      const began = performance.now();
      const answer = await scene.pay(api, key, body);
      told.push({ key, answer, ms: performance.now() - began });
      return answer;
    };

    // Some are under way when it goes down.
    const underWay = Array.from({ length: 20 }, (_, index) => pay(`under-way-${index}`));
    await sleep(30);
    await scene.bank.kill();
    await Promise.all(underWay);
    told.length = 0;

    const until = performance.now() + 4_000;
    for (let index = 0; performance.now() < until; index += 1) {
      await Promise.all([pay(`outage-${index}`), pay(`outage-too-${index}`, { amount: 7 })]);
      // Whoever asks nobody outside does not notice.
      expect(isFirstAnswer(await scene.pay(api, `ledger-${index}`, { rail: 'ledger' }))).toBe(true);
      expect((await call(`${api.url}/health/ready`)).status).toBe(200);
      await sleep(40);
    }
    expect(told.length).toBeGreaterThan(20);
    for (const { answer, ms } of told) {
      expect([answer.status, answer.json]).toMatchObject([202, { status: 'pending' }]);
      expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
      expect(ms).toBeLessThan(2_000);
    }

    await scene.bank.restart();
    const healed = performance.now();
    const unfinished = async () => {
      const [row] = await scene.sql<{ count: number }>(
        "SELECT count(*) FROM idempotency_keys WHERE recovery_point <> 'finished'",
      );
      return row?.count;
    };
    while ((await unfinished()) !== 0 && performance.now() - healed < 15_000) await sleep(50);
    expect(await unfinished()).toBe(0);

    for (const { key, answer } of told) {
      const id = answer.json?.id as string;
      expect(await scene.paymentOf(key)).toMatchObject({ id, status: 'succeeded' });
    }
    const { looks, violations } = await stopWatching();
    expect([violations, looks > 5]).toEqual([[], true]);
    const { reads, violations: broken } = await money.stop();
    expect([broken, reads > 20]).toEqual([[], true]);
    // Once quiet, both companies say the same.
    const charged = (await readBookings(scene.bank.env)).reduce((sum, { amount }) => sum + amount, 0);
    expect(await posted()).toEqual({ posted: charged, pending: 0 });
  }, 60_000);

  it('a slow bank that comes and goes charges nobody twice, and is told the truth about at every look', async () => {
    const stopWatching = watchBothBooks();
    const kinds = [
      'timeout_after',
      'timeout_before',
      'error_after',
      'error_before',
      'reset_in_answer',
    ] as const;
    for (const kind of kinds) await scene.fault({ kind, times: 4 });
    await scene.fault({ kind: 'decline', times: 3 });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        scene.payUntilAnswered(api, `unsteady-${index}`, { amount: index + 1 }),
      ),
    );
    const { looks, violations } = await stopWatching();
    expect([violations, looks > 5]).toEqual([[], true]);
    expect(answers.filter(({ status }) => status === 402)).toHaveLength(3);
  });
});
