import { bootApi } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { checkMoney } from '../support/invariants.js';
import { PostgresProxy } from '../support/postgres-proxy.js';

/**
 * Without a key, an equal request is a new payment once the window is over. A request that has to be repeated by
 * ourselves, because nobody knows what became of its COMMIT, is no new request, however long that takes.
 */
describe('a request without a key whose COMMIT is in doubt for longer than its window is one payment', () => {
  let database: Database;
  let legacy: Customer;
  let proxy: PostgresProxy;

  beforeAll(async () => {
    database = await createDatabase();
    legacy = await database.addCustomer({ name: 'legacy', balance: 1_000_000 });
    await database.addCustomer({ name: 'sam' });
    await database.sql("UPDATE customers SET keyless = 'fingerprint' WHERE id = $1", [legacy.id]);
    proxy = await PostgresProxy.start(database.url);
  });
  afterAll(async () => {
    proxy.stop();
    await database.drop();
  });

  /** The window is over before a connection that has fallen silent is given up. */
  const env = { FINGERPRINT_WINDOW: '1', STATEMENT_TIMEOUT_MS: '1200', QUERY_TIMEOUT_MS: '1500' };
  const pays = (statements: string[]) => statements.some(each => /insert into payments/i.test(each));

  it.each([
    ['after the server had done it, and its row is still there', 'after', '86400000'],
    ['after the server had done it, and its row was reaped', 'after', '20'],
    ['before it reached the server', 'before', '86400000'],
  ] as const)('lost %s', async (reference, side, reapEveryMs) => {
    const api = await bootApi(proxy.url, { ...env, REAP_EVERY_MS: reapEveryMs });
    try {
      const held = proxy.holdCommit(side, { which: pays });
      const body = { to: 'sam', amount: 100, currency: 'GBP', reference };
      const answer = await call(`${api.url}/payments`, { apiKey: legacy.apiKey, body });
      await held;
      const payments = await database.sql('SELECT id FROM payments WHERE reference = $1', [reference]);
      expect([answer.status, payments]).toEqual([200, [{ id: answer.json?.id }]]);
      expect(await checkMoney(database.sql)).toEqual([]);
    } finally {
      await api.stop();
      await proxy.heal();
    }
  });
});
