import type { Api } from '../support/api.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

/** SIGSTOP in the middle of a transaction, SIGCONT later: a paused virtual machine, a process swapped out. */
describe('a frozen process holds nobody up (F39)', () => {
  const scene = setUpScene();
  let other: Api;

  beforeAll(async () => {
    other = await scene.boot();
  });

  it.each([
    ['with its keys claimed', 'keys_claimed'],
    ['with accounts locked', 'books_opened'],
    ['with everything written', 'outcomes_recorded'],
  ])('%s: its locks are freed, another instance pays, and it ends well when it wakes', async (_, point) => {
    const frozen = await scene.start({
      faultPoint: point,
      faultSignal: 'SIGSTOP',
      env: { STATEMENT_TIMEOUT_MS: '500' },
    });
    const inside = scene.pay(frozen, `${point}-inside`);
    await frozen.faultPointReached();
    const queued = [1, 2, 3].map(n => scene.pay(frozen, `${point}-queued-${n}`));

    // The database ends a transaction that has been silent for 500 ms; until then it is in the way.
    const took = await scene.pay(other, `${point}-inside`);
    expect(isFirstAnswer(took)).toBe(true);
    expect(isFirstAnswer(await scene.pay(other, `${point}-meanwhile`))).toBe(true);

    frozen.signal('SIGCONT');
    const woken = await inside;
    expect([isReplay(woken), woken.text]).toEqual([true, took.text]);
    expect((await Promise.all(queued)).every(isFirstAnswer)).toBe(true);
    const payments = await scene.sql('SELECT FROM payments WHERE starts_with(idempotency_key, $1)', [point]);
    expect(payments).toHaveLength(5);
    expect(await frozen.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});
