import { createDatabase, type Database } from './support/database.js';
import { checkMoney, countRows } from './support/invariants.js';

describe('a suite has a database of its own', () => {
  let database: Database;
  beforeAll(async () => (database = await createDatabase()));
  afterAll(() => database.drop());

  test('with every constraint of the migrations', async () => {
    const negative = database.sql(
      `INSERT INTO accounts (id, kind, currency, debits_posted) VALUES ('x', 'bank', 'GBP', -1)`,
    );
    await expect(negative).rejects.toThrow('debits_posted_check');
  });

  test('apart from all others', async () => {
    const other = await createDatabase();
    await other.addCustomer({ name: 'alice', balance: 10_000 });
    expect(await countRows(other.sql)).toEqual({ keys: 0, payments: 0, transfers: 1 });
    expect(await countRows(database.sql)).toEqual({ keys: 0, payments: 0, transfers: 0 });

    await other.drop();
    expect(await database.sql('SELECT FROM pg_database WHERE datname = $1', [other.name])).toEqual([]);
  });

  test('with customers whose balance came from somewhere', async () => {
    const alice = await database.addCustomer({ name: 'alice', balance: 10_000 });
    await database.addCustomer({ name: 'bob', balance: 5_000, scopes: ['read'] });
    await database.addCustomer({ name: 'sam' });

    expect(
      await database.sql('SELECT id, credits_posted - debits_posted AS posted FROM accounts ORDER BY id'),
    ).toEqual([
      { id: 'alice', posted: 10_000 },
      { id: 'bank:GBP', posted: -15_000 },
      { id: 'bob', posted: 5_000 },
      { id: 'sam', posted: 0 },
    ]);
    expect(await checkMoney(database.sql)).toEqual([]);
    expect(alice).toMatchObject({ accountId: 'alice', apiKey: expect.stringMatching(/^sk_test_/) as string });
  });

  test('with keys at any point of their life', async () => {
    const { id: customerId } = await database.addCustomer({ name: 'carol' });
    await database.insertKeyRow({ customerId, key: 'abandoned', leaseMs: -1 });
    await database.insertKeyRow({
      customerId,
      key: 'at the bank',
      recoveryPoint: 'funds_reserved',
      epoch: 2,
    });
    await database.insertKeyRow({ customerId, key: 'done', answer: { status: 200, body: '{}' } });

    const rows = await database.sql(
      `SELECT key, recovery_point, epoch, locked_until > now() AS held FROM idempotency_keys ORDER BY key`,
    );
    expect(rows).toEqual([
      { key: 'abandoned', recovery_point: 'started', epoch: 1, held: false },
      { key: 'at the bank', recovery_point: 'funds_reserved', epoch: 2, held: true },
      { key: 'done', recovery_point: 'finished', epoch: 1, held: null },
    ]);
  });
});
