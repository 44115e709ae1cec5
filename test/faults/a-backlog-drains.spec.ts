import { setTimeout as sleep } from 'node:timers/promises';
import { Settings } from '../../src/settings.js';
import { Rail } from '../crashes/rail.js';
import type { ApiProcess } from '../support/api-process.js';
import { abandonPayments, numbered } from './abandoned.js';

/** A fifth of what the design asks for, so that a test can wait for it. How fast it drains `npm run bench` tells. */
const backlog = 2_000;

/** What a completer must do in a second even on a machine that is busy with other things. */
const drainRateMin = 30;

/** Operations that a completer drives at once, unless it is told otherwise. */
const inHandMax = new Settings().recoveriesAtOnceMax;

/** All instances were gone for a while, or the bank was. What they left is worked off beside the day's work. */
describe('a backlog drains', () => {
  let rail: Rail;
  let api: ApiProcess;

  beforeAll(async () => {
    rail = await Rail.open({ LEASE_MS: '15000', BANK_TIMEOUT_MS: '12000', BANK_REQUEST_TIMEOUT_MS: '5000' });
    api = await rail.startApi();
  });

  afterAll(() => rail.close());

  it('F90: 2,000 unfinished payments at start are finished, each charged once, and callers hardly notice', async () => {
    const keys = numbered('left', backlog);
    // A payer of their own: whoever pays meanwhile does not wait for their account.
    await rail.sql(
      "INSERT INTO accounts (id, customer_id, currency, credits_posted) VALUES ('alice-2', $1, 'GBP', 1000000)",
      [rail.alice.id],
    );
    await rail.sql("UPDATE accounts SET debits_posted = debits_posted + 1000000 WHERE id = 'bank:GBP'");
    await rail.sql(
      `INSERT INTO transfers (id, debit_account_id, credit_account_id, currency, amount, state, created_at)
       VALUES (gen_random_uuid(), 'bank:GBP', 'alice-2', 'GBP', 1000000, 'posted', now())`,
    );
    await abandonPayments(rail.sql, { ...rail.alice, accountId: 'alice-2' }, keys);
    const began = performance.now();
    const completer = rail.startWorker(['completer']);

    const times: number[] = [];
    let left = backlog;
    for (let turn = 0; left > 0; turn += 1) {
      const asked = performance.now();
      expect((await rail.pay(api, `meanwhile-${turn}`, { rail: 'ledger', from: 'alice' })).status).toBe(200);
      times.push(performance.now() - asked);
      if (turn % 10 === 0) {
        left = await countLeft();
        // However much there is to do, it takes on no more than it can bring to an end within a lease (I11).
        expect(await countInHand()).toBeLessThanOrEqual(inHandMax);
      }
      if ((performance.now() - began) / 1_000 > backlog / drainRateMin) throw new Error(`${left} are left`);
      await sleep(20);
    }
    await completer.kill('SIGTERM');

    const p99 = times.sort((one, other) => one - other)[Math.floor(times.length * 0.99)] ?? NaN;
    expect(times.length).toBeGreaterThan(50);
    expect(p99).toBeLessThan(2_000);
    const [ends] = await rail.sql<{ finished: number; once: number }>(
      `SELECT count(*) FILTER (WHERE recovery_point = 'finished') AS finished,
              count(*) FILTER (WHERE epoch = 2 AND attempts = 2) AS once
         FROM idempotency_keys WHERE key LIKE 'left-%'`,
    );
    expect(ends).toEqual({ finished: backlog, once: backlog });
    const charges = [...(await rail.charges()).values()];
    expect([charges.length, new Set(charges)]).toEqual([backlog, new Set([1])]);
    expect(await rail.quietViolations()).toEqual([]);
  }, 90_000);

  /** Taken over, and not at their end: one completer holds them. */
  async function countInHand(): Promise<number> {
    const [row] = await rail.sql<{ held: number }>(
      'SELECT count(*) AS held FROM idempotency_keys WHERE locked_until IS NOT NULL AND epoch > 1',
    );
    return row?.held ?? NaN;
  }

  async function countLeft(): Promise<number> {
    const [row] = await rail.sql<{ left: number }>(
      `SELECT count(*) AS left FROM idempotency_keys WHERE locked_until IS NOT NULL`,
    );
    return row?.left ?? NaN;
  }
});
