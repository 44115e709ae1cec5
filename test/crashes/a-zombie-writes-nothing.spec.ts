import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../support/api-process.js';
import type { Answer } from '../support/http.js';
import { isReplay } from '../support/scene.js';
import { Rail } from './rail.js';

/**
 * A holder stands still for longer than its lease: a paused virtual machine, a long garbage collection. Somebody
 * else brings its payment to the end; then it wakes, and believes that nothing has happened.
 */
describe('a zombie writes nothing', () => {
  let rail: Rail;
  let other: ApiProcess;

  beforeAll(async () => {
    // A transaction that has fallen silent is ended before the lease is.
    rail = await Rail.open({ STATEMENT_TIMEOUT_MS: '700' });
    other = await rail.startApi();
  });

  afterEach(async () => {
    expect(await rail.quietViolations()).toEqual([]);
  });

  afterAll(() => rail.close());

  const by = { repeat: 'a repeat at another instance', completer: 'the completer' };
  it.each([
    ['about to ask the bank to pay (K2p, F16)', 'call_begins@funds_reserved', by.completer, 2],
    ['with the bank’s yes in its memory (K5p)', 'call_ended@funds_reserved', by.repeat, 1],
    ['in the transaction that records the yes (K6)', 'books_opened@funds_reserved', by.completer, 1],
    ['with the settlement in its memory (K5q)', 'call_ended@transfer_sent', by.completer, 1],
    ['in the transaction that records the end (K6)', 'outcomes_recorded@transfer_sent', by.repeat, 1],
  ])('%s, at %s: finished by %s, and sent %i times', async (_, faultPoint, rescuer, timesSent) => {
    const key = faultPoint;
    const zombie = await rail.startApi({ faultPoint, faultSignal: 'SIGSTOP' });
    const inside = rail.pay(zombie, key);
    await zombie.faultPointReached();
    const held = await rail.row(key);
    expect([held.epoch, held.recovery_point]).toEqual([1, faultPoint.split('@')[1]]);

    await finishBy(rescuer, key);
    const finished = await rail.row(key);
    expect([finished.recovery_point, finished.epoch]).toEqual(['finished', 2]);
    expect(await rail.metric(other, 'paysam_fenced_total')).toBe(0);
    const before = await versions();

    zombie.signal('SIGCONT');
    const woken = await inside;
    expect([isReplay(woken), woken.text]).toEqual([true, finished.response_body]);
    await untilFenced(zombie);
    // Not one row has a new version: whatever it tried touched nothing, not even to write the same again.
    expect(await versions()).toEqual(before);

    expect((await rail.bank.charges(finished.payment_id)).length).toBe(1);
    expect((await rail.bank.requests(finished.payment_id)).PUT).toBe(timesSent);
    expect(await zombie.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  it('wakes while its heir’s order is on its way: the bank gets two with one reference, and is paid once (F16)', async () => {
    const { zombie, inside, key } = await zombieBeforeItsCall('both');
    // It asks first, is told that nothing was sent, and sends.
    const barrier = await rail.barrier('before', { times: 2 });
    const heir = rail.payUntilFinal([other], key);
    await barrier.holds(1);
    zombie.signal('SIGCONT');
    await barrier.holds(2);
    await barrier.release();

    await expectOneEnd(await Promise.all([inside, heir]), key, 2);
    await untilFenced(zombie);
  });

  it('wakes while its heir asks: the heir finds what the zombie has just sent, and sends nothing (F16)', async () => {
    const { zombie, inside, key } = await zombieBeforeItsCall('asked');
    const barrier = await rail.barrier('before', { method: 'GET' });
    const heir = rail.payUntilFinal([other], key);
    await barrier.holds(1);
    const { payment_id: id } = await rail.row(key);
    zombie.signal('SIGCONT');
    while ((await rail.bank.charges(id)).length === 0) await sleep(20);
    await barrier.release();

    await expectOneEnd(await Promise.all([inside, heir]), key, 1);
    await untilFenced(zombie);
  });

  it('a zombie completer is fenced like any other', async () => {
    // Its holder is killed; the completer that takes over stands still; another one ends it.
    const victim = await rail.startApi({ faultPoint: 'call_begins@funds_reserved' });
    await expect(rail.pay(victim, 'twice-left')).rejects.toThrow('fetch failed');
    const faultPoint = 'call_ended@funds_reserved';
    const frozen = rail.startWorker(['completer', '--json'], { faultPoint, faultSignal: 'SIGSTOP' });
    await frozen.faultPointReached();
    await finishBy(by.completer, 'twice-left');
    expect((await rail.row('twice-left')).epoch).toBe(3);
    const before = await versions();

    frozen.signal('SIGCONT');
    await until(() => frozen.stdout().includes('"lost":1'));
    expect(await versions()).toEqual(before);
    await expectOneEnd([await rail.pay(other, 'twice-left')], 'twice-left', 1);
    expect(await frozen.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });

  async function zombieBeforeItsCall(key: string) {
    const zombie = await rail.startApi({ faultPoint: 'call_begins@funds_reserved', faultSignal: 'SIGSTOP' });
    const inside = rail.pay(zombie, key);
    await zombie.faultPointReached();
    return { zombie, inside, key };
  }

  async function finishBy(rescuer: string, key: string): Promise<void> {
    if (rescuer === by.repeat) {
      await rail.payUntilFinal([other], key);
      return;
    }
    const completer = rail.startWorker(['completer']);
    await rail.untilRow(key, row => row.recovery_point === 'finished');
    await completer.kill('SIGTERM');
  }

  /** A zombie that wakes before the end says that nobody knows yet; whoever knows says the same, by the byte. */
  async function expectOneEnd(answers: Answer[], key: string, timesSent: number) {
    const { payment_id: id, response_body: body } = await rail.row(key);
    const ends = [...answers, await rail.pay(other, key)].filter(({ status }) => status !== 202);
    expect(ends.map(({ status, text }) => [status, text])).toEqual(ends.map(() => [200, body]));
    expect(answers.map(({ json }) => json?.id)).toEqual(answers.map(() => id));
    expect((await rail.bank.charges(id)).length).toBe(1);
    expect((await rail.bank.requests(id)).PUT).toBe(timesSent);
  }

  async function untilFenced(zombie: ApiProcess): Promise<void> {
    await until(async () => (await rail.metric(zombie, 'paysam_fenced_total')) === 1);
  }

  /** Which transaction wrote each row, and where it lies: an update that changes nothing would show, too. */
  function versions() {
    return rail.sql(
      ['idempotency_keys', 'payments', 'transfers', 'accounts']
        .map(table => `SELECT '${table}' AS table, xmin::text, ctid::text FROM ${table}`)
        .join(' UNION ALL ') + ' ORDER BY 1, 2, 3',
    );
  }
});

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let looks = 0; !(await isSo()); looks += 1) {
    if (looks === 400) throw new Error(`it never came true: ${String(isSo)}`);
    await sleep(25);
  }
}
