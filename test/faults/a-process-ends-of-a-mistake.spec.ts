import { startWorker } from '../support/api-process.js';
import { together } from '../support/http.js';
import { patient, setUpBankScene } from '../promises/bank-scene.js';

/** An error that no code expects, where nothing can catch it: what a kill is, only from inside. */
describe('a process ends of a mistake', () => {
  const scene = setUpBankScene();
  const mistaken = (how: string) => ({
    imports: ['./test/support/mistakes.ts'],
    env: { ...patient, MISTAKE: how, LEASE_MS: '12500', WORKERS: 'elsewhere' },
  });

  it.each([
    ['an uncaught exception', 'uncaughtException', 'throws'],
    ['an unhandled rejection', 'unhandledRejection', 'rejects'],
  ])('F13: %s ends the process with one log line, and nothing is lost', async (_, event, how) => {
    const api = await scene.start(mistaken(how));
    const paid = await scene.pay(api, `${how}-before`, { rail: 'ledger' });
    const held = await scene.barrier('after', { method: 'PUT', times: 0 });
    const keys = [1, 2, 3].map(nth => `${how}-${nth}`);
    const inFlight = together(3, nth => scene.pay(api, keys[nth] as string).catch(() => 'cut' as const));
    await held.holds(3);

    api.signal('SIGUSR2');
    expect(await api.exited).toEqual({ code: 1, signal: null });
    expect(await inFlight).toEqual(['cut', 'cut', 'cut']);
    await held.release();
    const lines = api.stdout().split('\n').filter(Boolean).slice(1);
    expect(lines.map(line => JSON.parse(line) as unknown)).toMatchObject([
      { level: 60, event, err: { type: 'Error', message: 'a mistake that nobody caught' } },
    ]);
    expect(api.stderr()).toBe('');

    // Whoever runs it starts it again. Leases that its predecessor held are not waited for here.
    await scene.sql(
      "UPDATE idempotency_keys SET locked_until = now() WHERE recovery_point = 'funds_reserved'",
    );
    const next = await scene.start({ env: patient });
    expect((await scene.pay(next, `${how}-before`, { rail: 'ledger' })).text).toBe(paid.text);
    for (const key of keys) {
      const { id } = (await scene.payUntilAnswered(next, key)).json as { id: string };
      expect(await scene.bank.charges(id)).toHaveLength(1);
      expect((await scene.bank.requests(id)).PUT).toBe(1);
    }
    await scene.stopApis();
  });

  it('F13: a worker says what it was, once, and exits with 1', async () => {
    // It has no port to ask. Once it runs, this one is gone.
    await scene.database.insertKeyRow({
      customerId: scene.alice.id,
      key: 'expired',
      answer: { status: 402, body: '{}' },
      expiresInMs: -1_000,
    });
    const worker = startWorker({
      databaseUrl: scene.database.url,
      ...mistaken('throws'),
      env: { MISTAKE: 'throws', REAP_EVERY_MS: '50' },
      args: ['reaper', '--json'],
    });
    while ((await scene.row('expired')) !== undefined) await new Promise(resolve => setTimeout(resolve, 25));
    worker.signal('SIGUSR2');
    expect(await worker.exited).toEqual({ code: 1, signal: null });
    expect(worker.stderr().match(/^Error: a mistake that nobody caught/gm)).toHaveLength(1);
  });
});
