import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDataSource } from '../../src/data-source.js';
import { connect, createDatabase } from '../support/database.js';
import { untilWaiting } from '../support/foreign-lock.js';
import { together, type Answer } from '../support/http.js';
import { setUpScene } from '../support/scene.js';

/** A migration by hand, or a tool that rewrites a table: for so long nobody can so much as read a key. */
const lockedMs = 5_000;

describe('a locked table only delays', () => {
  const scene = setUpScene();

  it('F46: while the keys are locked, callers wait or are told when to come back, and each is paid once', async () => {
    const apis = [await scene.start(), await scene.start()];
    const locker = await connect(scene.database.url);
    const until = performance.now() + lockedMs + 2_000;
    const told: Answer[] = [];
    /** A caller that pays one after the other, and repeats each with its key until it is paid. */
    const callers = together(6, async caller => {
      let paid = 0;
      for (let turn = 0; performance.now() < until; turn += 1) {
        const api = apis[(caller + turn) % 2] ?? { url: '' };
        const answer = await scene.pay(api, `caller-${caller}-${paid}`);
        told.push(answer);
        if (answer.status === 200) paid += 1;
        await sleep(20);
      }
      return paid;
    });
    await sleep(500);
    await locker.sql('BEGIN');
    await locker.sql('LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE');
    await untilWaiting(scene.sql, 2);
    await sleep(lockedMs);
    // Nothing got past it; and the processes are alive, and know it.
    const paidMeanwhile = told.length;
    for (const { url } of apis) expect((await fetch(`${url}/health/live`)).status).toBe(200);
    await locker.sql('COMMIT');
    await locker.end();

    const paid = (await callers).reduce((sum, each) => sum + each, 0);
    expect(paidMeanwhile).toBeGreaterThan(0);
    for (const { status, headers } of told) {
      expect([200, 503]).toContain(status);
      if (status === 503) expect(headers.get('retry-after')).toMatch(/^([1-9]|[12]\d|30)$/);
    }
    const payments = await scene.sql("SELECT FROM payments WHERE idempotency_key LIKE 'caller-%'");
    expect(payments).toHaveLength(paid);
    // They went on afterwards.
    expect(told.length).toBeGreaterThan(paidMeanwhile + 12);
  }, 90_000);

  it('F46: a migration that needs the table gives way to a long reader, again and again, and gets there', async () => {
    const database = await createDatabase();
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    // The last that changes the keys' table, and what came after it.
    for (let undone = ''; !undone.startsWith('KeylessCustomers');) {
      const [last] = await database.sql<{ name: string }>(
        'SELECT name FROM migrations ORDER BY id DESC LIMIT 1',
      );
      undone = last?.name ?? 'KeylessCustomers';
      await dataSource.undoLastMigration();
    }
    await dataSource.destroy();

    const reader = await connect(database.url);
    await reader.sql('BEGIN');
    await reader.sql('SELECT count(*) FROM idempotency_keys');
    const migrator = spawn(process.execPath, ['dist/src/migrate.js'], {
      env: { ...process.env, DATABASE_URL: database.url },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const gone = once(migrator, 'exit');
    await untilWaiting(database.sql);

    // Whoever only reads a key queues behind the migration. That is the pause that its callers see.
    const waits: number[] = [];
    const readUntil = performance.now() + 3_500;
    while (performance.now() < readUntil) {
      const began = performance.now();
      await database.sql("SELECT FROM idempotency_keys WHERE key = 'any'");
      waits.push(performance.now() - began);
      await sleep(20);
    }
    // The reader stayed longer than one try of the migration.
    expect(migrator.exitCode).toBeNull();
    await reader.sql('COMMIT');
    await reader.end();
    expect(await gone).toEqual([0, null]);

    // Two seconds is what it waits at most; another is for a machine that is busy.
    expect(Math.max(...waits)).toBeLessThan(3_000);
    expect(Math.max(...waits)).toBeGreaterThan(500);
    const [column] = await database.sql(
      "SELECT FROM information_schema.columns WHERE table_name = 'idempotency_keys' AND column_name = 'window_ms'",
    );
    expect(column).toBeDefined();
    await database.drop();
  }, 90_000);
});
