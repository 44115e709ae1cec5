import { startApi, type ApiProcess } from '../support/api-process.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call, together } from '../support/http.js';
import { checkMoney } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';

const hoursMs = 3_600_000;

/**
 * A customer without keys is recognised for a minute, by what it asks for. Which minute, the rows say and the
 * database's clock: not a process, which may be new, another one, or wrong about the time.
 */
describe('a window is the database’s', () => {
  let database: Database;
  let legacy: Customer;
  let right: ApiProcess;
  let ahead: ApiProcess;
  let behind: ApiProcess;

  const started: ApiProcess[] = [];
  const start = async (shiftMs: number) => {
    const api = await startApi({
      databaseUrl: database.url,
      imports: ['./test/support/shifted-clock.ts'],
      env: { CLOCK_SHIFT_MS: String(shiftMs) },
    });
    started.push(api);
    return api;
  };
  const pay = (api: { url: string }) =>
    call(`${api.url}/payments`, { apiKey: legacy.apiKey, body: { to: 'sam', amount: 250, currency: 'GBP' } });
  const countPayments = async () => (await database.sql('SELECT FROM payments')).length;

  beforeAll(async () => {
    database = await createDatabase();
    legacy = await database.addCustomer({ name: 'legacy', balance: 100_000 });
    await database.addCustomer({ name: 'sam' });
    await database.sql("UPDATE customers SET keyless = 'fingerprint' WHERE id = $1", [legacy.id]);
    // One after the other: what is slow to start is the machine, and it has two cores.
    right = await start(0);
    ahead = await start(2 * hoursMs);
    behind = await start(-2 * hoursMs);
  }, 60_000);

  afterAll(async () => {
    await Promise.all(started.map(api => api.kill()));
    await database.drop();
  });

  it('F113: inside it, equal requests are one payment, at any instance, after a restart, whatever its clock says', async () => {
    const first = await pay(right);
    expect(isFirstAnswer(first)).toBe(true);
    await right.kill();
    right = await start(0);
    const repeats = await together(30, index => pay([right, ahead, behind][index % 3] ?? right));
    expect(repeats.every(isReplay)).toBe(true);
    expect(new Set([first, ...repeats].map(({ text }) => text)).size).toBe(1);
    expect(await countPayments()).toBe(1);

    // The minute is over, by the only clock that counts.
    await database.sql("UPDATE idempotency_keys SET expires_at = clock_timestamp() - interval '1 ms'");
    const later = await together(30, index => pay([behind, ahead, right][index % 3] ?? right));
    expect(later.filter(isFirstAnswer)).toHaveLength(1);
    expect(later.filter(isReplay)).toHaveLength(29);
    expect(new Set(later.map(({ text }) => text)).size).toBe(1);
    expect(later[0]?.json?.id).not.toBe(first.json?.id);
    expect(later[0]?.headers.get('idempotency-key')).toBe(first.headers.get('idempotency-key'));
    expect(await countPayments()).toBe(2);
    expect(await checkMoney(database.sql)).toEqual([]);
    await expectNoLeaks(database.sql);
  }, 60_000);
});
