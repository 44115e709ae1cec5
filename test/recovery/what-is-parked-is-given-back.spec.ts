import type { DataSource } from 'typeorm';
import { createDataSource } from '../../src/data-source.js';
import { listParked, unpark } from '../../src/recovery/parked.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';

/** What the commands `--parked` and `--unpark` do, without the commands. */
describe('what is parked is given back by a person', () => {
  let database: Database;
  let dataSource: DataSource;
  let alice: Customer;
  const patience = { lockTimeoutMs: 1_000, statementTimeoutMs: 1_000 };

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice' });
    dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
  });
  afterEach(() => database.sql('TRUNCATE idempotency_keys'));
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  async function plant(id: string, { ageMs = 0, because }: { ageMs?: number; because: string | null }) {
    await database.insertKeyRow({
      customerId: alice.id,
      key: `key-${id}`,
      recoveryPoint: 'transfer_sent',
      state: { payment_id: id },
      attempts: 40,
      epoch: 3,
      leaseMs: null,
      ageMs,
    });
    await database.sql('UPDATE idempotency_keys SET parked_because = $2 WHERE key = $1', [
      `key-${id}`,
      because,
    ]);
  }
  const waiting = () =>
    database.sql(
      `SELECT state ->> 'payment_id' AS id, attempts, epoch FROM idempotency_keys
        WHERE locked_until <= clock_timestamp() ORDER BY 1`,
    );

  it('oldest first, each with its reason', async () => {
    await plant('young', { because: 'b' });
    await plant('old', { ageMs: 60_000, because: 'a' });
    await plant('under-way', { because: null });
    const parked = await listParked(dataSource);
    expect(parked).toMatchObject([
      { paymentId: 'old', recoveryPoint: 'transfer_sent', attempts: 40, because: 'a' },
      { paymentId: 'young', recoveryPoint: 'transfer_sent', attempts: 40, because: 'b' },
    ]);
    expect(parked[0]?.since).toBeInstanceOf(Date);
  });

  it('one by one or all at once, with attempts as for a new one, and under the same epoch', async () => {
    for (const id of ['one', 'two', 'three']) await plant(id, { because: 'x' });
    await plant('under-way', { because: null });
    expect(await unpark(dataSource, patience, ['one', 'under-way', 'nobody'])).toEqual(['one']);
    expect(await waiting()).toEqual([{ id: 'one', attempts: 1, epoch: 3 }]);
    expect(await unpark(dataSource, patience, [])).toEqual([]);
    expect((await unpark(dataSource, patience, null)).sort()).toEqual(['three', 'two']);
    expect(await listParked(dataSource)).toEqual([]);
    expect(await waiting()).toHaveLength(3);
  });
});
