import { setTimeout as sleep } from 'node:timers/promises';
import { together } from '../support/http.js';
import { patient, setUpBankScene } from './bank-scene.js';

/** SIGTERM, as an orchestrator sends it before a new release, while the bank takes longer than anybody will wait. */
describe('a stop gives its payments back (F18)', () => {
  const scene = setUpBankScene();

  it('calls that end within the grace time are waited for, and their callers answered (F17)', async () => {
    const api = await scene.start({ env: { ...patient, SHUTDOWN_GRACE_MS: '8000' } });
    const held = await scene.barrier('before', { times: 0 });
    const waiting = together(5, index => scene.pay(api, `in-time-${index}`, {}, { prefer: 'wait=30' }));
    await held.holds(5);
    api.signal('SIGTERM');
    await sleep(500);
    await held.release();
    expect((await waiting).map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect(await api.exited).toEqual({ code: 0, signal: null });
  });

  it.each([
    ['PUT', 'says nothing'],
    ['GET', 'says nothing'],
    ['PUT', 'wait=30'],
    ['GET', 'wait=30'],
  ] as const)(
    'a call hangs (%s, its caller %s): it ends in time, and another goes on at once',
    async (method, prefer) => {
      const api = await scene.start({
        env: {
          BANK_REQUEST_TIMEOUT_MS: '50000',
          BANK_TIMEOUT_MS: '55000',
          LEASE_MS: '60000',
          SHUTDOWN_GRACE_MS: '3000',
          WORKERS: 'elsewhere',
        },
      });
      const key = `hangs-at-${method}-${prefer.length}`;
      const held = await scene.barrier('after', { method });
      const wishes = prefer === 'wait=30' ? { prefer } : {};
      const waiting = scene.pay(api, key, {}, wishes).catch((error: unknown) => error as Error);
      await held.reached();
      expect((await scene.row(key))?.locked_ms).toBeGreaterThan(30_000);

      const began = performance.now();
      api.signal('SIGTERM');
      expect(await api.exited).toEqual({ code: 0, signal: null });
      expect(performance.now() - began).toBeLessThan(3_500);
      // Nobody was told that it failed.
      const told = await waiting;
      if (!(told instanceof Error)) {
        expect([told.status, told.json]).toMatchObject([202, { status: 'pending' }]);
      }
      const row = await scene.row(key);
      expect(row).toMatchObject({ parked_because: null, response_body: null, may_be_sent: true });
      expect(row?.locked_ms).toBeLessThanOrEqual(100);

      const other = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
      const resumed = performance.now();
      const answer = await scene.pay(other, key);
      expect([answer.status, answer.json]).toMatchObject([200, { status: 'succeeded' }]);
      expect(performance.now() - resumed).toBeLessThan(3_000);
      await held.release();
      expect(await scene.bank.charges(answer.json?.id as string)).toHaveLength(1);
      expect(
        (await scene.conversation(answer.json?.id as string)).filter(line => line.startsWith('PUT')),
      ).toHaveLength(1);
    },
  );

  it('a repeat that waits for another instance does not hold up the stop', async () => {
    const other = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
    const held = await scene.barrier('before');
    await scene.pay(other, 'waited-for', {}, { prefer: 'respond-async' });
    await held.reached();
    const api = await scene.start({ env: { ...patient, SHUTDOWN_GRACE_MS: '2000', WORKERS: 'elsewhere' } });
    const waiting = scene
      .pay(api, 'waited-for', {}, { prefer: 'wait=30' })
      .catch((error: unknown) => error as Error);
    await sleep(300);
    api.signal('SIGTERM');
    expect(await api.exited).toEqual({ code: 0, signal: null });
    const told = await waiting;
    if (!(told instanceof Error)) expect([told.status, told.json?.code]).toEqual([409, 'in_progress']);
    await held.release();
  });
});
