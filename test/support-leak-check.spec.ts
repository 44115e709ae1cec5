import { connect, createDatabase, type Database } from './support/database.js';
import { expectNoLeaks, findLeaks } from './support/leak-check.js';

describe('what a test leaves behind is reported:', () => {
  let database: Database;
  let other: Awaited<ReturnType<typeof connect>>;

  beforeEach(async () => {
    database = await createDatabase();
    other = await connect(database.url);
  });
  afterEach(async () => {
    await database.drop();
    await other.end();
  });

  test('nothing, after a test that tidied up', async () => {
    await other.sql('SELECT 1');
    await expectNoLeaks(database.sql, { pool: { waitingCount: 0 } });
  });

  test('a transaction left open', async () => {
    await other.sql('BEGIN');
    await other.sql('SELECT 1 AS forgotten');
    await expect(expectNoLeaks(database.sql, { graceMs: 100 })).rejects.toThrow(
      /connection \d+ is idle in transaction .* SELECT 1 AS forgotten/,
    );
  });

  test('a transaction that ends a moment later is no leak', async () => {
    await other.sql('BEGIN');
    const ended = new Promise(resolve => setTimeout(resolve, 100)).then(() => other.sql('ROLLBACK'));
    await expectNoLeaks(database.sql);
    await ended;
  });

  test('a statement that runs on, and the lock it waits for', async () => {
    const holder = await connect(database.url);
    await holder.sql('BEGIN');
    await holder.sql('LOCK TABLE payments');
    const waiting = other.sql('SELECT FROM payments');
    await new Promise(resolve => setTimeout(resolve, 600));

    const leaks = (await findLeaks(database.sql)).join('\n');
    expect(leaks).toMatch(/connection \d+ is active for .* SELECT FROM payments/);
    expect(leaks).toMatch(/connection \d+ waits for a lock \(relation\): SELECT FROM payments/);
    await holder.end();
    await waiting;
  });

  test('an advisory lock', async () => {
    await other.sql('SELECT pg_advisory_lock(1)');
    expect(await findLeaks(database.sql)).toEqual([expect.stringMatching(/holds an advisory lock/)]);
  });

  test('a key that nobody will ever finish', async () => {
    const { id: customerId } = await database.addCustomer({ name: 'alice' });
    await database.insertKeyRow({ customerId, key: 'k1', leaseMs: null });
    await database.insertKeyRow({ customerId, key: 'k2', leaseMs: 1_000 });
    expect(await findLeaks(database.sql)).toEqual([
      expect.stringMatching(/^key k1 is unfinished at started/),
    ]);
  });

  test('callers that still wait for a connection', async () => {
    expect(await findLeaks(database.sql, { waitingCount: 2 })).toEqual([
      '2 callers still wait for a connection',
    ]);
  });
});
