import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../support/api-process.js';
import type { Answer } from '../support/http.js';
import { historyOf } from '../support/key-history.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';
import { Rail } from './rail.js';

const hoursMs = 3_600_000;

/**
 * Leases, expiry and every time that a caller is told are the database's. So an instance whose clock is wrong does
 * the same as its neighbour whose clock is right, and the two can take over from each other.
 */
describe.each([
  ['two hours ahead', 2 * hoursMs],
  ['two hours behind', -2 * hoursMs],
])('a clock that is %s changes nothing (F93)', (_, shiftMs) => {
  const wrong = { imports: ['./test/support/shifted-clock.ts'], env: { CLOCK_SHIFT_MS: String(shiftMs) } };
  const right = {};
  const leaseMs = 1_500;
  let rail: Rail;
  let wrongApi: ApiProcess;
  let rightApi: ApiProcess;

  beforeAll(async () => {
    rail = await Rail.open({ LEASE_MS: String(leaseMs) });
    [wrongApi, rightApi] = await Promise.all([rail.startApi(wrong), rail.startApi(right)]);
  });

  afterEach(async () => {
    await rail.untilAllHaveEnded();
    expect(await rail.quietViolations()).toEqual([]);
  });

  afterAll(() => rail.close());

  it('it is wrong indeed: it says that it was started at another time', async () => {
    const [wrongStart, rightStart] = await Promise.all(
      [wrongApi, rightApi].map(api => rail.metric(api, 'process_start_time_seconds')),
    );
    const apartMs = ((wrongStart ?? NaN) - (rightStart ?? NaN)) * 1_000;
    expect(Math.abs(apartMs - shiftMs)).toBeLessThan(60_000);
  });

  it.each(['the wrong clock', 'the right clock'])(
    'while %s holds a payment, the other says for how long',
    async who => {
      const [holder, other] = who === 'the wrong clock' ? [wrongApi, rightApi] : [rightApi, wrongApi];
      const key = `held-by-${who.replaceAll(' ', '-')}`;
      const barrier = await rail.barrier('before');
      const first = rail.pay(holder, key);
      await barrier.holds(1);
      const repeat = await rail.pay(other, key);
      const row = await rail.row(key);
      await barrier.release();

      expect([repeat.status, repeat.json?.code]).toEqual([409, 'in_progress']);
      // What is left of the lease, in whole seconds.
      expect([1, 2]).toContain(Number(repeat.headers.get('retry-after')));
      expect(row.epoch).toBe(1);
      const leaseLeftMs = Number(row.locked_until) - Number(row.read_at);
      expect(leaseLeftMs).toBeGreaterThan(0);
      expect(leaseLeftMs).toBeLessThanOrEqual(leaseMs);
      expect(isFirstAnswer(await first)).toBe(true);
    },
  );

  it.each([
    ['a wrong clock', 'a repeat by the right one', wrong, 'right'],
    ['the right clock', 'a repeat by the wrong one', right, 'wrong'],
    ['the right clock', 'a completer with the wrong one', right, 'completer'],
  ] as const)(
    'one with %s dies, and %s takes over, neither early nor late',
    async (_, __, dies, takesOver) => {
      const key = `dies-then-${takesOver}`;
      // It looks while the lease runs, and would take over early if it went by its own clock.
      const completer = takesOver === 'completer' ? rail.startWorker(['completer'], wrong) : undefined;
      const victim = await rail.startApi({ ...dies, faultPoint: 'call_begins@funds_reserved' });
      await expect(rail.pay(victim, key)).rejects.toThrow('fetch failed');
      const { locked_until: leaseEnds, epoch } = await rail.row(key);
      expect(epoch).toBe(1);

      if (completer) await rail.untilRow(key, row => row.recovery_point === 'finished');
      else await rail.payUntilFinal([takesOver === 'right' ? rightApi : wrongApi], key);
      await completer?.kill();

      const takenOver = (await historyOf(rail.sql, key)).find(change => change.epoch === 2);
      const lateMs = Number(takenOver?.at) - Number(leaseEnds);
      expect(lateMs).toBeGreaterThanOrEqual(0);
      // It asks every 50 ms; two seconds are for a machine that is busy. A wrong clock would make it hours.
      expect(lateMs).toBeLessThan(2_000);
      const { payment_id: id } = await rail.row(key);
      expect((await rail.bank.charges(id)).length).toBe(1);
    },
  );

  it.each([
    ['through the bank', 'bank'],
    ['in our own books', 'ledger'],
  ])(
    '%s, every time that a caller is told is the database’s, and a replay tells the same',
    async (_, how) => {
      const key = `times-${how}`;
      const [began] = await rail.sql<{ now: Date }>(
        "SELECT date_trunc('milliseconds', clock_timestamp()) AS now",
      );
      const first = await rail.pay(wrongApi, key, { rail: how });
      const row = await rail.row(key);
      expect(isFirstAnswer(first)).toBe(true);

      for (const time of [first.json?.created_at, first.json?.completed_at].map(told =>
        Date.parse(String(told)),
      )) {
        expect(time).toBeGreaterThanOrEqual(Number(began?.now));
        expect(time).toBeLessThanOrEqual(Number(row.read_at));
      }
      const replays = [
        await rail.pay(wrongApi, key, { rail: how }),
        await rail.pay(rightApi, key, { rail: how }),
        // Those two from their memory.
        await rail.pay(wrongApi, key, { rail: how }),
        await rail.pay(rightApi, key, { rail: how }),
      ];
      expect(replays.map(isReplay)).toEqual([true, true, true, true]);
      expect(new Set([first, ...replays].map(({ text }) => text)).size).toBe(1);
      expect(new Set(replays.map(timesTold)).size).toBe(1);
      expect(first.headers.get('idempotency-expires')).toBe(replays[0]?.headers.get('idempotency-expires'));
      expect(Date.parse(replays[0]?.headers.get('idempotency-expires') ?? '')).toBe(Number(row.expires_at));
    },
  );

  it('an answer is kept for its time by the database’s clock, whatever the reaper’s says', async () => {
    // Three seconds, where every other answer here has three days.
    const brief = await rail.startApi({ ...wrong, env: { ...wrong.env, ANSWER_RETENTION_MS: '3000' } });
    const first = await rail.pay(brief, 'brief', { rail: 'ledger' });
    const all = await keysKept();

    await reapOnce();
    const { expires_at: end, read_at: readAt } = await rail.row('brief');
    const leftMs = Number(end) - Number(readAt);
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(3_000);
    expect(await keysKept()).toBe(all);

    await sleep(leftMs + 50);
    await reapOnce();
    expect(await keysKept()).toBe(all - 1);
    const late = await rail.pay(rightApi, 'brief', { rail: 'ledger' });
    expect([isReplay(late), late.text]).toEqual([true, first.text]);
  });

  async function reapOnce(): Promise<void> {
    const reaper = rail.startWorker(['reaper', '--once'], wrong);
    expect(await reaper.exited).toEqual({ code: 0, signal: null });
  }

  async function keysKept(): Promise<number> {
    const [kept] = await rail.sql<{ keys: number }>('SELECT count(*) AS keys FROM idempotency_keys');
    return kept?.keys ?? NaN;
  }
});

function timesTold({ headers }: Answer): string {
  return JSON.stringify([headers.get('idempotency-expires'), headers.get('idempotency-original-date')]);
}
