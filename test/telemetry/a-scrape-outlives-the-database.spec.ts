import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call, together } from '../support/http.js';
import { PostgresProxy } from '../support/postgres-proxy.js';
import { attempt, publishEngine } from './events.js';
import { listen, type ListeningApp } from './listening-app.js';
import { parseMetrics, valueOf } from './parse-metrics.js';

/** What the database knows is told when it can be; what this process knows is told always. */
describe('a scrape outlives the database', () => {
  let database: Database;
  let proxy: PostgresProxy;
  let app: ListeningApp;
  let alice: Customer;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice' });
    proxy = await PostgresProxy.start(database.url);
  });
  beforeEach(async () => {
    app = await listen(proxy.url, { DATABASE_CONNECTIONS_MAX: '2', CONNECT_TIMEOUT_MS: '3000' });
  });
  afterEach(async () => {
    await proxy.heal();
    await app.stop();
    await database.sql('TRUNCATE idempotency_keys');
  });
  afterAll(async () => {
    proxy.stop();
    await database.drop();
  });

  const fromDatabase = [
    'paysam_unfinished_keys',
    'paysam_oldest_unfinished_key_age_seconds',
    'paysam_parked_keys',
  ];
  const figures = async (text = app.scrape()) => {
    const read = await text;
    return ['paysam_database_up', ...fromDatabase].map(series => valueOf(read, series));
  };
  const plant = (key: string, more: { ageMs?: number; leaseMs?: number | null; answered?: boolean } = {}) =>
    database.insertKeyRow({
      customerId: alice.id,
      key,
      ...more,
      ...(more.answered ? { answer: { status: 200, body: '{}' } } : { recoveryPoint: 'funds_reserved' }),
    });

  it('counts what is on its way and what is parked, and says how old the oldest is', async () => {
    expect(await figures()).toEqual([1, 0, 0, 0]);
    await plant('young', { ageMs: 5_000 });
    await plant('abandoned', { ageMs: 100_000, leaseMs: -70_000 });
    await plant('finished', { ageMs: 900_000, answered: true });
    await plant('parked', { ageMs: 500_000, leaseMs: null });
    await database.sql("UPDATE idempotency_keys SET parked_because = 'why' WHERE key = 'parked'");
    const [up, unfinished, age, parked] = await figures();
    expect([up, unfinished, parked]).toEqual([1, 2, 1]);
    expect(age).toBeGreaterThanOrEqual(100);
    expect(age).toBeLessThan(120);
  });

  it('reads no more than what is unfinished', async () => {
    await database.sql(
      `INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params,
         recovery_point, attempt_id, response_status, response_body, created_at, finished_at, expires_at)
       SELECT $1, 'old-' || n, 'payment', sha256('x'), 1, '{}', 'finished', gen_random_uuid(), 200, '{}', now(), now(), now()
         FROM generate_series(1, 20000) AS n`,
      [alice.id],
    );
    await database.sql('ANALYZE idempotency_keys');
    const scanned = async () => {
      await database.sql('SELECT pg_stat_force_next_flush()');
      const [{ seq_scan } = { seq_scan: NaN }] = await database.sql<{ seq_scan: number }>(
        "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'idempotency_keys'",
      );
      return seq_scan;
    };
    const before = await scanned();
    expect(await figures()).toEqual([1, 0, 0, 0]);
    await app.dataSource.query('SELECT pg_stat_force_next_flush()');
    expect(await scanned()).toBe(before);
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
  ])('answers with the rest, and in time, while the database %s', async (_, strike) => {
    publishEngine('answered', [attempt('a')], { outcome: 'completed' });
    await app.scrape();
    strike();
    const began = performance.now();
    const answer = await call(`${app.url}/metrics`);
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(answer.status).toBe(200);
    // Nothing is claimed that is not known.
    expect(await figures(Promise.resolve(answer.text))).toEqual([0, undefined, undefined, undefined]);
    expect(valueOf(answer.text, 'paysam_answers_total{outcome="completed"}')).toBe(1);

    await proxy.heal();
    const until = Date.now() + 15_000;
    while ((await figures())[0] !== 1 && Date.now() < until)
      await new Promise(resume => setTimeout(resume, 100));
    expect(await figures()).toEqual([1, 0, 0, 0]);
  });

  it('answers when each connection is taken, and shows that they are', async () => {
    const holders = await together(2, async () => {
      const runner = app.dataSource.createQueryRunner();
      await runner.connect();
      return runner;
    });
    const text = await app.scrape();
    expect(await figures(Promise.resolve(text))).toEqual([0, undefined, undefined, undefined]);
    expect(valueOf(text, 'paysam_database_connections{state="in_use"}')).toBe(2);
    expect(valueOf(text, 'paysam_database_connections{state="idle"}')).toBe(0);
    expect(valueOf(text, 'paysam_database_connection_waiters')).toBe(1);
    await Promise.all(holders.map(holder => holder.release()));
    expect((await figures())[0]).toBe(1);
  });

  it('asks the database once, however many ask', async () => {
    proxy.goSilent();
    const texts = await together(50, () => app.scrape());
    expect(new Set(texts.map(text => parseMetrics(text).size)).size).toBe(1);
    const waiting = texts.map(text => valueOf(text, 'paysam_database_connection_waiters') ?? NaN);
    const inUse = texts.map(text => valueOf(text, 'paysam_database_connections{state="in_use"}') ?? NaN);
    expect(Math.max(...waiting) + Math.max(...inUse)).toBeLessThanOrEqual(1);
  });
});
