import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from '../support/api.js';
import type { ApiProcess } from '../support/api-process.js';
import { lockAccounts, untilWaiting } from '../support/foreign-lock.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { together } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

/** A real API is killed with SIGKILL at a chosen statement; another instance goes on. */
describe('a crash is no answer', () => {
  const scene = setUpScene();
  let survivor: Api;

  beforeAll(async () => {
    survivor = await scene.boot();
  });

  const beforeCommit = [
    ['before its transaction (F01, K0)', 'boarding'],
    ['with the keys claimed (F02, K1)', 'keys_claimed'],
    ['with the accounts locked (F02, K1)', 'books_opened'],
    ['with everything written, before COMMIT (F07, K6)', 'outcomes_recorded'],
  ] as const;

  it.each(beforeCommit)(
    '%s: nothing is left of it, and the retry pays as if it were the first',
    async (_, point) => {
      const before = await countRows(scene.sql);
      const victim = await scene.start({ faultPoint: point });
      await expect(scene.pay(victim, point)).rejects.toThrow('fetch failed');
      expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' });

      // At once: no lock, no lease and no row is in its way.
      const retry = await scene.pay(survivor, point);
      expect(isFirstAnswer(retry)).toBe(true);
      expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
    },
  );

  it.each(beforeCommit)('%s, of 20 payments that share it: the same for each of them', async (_, point) => {
    const before = await countRows(scene.sql);
    const victim = await scene.start({ faultPoint: `${point}:2` });
    const outcomes = await crashInSecondBatch(victim, 21, point);
    expect(victim.stderr()).toContain(`fault point reached: ${point}, batch of 20`);
    expect(outcomes.slice(1)).toEqual(Array(20).fill('no answer'));

    // The one that kept the road busy had been paid before.
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
    await expectNoLeaks(scene.sql);
    const [paid, ...retries] = await together(21, index => scene.pay(survivor, `${point}-${index}`));
    expect([paid && isReplay(paid), ...retries.map(isFirstAnswer)]).toEqual(Array(21).fill(true));
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 21, payments: 21, transfers: 21 });
  });

  it('after COMMIT, before anybody was told (F09, K8): the retry gets the stored answer', async () => {
    const before = await countRows(scene.sql);
    const victim = await scene.start({ faultPoint: 'committed' });
    await expect(scene.pay(victim, 'committed')).rejects.toThrow('fetch failed');
    expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });

    const [stored] = await scene.sql<{ response_body: string }>(
      "SELECT response_body FROM idempotency_keys WHERE key = 'committed'",
    );
    const retry = await scene.pay(survivor, 'committed');
    expect([isReplay(retry), retry.text]).toEqual([true, stored?.response_body]);
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
  });

  it('after COMMIT of 20 payments that share it (F09, K8): each retry gets its own stored answer', async () => {
    const before = await countRows(scene.sql);
    const victim = await scene.start({ faultPoint: 'committed:2' });
    const outcomes = await crashInSecondBatch(victim, 21, 'committed');
    expect(victim.stderr()).toContain('fault point reached: committed, batch of 20');
    expect(outcomes.slice(1)).toEqual(Array(20).fill('no answer'));
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 21, payments: 21, transfers: 21 });

    const retries = await together(21, index => scene.pay(survivor, `committed-${index}`));
    expect(retries.every(isReplay)).toBe(true);
    expect(retries.map(answer => answer.json?.idempotency_key)).toEqual(
      retries.map((_, n) => `committed-${n}`),
    );
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 21, payments: 21, transfers: 21 });
  });

  it('at any moment, while payments and repeats pour in: each key has one payment and one answer (F11)', async () => {
    const before = await countRows(scene.sql);
    const keys = Array.from({ length: 150 }, (_, index) => `poured-${index}`);
    const told = new Map<string, Set<string>>(keys.map(key => [key, new Set()]));
    let victim = await scene.start();
    let kills = 0;
    let unanswered = 0;
    const load = { finished: false };

    const killing = (async () => {
      while (!load.finished) {
        await sleep(30 + 90 * ((kills * 7) % 5));
        await victim.kill();
        kills += 1;
        victim = await scene.start();
      }
    })();
    await Promise.all(
      keys.map(async (key, index) => {
        // Each key is sent three times with an answer, to the dying and the surviving instance in turn.
        for (let answers = 0, tries = 0; answers < 3 && tries < 400; tries += 1) {
          const answer = await scene.pay((tries + index) % 4 ? victim : survivor, key).catch(() => undefined);
          if (answer?.status === 200) answers += 1;
          else unanswered += 1;
          if (answer?.status === 200) told.get(key)?.add(answer.text);
          await sleep(index * 2);
        }
      }),
    );
    load.finished = true;
    await killing;

    expect(kills).toBeGreaterThan(0);
    expect(unanswered).toBeGreaterThan(0);
    expect([...told.values()].map(texts => texts.size)).toEqual(keys.map(() => 1));
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 150, payments: 150, transfers: 150 });
  });

  /** The first call holds the road until the others wait for the next transaction, which the crash is set for. */
  async function crashInSecondBatch(victim: ApiProcess, n: number, key: string) {
    const lock = await lockAccounts(scene.database.url, 'sam');
    const outcome = (index: number) =>
      scene.pay(victim, `${key}-${index}`).then(
        ({ status }) => status,
        () => 'no answer' as const,
      );
    const first = outcome(0);
    await untilWaiting(scene.sql);
    const others = Array.from({ length: n - 1 }, (_, index) => outcome(index + 1));
    await sleep(500);
    await lock.release();
    await victim.faultPointReached();
    expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' });
    return Promise.all([first, ...others]);
  }
});
