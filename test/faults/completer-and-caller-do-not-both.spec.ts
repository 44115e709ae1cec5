import { setTimeout as sleep } from 'node:timers/promises';
import { Rail } from '../crashes/rail.js';
import type { ApiProcess } from '../support/api-process.js';
import { connect } from '../support/database.js';
import { untilWaiting } from '../support/foreign-lock.js';
import { historyOf } from '../support/key-history.js';
import { abandonPayments } from './abandoned.js';

/** Most rounds are the close ones: at the other line the completer has the shorter way. */
const rounds = 24;

/** Its caller comes back at the very moment at which the completer finds it. */
describe('completer and caller do not both take a payment over', () => {
  let rail: Rail;
  let api: ApiProcess;

  beforeAll(async () => {
    rail = await Rail.open();
    api = await rail.startApi();
    rail.startWorker(['completer'], { env: { SWEEP_MS: '2' } });
  });

  afterAll(() => rail.close());

  it('F85: whoever is first holds the epoch, the other one nothing; the bank is paid once', async () => {
    const wins = { caller: 0, completer: 0 };
    for (let round = 0; round < rounds; round += 1) {
      const key = `race-${round}`;
      // A lease that is still running: both stand at the line before there is anything to be had.
      await abandonPayments(rail.sql, rail.alice, [key], { leaseMs: 600_000 });
      const before = await takenByCallers();
      const answer = await (round % 6 ? startInsideTheClaim(key) : startAtTheTable(key));
      expect([200, 202, 409]).toContain(answer.status);
      expect((await rail.payUntilFinal([api], key)).status).toBe(200);

      const owners = (await historyOf(rail.sql, key)).filter(({ epoch }) => epoch > 1);
      expect(new Set(owners.map(({ epoch }) => epoch))).toEqual(new Set([2]));
      const { payment_id: id } = await rail.row(key);
      expect((await rail.charges()).get(id)).toBe(1);
      expect((await rail.bank.requests(id)).PUT).toBe(1);
      wins[(await takenByCallers()) > before ? 'caller' : 'completer'] += 1;
    }
    // It was a race, not a habit.
    expect(Math.min(wins.caller, wins.completer)).toBeGreaterThan(0);
    expect(await rail.quietViolations()).toEqual([]);
  }, 90_000);

  /** Both wait for the keys' table. The completer has the shorter way from there. */
  async function startAtTheTable(key: string) {
    const line = await connect(rail.place.url);
    await line.sql('BEGIN');
    await line.sql('LOCK TABLE idempotency_keys IN EXCLUSIVE MODE');
    const asked = rail.pay(api, key);
    await untilWaiting(rail.sql, 2);
    await letGo(line, key);
    return asked;
  }

  /** The caller has run into the row, and waits for its account; the completer looks all the time. */
  async function startInsideTheClaim(key: string) {
    const line = await connect(rail.place.url);
    await line.sql('BEGIN');
    await line.sql("SELECT FROM accounts WHERE id = 'alice' FOR UPDATE");
    const asked = rail.pay(api, key);
    await untilWaiting(rail.sql, 1);
    await sleep(10);
    await letGo(line, key);
    return asked;
  }

  async function letGo(line: Awaited<ReturnType<typeof connect>>, key: string): Promise<void> {
    await line.sql('UPDATE idempotency_keys SET locked_until = clock_timestamp() WHERE key = $1', [key]);
    await line.sql('COMMIT');
    await line.end();
  }

  function takenByCallers(): Promise<number> {
    return rail.metric(api, 'paysam_takeovers_total');
  }
});
