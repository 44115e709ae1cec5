import { DataSource } from 'typeorm';
import { Reaper } from '../../src/recovery/reaper.js';
import { readSettings } from '../../src/settings.js';
import type { Api } from '../support/api.js';
import type { Customer } from '../support/database.js';
import { together } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

/** The reaper forgets answers, not payments: whoever repeats a request after it has been here notices nothing. */
describe('a repeat that comes after the reaper pays nothing (F77, F110)', () => {
  const scene = setUpScene();
  let api: Api;
  let bob: Customer;
  let reaper: Reaper;

  beforeAll(async () => {
    // Nothing is kept in memory, so every repeat asks the database.
    api = await scene.boot({ ANSWERS_CACHED_BYTES: '1' });
    bob = await scene.database.addCustomer({ name: 'bob', balance: 50 });
    reaper = new Reaper(api.app.get(DataSource), readSettings({ DATABASE_URL: scene.database.url }));
  });

  /** Its time is over, by the database's clock. */
  const expire = (key: string) =>
    scene.sql("UPDATE idempotency_keys SET expires_at = now() - interval '1 ms' WHERE key = $1", [key]);

  it.each([
    ['paid', 200],
    ['declined', 402],
  ])('and gets the same bytes; another request under its key is refused (%s)', async (key, status) => {
    const payer = status === 200 ? scene.alice : bob;
    const first = await scene.pay(api, key, {}, payer);
    expect([first.status, isFirstAnswer(first)]).toEqual([status, true]);
    expect(await reaper.runOnce()).toEqual({ reaped: 0 });
    await expire(key);
    expect(await reaper.runOnce()).toEqual({ reaped: 1 });
    const reaped = await countRows(scene.sql);

    const late = await scene.pay(api, key, {}, payer);
    expect([late.status, late.text, isReplay(late)]).toEqual([status, first.text, true]);
    const other = await scene.pay(api, key, { amount: 7 }, payer);
    expect([other.status, other.json?.code]).toEqual([409, 'collision_detected']);
    expect(await countRows(scene.sql)).toEqual(reaped);
  });

  it('also while two reapers are at work on that very key', async () => {
    let reaped = 0;
    for (let round = 0; round < 20; round += 1) {
      const key = `contested-${round}`;
      const first = await scene.pay(api, key);
      const before = await countRows(scene.sql);
      await expire(key);
      const [answers, ...runs] = await Promise.all([
        together(10, () => scene.pay(api, key)),
        reaper.runOnce(),
        reaper.runOnce(),
      ]);
      expect(new Set(answers.map(({ text }) => text))).toEqual(new Set([first.text]));
      expect(answers.every(isReplay)).toBe(true);
      expect((await countRows(scene.sql)).payments).toBe(before.payments);
      reaped += runs.reduce((sum, run) => sum + run.reaped, 0);
    }
    // A key that was being counted at that moment was passed over, and only that.
    expect(reaped).toBeGreaterThan(10);
  });
});
