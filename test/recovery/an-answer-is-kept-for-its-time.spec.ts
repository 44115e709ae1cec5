import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { Bug } from '../../src/bug.js';
import { createDataSource } from '../../src/data-source.js';
import { Reaper } from '../../src/recovery/reaper.js';
import { Workers } from '../../src/recovery/workers.js';
import { readSettings } from '../../src/settings.js';
import {
  connect,
  createDatabase,
  type Customer,
  type Database,
  type PlantedKey,
} from '../support/database.js';
import { PostgresProxy } from '../support/postgres-proxy.js';

const hourMs = 3_600_000;
const answer = { status: 200 as const, body: '{}' };

/** The reaper deletes stored answers whose time is over, and nothing that is still needed. */
describe('a stored answer is kept for its time, and an unfinished key for ever', () => {
  let database: Database;
  let dataSource: DataSource;
  let alice: Customer;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice' });
    dataSource = await createDataSource({
      databaseUrl: database.url,
      databaseConnectionsMax: 10,
    }).initialize();
  });
  // The database refuses to delete what some of these tests leave.
  afterEach(() => database.sql('TRUNCATE idempotency_keys'));
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const newReaper = (env: Record<string, string> = {}, at = dataSource) =>
    new Reaper(at, readSettings({ DATABASE_URL: database.url, ...env }));
  const plant = (key: string, state: Partial<PlantedKey>) =>
    database.insertKeyRow({ customerId: alice.id, key, ...state });
  const plantExpired = (count: number) =>
    Promise.all(
      Array.from({ length: count }, (_, n) =>
        plant(`expired-${n}`, { answer, expiresInMs: -1_000 * (n + 1) }),
      ),
    );
  const keys = async () =>
    (await database.sql<{ key: string }>('SELECT key FROM idempotency_keys ORDER BY key')).map(
      ({ key }) => key,
    );

  it('of every state at every age, only what is finished and expired goes (F91)', async () => {
    const states: Record<string, Partial<PlantedKey>> = {
      started: {},
      'started, abandoned': { leaseMs: -hourMs },
      'funds reserved': { recoveryPoint: 'funds_reserved', leaseMs: -hourMs },
      'transfer sent': { recoveryPoint: 'transfer_sent' },
      'not leased': { recoveryPoint: 'funds_reserved', leaseMs: null },
      parked: { recoveryPoint: 'transfer_sent', leaseMs: null },
      cancelled: { leaseMs: null },
      finished: { answer },
      declined: { answer: { status: 402, body: '{}' } },
    };
    for (const [state, planted] of Object.entries(states)) {
      await plant(`${state}, in time`, { ...planted, expiresInMs: hourMs });
      await plant(`${state}, just expired`, { ...planted, expiresInMs: -1 });
      await plant(`${state}, long ago`, { ...planted, ageMs: 9_000 * hourMs, expiresInMs: -9_000 * hourMs });
    }
    await database.sql("UPDATE idempotency_keys SET parked_because = 'poison' WHERE key LIKE 'parked%'");
    await database.sql(
      "UPDATE idempotency_keys SET recovery_point = 'cancelled' WHERE key LIKE 'cancelled%'",
    );
    const before = await keys();

    expect(await newReaper().runOnce()).toEqual({ reaped: 4 });
    const gone = before.filter(key => !/^(finished|declined), (just|long)/.test(key));
    expect(gone).toHaveLength(before.length - 4);
    expect(await keys()).toEqual(gone);
    expect(await newReaper().runOnce()).toEqual({ reaped: 0 });
  });

  it('goes on, batch by batch, until nothing is left, those first that expired first', async () => {
    await plantExpired(25);
    expect(await newReaper({ REAPER_BATCH_MAX: '10' }).runOnce()).toEqual({ reaped: 25 });

    await plantExpired(25);
    const stopped = AbortSignal.abort();
    expect(await newReaper({ REAPER_BATCH_MAX: '10' }).runOnce(stopped)).toEqual({ reaped: 10 });
    expect(await keys()).toEqual(Array.from({ length: 15 }, (_, n) => `expired-${n}`).sort());
  });

  it('four at once share the work, and none waits for another (F92)', async () => {
    await plantExpired(400);
    const reapers = Array.from({ length: 4 }, () =>
      newReaper({ REAPER_BATCH_MAX: '7', LOCK_TIMEOUT_MS: '10' }),
    );
    const counts = await Promise.all(reapers.map(reaper => reaper.runOnce()));
    expect(counts.map(({ reaped }) => reaped).reduce((a, b) => a + b)).toBe(400);
    expect(await keys()).toEqual([]);
  });

  it('passes over a row that somebody has in hand, at once, and deletes it the next time (F91)', async () => {
    await plantExpired(3);
    const repeat = await connect(database.url);
    try {
      await repeat.sql('BEGIN');
      await repeat.sql("UPDATE idempotency_keys SET duplicates = duplicates + 1 WHERE key = 'expired-1'");
      expect(await newReaper({ LOCK_TIMEOUT_MS: '10' }).runOnce()).toEqual({ reaped: 2 });
      await repeat.sql('COMMIT');
    } finally {
      await repeat.end();
    }
    expect(await newReaper().runOnce()).toEqual({ reaped: 1 });
  });

  it('is stopped by the database, should it ever mean to delete an unfinished key, and says that it is wrong', async () => {
    await plantExpired(2);
    await database.sql(`
      CREATE FUNCTION object() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'integrity_constraint_violation'; END $$`);
    await database.sql(
      'CREATE TRIGGER objection BEFORE DELETE ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION object()',
    );
    try {
      const failed = newReaper().runOnce();
      await expect(failed).rejects.toThrow(Bug);
      await expect(failed).rejects.toThrow(/^PS-301/);
      expect(await keys()).toHaveLength(2);
    } finally {
      await database.sql('DROP TRIGGER objection ON idempotency_keys');
      await database.sql('DROP FUNCTION object');
    }
  });

  it('keeps on while the database is away, tells of it, and stops at once when it is told to', async () => {
    const proxy = await PostgresProxy.start(database.url);
    const away = await createDataSource({ databaseUrl: proxy.url, connectTimeoutMs: 200 }).initialize();
    const seen: { worker: string; reaped?: number; error?: unknown }[] = [];
    const listener = (event: unknown) => seen.push(event as (typeof seen)[number]);
    subscribe('paysam.recovery', listener);
    const workers = new Workers([newReaper({ REAP_EVERY_MS: '20' }, away)]);
    try {
      workers.start();
      await until(() => seen.length > 0);
      proxy.stop();
      await until(() => seen.some(({ error }) => error !== undefined));
      expect(seen.find(({ error }) => error !== undefined)?.error).not.toBeInstanceOf(Bug);
      await plantExpired(1);
      await proxy.heal();
      await until(() => seen.some(({ reaped }) => reaped === 1));
      const began = performance.now();
      await workers.stop();
      expect(performance.now() - began).toBeLessThan(5_000);
      const events = seen.length;
      await sleep(100);
      expect(seen).toHaveLength(events);
      expect(new Set(seen.map(({ worker }) => worker))).toEqual(new Set(['reaper']));
    } finally {
      unsubscribe('paysam.recovery', listener);
      await workers.stop();
      await away.destroy();
      proxy.stop();
    }
  });

  it('does not sweep in step with the others, and does not rest for ever', async () => {
    const began: number[] = [];
    const listener = () => began.push(performance.now());
    subscribe('paysam.recovery', listener);
    const start = performance.now();
    const workers = new Workers(Array.from({ length: 8 }, () => newReaper({ REAP_EVERY_MS: '400' })));
    try {
      workers.start();
      await until(() => began.length >= 16);
    } finally {
      await workers.stop();
      unsubscribe('paysam.recovery', listener);
    }
    const first = began.slice(0, 8).map(at => at - start);
    // Eight starts drawn from 400 ms lie within 50 ms of each other once in a hundred thousand times.
    expect(Math.max(...first) - Math.min(...first)).toBeGreaterThan(50);
    expect(Math.max(...began) - start).toBeLessThan(400 + 3 * 500 + 500);
  });
});

async function until(isTrue: () => boolean): Promise<void> {
  for (let looks = 0; looks < 500 && !isTrue(); looks += 1) await sleep(10);
  expect(isTrue()).toBe(true);
}
