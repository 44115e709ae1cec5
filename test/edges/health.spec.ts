import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { PostgresProxy } from '../support/postgres-proxy.js';

describe('health', () => {
  let database: Database;
  let proxy: PostgresProxy;
  let api: Api;
  let apiKey: string;

  beforeAll(async () => {
    database = await createDatabase();
    ({ apiKey } = await database.addCustomer({ name: 'alice', balance: 1_000 }));
    await database.addCustomer({ name: 'sam' });
    proxy = await PostgresProxy.start(database.url);
    api = await bootApi(proxy.url, { CONNECT_TIMEOUT_MS: '300', BATCH_REPEATS_MAX: '1' });
  });
  afterEach(() => proxy.heal());
  afterAll(async () => {
    await api.stop();
    proxy.stop();
    await database.drop();
  });

  const status = async (path: string) => (await call(api.url + path)).status;

  it('is live and ready, and needs no API key', async () => {
    expect(await status('/health/live')).toBe(200);
    expect(await status('/health/ready')).toBe(200);
  });

  it('is live but not ready while the database is away, and ready again once it is back', async () => {
    proxy.refuse();
    proxy.resetAll();
    const answer = await call(`${api.url}/health/ready`);
    expect([answer.status, answer.json?.['code'], answer.headers.get('should-retry')]).toEqual([
      503,
      'unavailable',
      'true',
    ]);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(answer.text).not.toMatch(/ECONN|127\.0\.0\.1|postgres/i);
    expect(await status('/health/live')).toBe(200);

    await proxy.heal();
    expect(await status('/health/ready')).toBe(200);
  });

  it.each([
    [
      'refuses connections',
      () => {
        proxy.refuse();
        proxy.resetAll();
      },
    ],
    [
      'swallows what it is sent',
      () => {
        proxy.goSilent();
      },
    ],
  ])(
    'says 503 on every call that needs a database that %s, and never an answer of its own making (S29)',
    async (_, strike) => {
      strike();
      const outage = await Promise.all([
        call(`${api.url}/payments`, {
          apiKey,
          key: 'outage',
          body: { to: 'sam', amount: 1, currency: 'GBP' },
        }),
        ...['/payments', '/accounts', '/accounts/alice', '/operations/outage', '/health/ready'].map(path =>
          call(api.url + path, { apiKey }),
        ),
      ]);
      for (const answer of outage) {
        expect([answer.status, answer.json?.['code'], answer.headers.get('should-retry')]).toEqual([
          503,
          'unavailable',
          'true',
        ]);
        expect(answer.headers.get('retry-after')).not.toBeNull();
        expect(answer.text).not.toMatch(/ECONN|127\.0\.0\.1|postgres|terminated|timeout/i);
      }
      expect(await status('/health/live')).toBe(200);

      await proxy.heal();
      const paid = await call(`${api.url}/payments`, {
        apiKey,
        key: 'outage',
        body: { to: 'sam', amount: 1, currency: 'GBP' },
      });
      expect(paid.status).toBe(200);
    },
  );
});
