import { randomUUID } from 'node:crypto';
import { startBank, type BankProcess } from './support/bank-process.js';
import { createDatabase, type Database } from './support/database.js';
import { checkMonotone, historyOf, recordKeyHistory } from './support/key-history.js';
import {
  checkQuietRail,
  checkRail,
  readBookings,
  watchRail,
  type Booking,
  type Told,
} from './support/rail-invariants.js';

/** A checker that has never found anything may be blind. Here each invariant of rail bank is broken by hand, once. */
describe('the checker of rail bank sees', () => {
  let database: Database;
  let customerId: string;
  let bookings: Booking[];
  let told: Told[];

  beforeEach(async () => {
    database = await createDatabase();
    await recordKeyHistory(database.sql);
    ({ id: customerId } = await database.addCustomer({ name: 'alice', balance: 10_000 }));
    bookings = [];
    told = [];
  });
  afterEach(() => database.drop());

  test('nothing, while all is well: paid, declined, sent back, under way', async () => {
    await plant({ key: 'paid' });
    await plant({ key: 'declined', status: 'declined', charges: 0 });
    const returned = await plant({ key: 'returned', status: 'declined' });
    bookings.push({ kind: 'return', reference: returned, amount: 100, currency: 'GBP' });
    expect(await brokenOnceQuiet()).toEqual([]);

    await plant({ key: 'reserved', status: 'pending', charges: 0 });
    await plant({ key: 'charged', status: 'pending' });
    told.push({
      customerId,
      key: 'charged',
      status: 202,
      body: JSON.stringify({ id: await idOf('charged') }),
    });
    expect(await broken()).toEqual([]);
  });

  test('I1: a payment that was charged twice', async () => {
    await plant({ key: 'k1', charges: 2 });
    expect(await broken()).toEqual(
      expect.arrayContaining(['I1 a payment is charged at most once', 'I1 a key has one charge']),
    );
  });

  test('I1: a charge under a reference that no payment has', async () => {
    bookings.push({ kind: 'charge', reference: randomUUID(), amount: 100, currency: 'GBP' });
    expect(await broken()).toEqual([
      'I1 each charge belongs to a payment of ours',
      'I4 what is charged is posted or pending',
    ]);
  });

  test.each([{ amount: 99 }, { currency: 'EUR' }])(
    'I1: a charge of another amount or currency (%j)',
    async wrong => {
      const reference = await plant({ key: 'k1', charges: 0 });
      bookings.push({ kind: 'charge', reference, amount: 100, currency: 'GBP', ...wrong });
      expect(await broken()).toContain("I1 a charge is of its payment's amount and currency");
    },
  );

  test('I1: two payments under one key, each of them charged', async () => {
    await database.sql('ALTER TABLE payments DROP CONSTRAINT payments_remember_their_key');
    await plant({ key: 'k1' });
    await plant({ key: 'k1', withKey: false });
    const seen = await broken();
    expect(seen).toContain('I1 a key has one payment');
    expect(seen).toContain('I1 a key has one charge');
  });

  test('I2: a 200 without a payment, about another one, or without a charge', async () => {
    tell('unknown', 200, { id: randomUUID() });
    expect(await broken()).toContain('I2 what was acknowledged is a payment under this key');
    told = [];

    await plant({ key: 'k1' });
    tell('k1', 200, { id: await plant({ key: 'k2' }) });
    expect(await broken()).toContain('I2 what was acknowledged is a payment under this key');
    told = [];

    const id = await plant({ key: 'k3', charges: 0 });
    tell('k3', 200, { id });
    expect(await broken()).toContain('I2 a 200 is a payment that succeeded, and was charged once');
  });

  test('I2: a 200 for a payment that has not succeeded', async () => {
    tell('k1', 200, { id: await plant({ key: 'k1', status: 'pending' }) });
    expect(await broken()).toEqual([
      'I2 a 200 is a payment that succeeded, and was charged once',
      'I3 what was told is what is stored',
    ]);
  });

  test('I2: a 402 for a payment that was charged', async () => {
    const id = await plant({ key: 'k1', status: 'declined' });
    tell('k1', 402, { payment: { id } });
    expect(await broken()).toContain('I2 a 402 is a payment that was declined, and not charged');
  });

  test('I2: a 202 for a key that is forgotten', async () => {
    tell('k1', 202, { id: await plant({ key: 'k1', withKey: false }) });
    expect(await broken()).toEqual(['I2 a 202 leaves a key that remembers it']);
  });

  test('I3: two answers to one key, and one that is not the stored one', async () => {
    const id = await plant({ key: 'k1' });
    tell('k1', 200, { id });
    expect(await broken()).toEqual([]);
    tell('k1', 200, { id, more: true });
    expect(await broken()).toEqual([
      'I3 a key has one definitive answer',
      'I3 what was told is what is stored',
    ]);
  });

  test('I4: charged, and neither posted nor pending', async () => {
    const id = await plant({ key: 'k1' });
    await database.sql("UPDATE transfers SET state = 'voided' WHERE payment_id = $1", [id]);
    await database.sql("UPDATE accounts SET debits_posted = debits_posted - 100 WHERE id = 'alice'");
    await database.sql("UPDATE accounts SET credits_posted = credits_posted - 100 WHERE id = 'bank:GBP'");
    expect(await broken()).toEqual([
      'I4 what is charged is posted or pending',
      'I6 the transfer of a payment that the bank has charged is not voided',
    ]);
  });

  test('I4: money out of nowhere, as on every rail', async () => {
    await database.sql("UPDATE accounts SET credits_posted = credits_posted + 1 WHERE id = 'alice'");
    expect(await broken()).toContain('I4 credits posted equal debits posted');
  });

  test('I4: posted here, and never charged there', async () => {
    await plant({ key: 'k1', charges: 0 });
    expect(await broken()).toEqual([]);
    expect(await brokenOnceQuiet()).toContain('I4 once quiet, what is posted is what is charged');
  });

  test('I4, I5: a payment that never ends, and the money it holds', async () => {
    await plant({ key: 'k1', status: 'pending' });
    expect(await broken()).toEqual([]);
    expect(await brokenOnceQuiet()).toEqual(
      expect.arrayContaining([
        'I4 once quiet, nothing is pending',
        'I5 once quiet, each key has ended',
        'I5 once quiet, each payment has ended',
      ]),
    );
  });

  test('I6: declined or cancelled, although the bank has the money', async () => {
    await plant({ key: 'k1', status: 'declined' });
    await plant({ key: 'k2', status: 'cancelled' });
    const seen = await broken();
    const sentences = [
      'I6 a payment that the bank has charged is neither declined nor cancelled',
      'I6 the transfer of a payment that the bank has charged is not voided',
    ];
    for (const sentence of sentences) expect(seen.filter(each => each === sentence)).toHaveLength(2);
  });

  test.each([
    ["recovery_point = 'started'", 'I7 a recovery point never goes back'],
    ['epoch = epoch - 1', 'I7 an epoch never goes back'],
    ['attempt_id = gen_random_uuid()', 'I7 a new holder has a new epoch'],
  ])('I7: %s', async (change, sentence) => {
    await plant({ key: 'k1', status: 'pending' });
    await database.sql("UPDATE idempotency_keys SET recovery_point = 'transfer_sent', epoch = epoch + 1");
    expect(await checkMonotone(database.sql)).toEqual([]);
    await database.sql(`UPDATE idempotency_keys SET ${change}`);
    expect(await broken()).toEqual([sentence]);
    expect(await historyOf(database.sql, 'k1')).toHaveLength(3);
  });

  test.each([
    ["response_body = '{}'", 'I7 an answer once recorded never changes'],
    [
      "recovery_point = 'cancelled', response_status = NULL, response_body = NULL, finished_at = NULL",
      'I7 a key that has ended stays as it is',
    ],
  ])('I7: %s, of a key that has ended', async (change, sentence) => {
    await plant({ key: 'k1' });
    await database.sql(`UPDATE idempotency_keys SET ${change}`);
    expect(await broken()).toContain(sentence);
  });

  test('I7: a key forgotten while its payment is under way', async () => {
    await plant({ key: 'k1', status: 'pending' });
    await database.sql('DROP TRIGGER unfinished_keys_stay ON idempotency_keys');
    await database.sql('DELETE FROM idempotency_keys');
    expect(await broken()).toEqual(['I7 an unfinished key is never forgotten']);
  });

  async function broken(): Promise<string[]> {
    return sentences(await checkRail({ sql: database.sql, bookings, told }));
  }

  async function brokenOnceQuiet(): Promise<string[]> {
    return sentences(await checkQuietRail({ sql: database.sql, bookings, told }));
  }

  function sentences(violations: { invariant: string; broken: string }[]): string[] {
    return violations.map(violation => `${violation.invariant} ${violation.broken}`);
  }

  function tell(key: string, status: number, body: object): void {
    told.push({ customerId, key, status, body: JSON.stringify(body) });
  }

  async function idOf(key: string): Promise<string> {
    const [row] = await database.sql<{ id: string }>('SELECT id FROM payments WHERE idempotency_key = $1', [
      key,
    ]);
    return row?.id ?? '';
  }

  interface Planted {
    key: string;
    status?: 'succeeded' | 'pending' | 'declined' | 'cancelled';
    charges?: number;
    withKey?: boolean;
  }

  /** £1.00 through the bank, as the service would have left it, or as it never should. @returns the payment's id */
  async function plant({ key, status = 'succeeded', charges = 1, withKey = true }: Planted): Promise<string> {
    const id = randomUUID();
    await database.sql(
      `INSERT INTO payments (id, customer_id, idempotency_key, from_account_id, to_account_id, currency, amount, rail,
         status, decline_code, decline_message, created_at, completed_at)
       VALUES ($1, $2, $3, 'alice', 'sam', 'GBP', 100, 'bank', $4, CASE WHEN $4 = 'declined' THEN 'declined_by_bank' END,
         CASE WHEN $4 = 'declined' THEN 'No.' END, now(), CASE WHEN $4 <> 'pending' THEN now() END)`,
      [id, customerId, key, status],
    );
    await database.sql(
      `WITH debit AS (UPDATE accounts SET debits_posted = debits_posted + CASE $3 WHEN 'posted' THEN 100 ELSE 0 END,
           debits_pending = debits_pending + CASE $3 WHEN 'pending' THEN 100 ELSE 0 END WHERE id = 'alice'),
         credit AS (UPDATE accounts SET credits_posted = credits_posted + 100
                     WHERE id = 'bank:GBP' AND $3 = 'posted')
       INSERT INTO transfers VALUES (gen_random_uuid(), $2, $1, 'alice', 'bank:GBP', 'GBP', 100, $3, now())`,
      [id, customerId, status === 'succeeded' ? 'posted' : status === 'pending' ? 'pending' : 'voided'],
    );
    for (let charge = 0; charge < charges; charge += 1) {
      bookings.push({ kind: 'charge', reference: id, amount: 100, currency: 'GBP' });
    }
    if (!withKey) return id;
    const body = JSON.stringify(status === 'declined' ? { payment: { id } } : { id });
    await database.insertKeyRow({
      customerId,
      key,
      ...(status === 'pending' || status === 'cancelled'
        ? { recoveryPoint: 'funds_reserved' as const }
        : { answer: { status: status === 'declined' ? 402 : 200, body } }),
    });
    return id;
  }

  describe('in the books of a real bank', () => {
    let bank: BankProcess;
    beforeAll(async () => {
      bank = await startBank();
    });
    afterAll(() => bank.stop());

    test('what it has booked, and what is wrong only for a moment', async () => {
      const id = await plant({ key: 'k1', status: 'pending', charges: 0 });
      await fetch(`${bank.url}/transfers/${id}`, {
        method: 'PUT',
        headers: { authorization: `Bearer ${bank.env.BANK_API_KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ amount: 100, currency: 'GBP', creditor: 'sam' }),
      });
      bookings = await readBookings(bank.env);
      expect(bookings).toMatchObject([{ kind: 'charge', reference: id, amount: 100, currency: 'GBP' }]);
      expect(await broken()).toEqual([]);

      const watcher = await watchRail(database.url, bank.env, 5);
      await new Promise(resolve => setTimeout(resolve, 100));
      await database.sql("UPDATE transfers SET state = 'voided'");
      await new Promise(resolve => setTimeout(resolve, 100));
      await database.sql("UPDATE transfers SET state = 'pending'");
      const { reads, violations } = await watcher.stop();
      expect(reads).toBeGreaterThan(2);
      expect(violations.map(violation => violation.broken)).toContain(
        'posted ≤ charged at the bank ≤ posted and pending',
      );
    });
  });
});
