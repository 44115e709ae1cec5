import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../support/api-process.js';
import { lockAccounts, untilWaiting } from '../support/foreign-lock.js';
import { call, together } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

/** SIGTERM, as an orchestrator sends it before a new release. */
describe('a stop loses nobody (F17)', () => {
  const scene = setUpScene();

  it('requests in flight are answered, new ones are refused, and the process ends well', async () => {
    const before = await countRows(scene.sql);
    const api = await scene.start();
    const lock = await lockAccounts(scene.database.url, 'sam');
    // One is in its transaction, the others wait for the next; ten of them are repeats.
    const answers = together(30, index => scene.pay(api, `in-flight-${index % 20}`));
    await untilWaiting(scene.sql);
    await sleep(300);

    api.signal('SIGTERM');
    await sleep(200);
    await expect(call(`${api.url}/health/live`)).rejects.toThrow('fetch failed');
    await lock.release();

    const all = await answers;
    expect([all.filter(isFirstAnswer).length, all.filter(isReplay).length]).toEqual([20, 10]);
    const answered = performance.now();
    expect(await api.exited).toEqual({ code: 0, signal: null });
    // Idle connections that clients keep open do not hold it up.
    expect(performance.now() - answered).toBeLessThan(3_000);
    const after = await countRows(scene.sql);
    expect([after.keys - before.keys, after.payments - before.payments]).toEqual([20, 20]);
  });

  it('one instance after the other is replaced under load, and every call comes through on one retry', async () => {
    const before = await countRows(scene.sql);
    const apis = [await scene.start(), await scene.start()];
    let refused = 0;
    let finished = false;

    const replacing = (async () => {
      for (let turn = 0; turn < 4; turn += 1) {
        const leaving = apis[turn % 2];
        apis[turn % 2] = await scene.start();
        expect(await leaving?.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      }
      finished = true;
    })();
    let sent = 0;
    await together(8, async caller => {
      while (!finished) {
        const key = `replaced-${caller}-${sent++}`;
        const answer = await scene.pay(apis[caller % 2] as ApiProcess, key).catch(() => undefined);
        if (!answer) refused += 1;
        const retry = answer ?? (await scene.pay(apis[(caller + 1) % 2] as ApiProcess, key));
        expect(retry.status).toBe(200);
      }
    });
    await replacing;

    expect(sent).toBeGreaterThan(100);
    // Only calls that met a closed door, or a connection on which nothing had been said yet.
    expect(refused).toBeLessThan(sent / 10);
    const after = await countRows(scene.sql);
    expect([after.keys - before.keys, after.payments - before.payments]).toEqual([sent, sent]);
  });
});
