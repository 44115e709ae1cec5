import { startApi, type ApiOptions, type ApiProcess } from './support/api-process.js';
import { createDatabase, type Customer, type Database } from './support/database.js';
import { call, rawRequest, together } from './support/http.js';
import { countRows } from './support/invariants.js';

describe('a real API in a process of its own', () => {
  let database: Database;
  let alice: Customer;
  let api: ApiProcess | undefined;

  beforeEach(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 10_000 });
    await database.addCustomer({ name: 'sam' });
  });
  afterEach(async () => {
    await api?.kill();
    await database.drop();
  });

  const start = async (options: Partial<ApiOptions> = {}) =>
    (api = await startApi({ databaseUrl: database.url, ...options }));

  const paySam = (key: string) =>
    call(`${api?.url ?? ''}/payments`, {
      apiKey: alice.apiKey,
      key,
      body: { to: 'sam', amount: 100, currency: 'GBP' },
    });

  test('answers, and stops when it is asked to', async () => {
    const { port, kill, stdout } = await start();
    const answers = await together(3, index => paySam(`k${index}`));
    expect(answers.map(answer => [answer.status, answer.json?.amount])).toEqual(Array(3).fill([200, 100]));

    const raw = await rawRequest(port, 'GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(raw).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(await kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(stdout()).toContain(String(port));
  });

  test('dies at the fault point that was named', async () => {
    const { exited, faultPointReached } = await start({ faultPoint: 'committed:2' });
    expect((await paySam('k1')).status).toBe(200);
    await expect(paySam('k2')).rejects.toThrow('fetch failed');
    await faultPointReached();
    expect(await exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(await countRows(database.sql)).toMatchObject({ keys: 2, payments: 2 });
  });

  test('stands still at the fault point until it is woken up', async () => {
    const { faultPointReached, signal } = await start({ faultPoint: 'keys_claimed', faultSignal: 'SIGSTOP' });
    const answer = paySam('k1');
    await faultPointReached();
    expect(await Promise.race([answer, new Promise(resolve => setTimeout(resolve, 200, 'silence'))])).toBe(
      'silence',
    );
    expect(await countRows(database.sql)).toMatchObject({ keys: 0, payments: 0 });
    signal('SIGCONT');
    expect((await answer).status).toBe(200);
  });

  test('is no success when it did not start, or never came to the fault point', async () => {
    await expect(start({ env: { LOCK_TIMEOUT_MS: 'soon' } })).rejects.toThrow(
      /did not get ready[^]*LOCK_TIMEOUT_MS|lockTimeoutMs/,
    );

    const { faultPointReached, kill } = await start({ faultPoint: 'committed' });
    await kill();
    await expect(faultPointReached()).rejects.toThrow('never reached committed');
  });
});
