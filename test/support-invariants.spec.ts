import { randomUUID } from 'node:crypto';
import { createDatabase, type Database } from './support/database.js';
import { checkMoney, checkOnePaymentPerKey, watchMoney, type Violation } from './support/invariants.js';

/** A checker that has never found anything may be blind. Here each rule is broken by hand, once. */
describe('the checker sees', () => {
  let database: Database;
  let customerId: string;

  beforeEach(async () => {
    database = await createDatabase();
    ({ id: customerId } = await database.addCustomer({ name: 'alice', balance: 10_000 }));
    await database.addCustomer({ name: 'sam' });
  });
  afterEach(() => database.drop());

  const broken = (violations: Violation[]) => violations.map(violation => violation.broken);

  test('nothing, while all is well', async () => {
    await plantPayment({ key: 'k1' });
    await plantAnswer({ key: 'k1' });
    expect(await checkMoney(database.sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(database.sql)).toEqual([]);
  });

  test('money out of nowhere', async () => {
    await database.sql(`UPDATE accounts SET credits_posted = credits_posted + 1 WHERE id = 'sam'`);
    expect(await checkMoney(database.sql)).toEqual([
      {
        broken: 'credits posted equal debits posted',
        row: { currency: 'GBP', credits_posted: 10_001, debits_posted: 10_000 },
      },
      {
        broken: 'each balance is the sum of its transfers',
        row: expect.objectContaining({ id: 'sam', credits_posted: 1 }) as object,
      },
    ]);
  });

  test('one currency turned into another', async () => {
    await database.sql(`ALTER TABLE transfers DROP CONSTRAINT credit_in_the_same_currency`);
    await database.addCustomer({ name: 'emma', currency: 'EUR' });
    await plantTransfer({ to: 'emma' });
    expect(broken(await checkMoney(database.sql))).toEqual([
      'credits posted equal debits posted',
      'credits posted equal debits posted',
    ]);
  });

  test('a transfer that no balance shows', async () => {
    await database.sql(`UPDATE transfers SET amount = amount + 1`);
    expect(broken(await checkMoney(database.sql))).toEqual([
      'each balance is the sum of its transfers',
      'each balance is the sum of its transfers',
    ]);
  });

  test('a reservation without its pending transfer', async () => {
    await database.sql(`UPDATE accounts SET debits_pending = 1 WHERE id = 'alice'`);
    expect(broken(await checkMoney(database.sql))).toEqual(['each balance is the sum of its transfers']);
  });

  test('an account below zero', async () => {
    await database.sql(`ALTER TABLE accounts DROP CONSTRAINT available_is_never_negative`);
    await plantTransfer({ amount: 10_001 });
    expect(await checkMoney(database.sql)).toEqual([
      { broken: 'available is never negative', row: expect.objectContaining({ id: 'alice' }) as object },
    ]);
  });

  test('two payments under one key', async () => {
    await database.sql(`ALTER TABLE payments DROP CONSTRAINT payments_remember_their_key`);
    await plantPayment({ key: 'k1' });
    await plantPayment({ key: 'k1' });
    expect(await checkOnePaymentPerKey(database.sql)).toEqual([
      {
        broken: 'a key has one payment',
        row: { customer_id: customerId, idempotency_key: 'k1', payments: 2 },
      },
    ]);
  });

  test('an answer without its payment', async () => {
    await plantAnswer({ key: 'k1' });
    expect(broken(await checkOnePaymentPerKey(database.sql))).toEqual([
      'what was answered is what was recorded',
    ]);
  });

  test('an answer about another payment', async () => {
    await plantPayment({ key: 'k1' });
    await plantAnswer({ key: 'k1', id: randomUUID() });
    expect(broken(await checkOnePaymentPerKey(database.sql))).toEqual([
      'what was answered is what was recorded',
    ]);
  });

  test('a payment that moved its money twice', async () => {
    const id = await plantPayment({ key: 'k1' });
    await plantTransfer({ paymentId: id });
    expect(broken(await checkOnePaymentPerKey(database.sql))).toEqual([
      'a payment that succeeded moved its money once, any other never',
    ]);
  });

  test('a violation that lasts only for a moment', async () => {
    const watcher = await watchMoney(database.url, 5);
    await database.sql(`UPDATE accounts SET credits_posted = 1 WHERE id = 'sam'`);
    await new Promise(resolve => setTimeout(resolve, 100));
    await database.sql(`UPDATE accounts SET credits_posted = 0 WHERE id = 'sam'`);

    const { reads, violations } = await watcher.stop();
    expect(reads).toBeGreaterThan(1);
    expect(broken(violations)).toContain('credits posted equal debits posted');
    expect(await checkMoney(database.sql)).toEqual([]);
  });

  test('that it could not look', async () => {
    const watcher = await watchMoney(database.url, 5);
    await database.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );
    await new Promise(resolve => setTimeout(resolve, 100));
    await expect(watcher.stop()).rejects.toThrow();
  });

  async function plantTransfer({ to = 'sam', amount = 100, paymentId = null as string | null } = {}) {
    await database.sql(
      `WITH debit AS (UPDATE accounts SET debits_posted = debits_posted + $1 WHERE id = 'alice'),
         credit AS (UPDATE accounts SET credits_posted = credits_posted + $1 WHERE id = $2)
       INSERT INTO transfers VALUES (gen_random_uuid(), $3, $4, 'alice', $2, 'GBP', $1, 'posted', now())`,
      [amount, to, paymentId && customerId, paymentId],
    );
  }

  let lastPaymentId: string;

  async function plantPayment({ key }: { key: string }) {
    lastPaymentId = randomUUID();
    await database.sql(
      `INSERT INTO payments (id, customer_id, idempotency_key, from_account_id, to_account_id, currency, amount,
         rail, status, created_at, completed_at)
       VALUES ($1, $2, $3, 'alice', 'sam', 'GBP', 100, 'ledger', 'succeeded', now(), now())`,
      [lastPaymentId, customerId, key],
    );
    await plantTransfer({ paymentId: lastPaymentId });
    return lastPaymentId;
  }

  function plantAnswer({ key, id = lastPaymentId }: { key: string; id?: string }) {
    return database.insertKeyRow({ customerId, key, answer: { status: 200, body: JSON.stringify({ id }) } });
  }
});
