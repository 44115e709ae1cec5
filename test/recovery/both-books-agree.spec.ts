import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { createDataSource } from '../../src/data-source.js';
import type { Difference } from '../../src/recovery/events.js';
import { Reconciler } from '../../src/recovery/reconciler.js';
import { readSettings } from '../../src/settings.js';
import { connect, createDatabase, type Customer, type Database } from '../support/database.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { AnotherBank } from './another-bank.js';
import { plantPayment, type PlantedPayment } from './bank-payments.js';

/** Ours and the bank's are compared both ways; whatever differs is found, and nothing else is. */
describe('our books and the bank’s agree, or somebody is told', () => {
  let database: Database;
  let dataSource: DataSource;
  let alice: Customer;
  let bank: AnotherBank;
  let reconciler: Reconciler;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 1_000_000 });
    dataSource = await createDataSource({
      databaseUrl: database.url,
      databaseConnectionsMax: 10,
    }).initialize();
  });
  beforeEach(async () => {
    await database.sql('TRUNCATE bank_bookings, payments CASCADE');
    bank = new AnotherBank();
    reconciler = newReconciler(bank);
  });
  afterEach(() => expectNoLeaks(database.sql));
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const newReconciler = (at: AnotherBank, env: Record<string, string> = {}) =>
    new Reconciler(dataSource, at, readSettings({ DATABASE_URL: database.url, ...env }));
  const plant = (payment?: PlantedPayment) => plantPayment(database.sql, alice, payment);
  const copy = () => database.sql('SELECT * FROM bank_bookings ORDER BY sequence');

  it('nothing differs where there is nothing', async () => {
    expect(await reconciler.runOnce()).toEqual({
      copied: 0,
      payments: 0,
      differencesFound: 0,
      differences: [],
    });
  });

  it('nothing differs while all is well: paid, declined, returned, cancelled, in flight, or not the bank’s', async () => {
    const [paid, returned, charged, returning] = [
      await plant(),
      await plant({ status: 'declined' }),
      await plant({ status: 'pending' }),
      await plant({ status: 'pending' }),
    ];
    await plant({ status: 'pending' });
    await plant({ status: 'declined' });
    await plant({ status: 'cancelled' });
    await plant({ rail: 'ledger' });
    bank.book({ reference: paid }, { reference: returned }, { reference: charged }, { reference: returning });
    bank.book({ reference: returned, kind: 'return' }, { reference: returning, kind: 'return' });

    expect(await reconciler.runOnce()).toEqual({
      copied: 6,
      payments: 7,
      differencesFound: 0,
      differences: [],
    });
    expect(await copy()).toEqual(
      bank.bookings.map(({ transferId, bookedAt, amount, ...booking }) => ({
        ...booking,
        amount: Number(amount),
        transfer_id: transferId,
        booked_at: bookedAt,
      })),
    );
  });

  const ours = (status: string) => ({ amount: 100n, currency: 'GBP', status });
  const theirs = (amount: bigint, charges: number, returns: number, currency = 'GBP') => ({
    amount,
    currency,
    charges,
    returns,
  });
  const back = { kind: 'return' } as const;

  it.each<[string, PlantedPayment, object[], Omit<Difference, 'reference'>]>([
    [
      'a payment of which the bank knows nothing',
      {},
      [],
      { kind: 'unknown_to_bank', ours: ours('succeeded'), theirs: null },
    ],
    [
      'a payment that was charged twice',
      {},
      [{}, {}],
      { kind: 'charged_twice', ours: ours('succeeded'), theirs: theirs(200n, 2, 0) },
    ],
    [
      'one of whose two charges was given back',
      {},
      [{}, {}, back],
      { kind: 'charged_twice', ours: ours('succeeded'), theirs: theirs(100n, 2, 1) },
    ],
    [
      'a payment in flight, already charged twice',
      { status: 'pending' },
      [{}, {}],
      { kind: 'charged_twice', ours: ours('pending'), theirs: theirs(200n, 2, 0) },
    ],
    [
      'a payment that was given back twice',
      { status: 'declined' },
      [{}, back, back],
      { kind: 'returned_twice', ours: ours('declined'), theirs: theirs(-100n, 1, 2) },
    ],
    [
      'another amount',
      {},
      [{ amount: 99n }],
      { kind: 'amount_differs', ours: ours('succeeded'), theirs: theirs(99n, 1, 0) },
    ],
    [
      'another currency',
      {},
      [{ currency: 'EUR' }],
      { kind: 'amount_differs', ours: ours('succeeded'), theirs: theirs(100n, 1, 0, 'EUR') },
    ],
    [
      'another amount in flight, which no end will put right',
      { status: 'pending' },
      [{ amount: 10_000n }],
      { kind: 'amount_differs', ours: ours('pending'), theirs: theirs(10_000n, 1, 0) },
    ],
    [
      'a return of a part, in another currency',
      { status: 'declined' },
      [{}, { ...back, amount: 40n, currency: 'EUR' }],
      { kind: 'amount_differs', ours: ours('declined'), theirs: theirs(60n, 1, 1, 'EUR/GBP') },
    ],
    [
      'a charge for a payment that was declined',
      { status: 'declined' },
      [{}],
      { kind: 'charged_though_declined', ours: ours('declined'), theirs: theirs(100n, 1, 0) },
    ],
    [
      'a charge for a payment that was cancelled',
      { status: 'cancelled' },
      [{}],
      { kind: 'charged_though_cancelled', ours: ours('cancelled'), theirs: theirs(100n, 1, 0) },
    ],
    [
      'a payment that the bank gave back',
      {},
      [{}, back],
      { kind: 'returned_though_succeeded', ours: ours('succeeded'), theirs: theirs(0n, 1, 1) },
    ],
    [
      'a charge for a payment that never went to the bank',
      { rail: 'ledger' },
      [{}],
      { kind: 'unknown_to_us', ours: null, theirs: theirs(100n, 1, 0) },
    ],
  ])('finds %s', async (_, payment, bookings, difference) => {
    const healthy = await plant();
    const reference = await plant(payment);
    bank.book({ reference: healthy }, ...bookings.map(booking => ({ reference, ...booking })));
    const { differences, differencesFound } = await reconciler.runOnce();
    expect(differences).toEqual([{ ...difference, reference }]);
    expect(differencesFound).toBe(1);
    // It does not go away by being seen.
    expect((await reconciler.runOnce()).differences).toEqual(differences);
  });

  it.each([randomUUID(), 'not-one-of-yours', 'DROP_TABLE', '0'])(
    'finds a charge that is none of ours (%s)',
    async reference => {
      bank.book({ reference, amount: 5n });
      expect((await reconciler.runOnce()).differences).toEqual([
        { kind: 'unknown_to_us', reference, ours: null, theirs: theirs(5n, 1, 0) },
      ]);
    },
  );

  it('counts all differences, and lists a thousand', async () => {
    bank.book(...Array.from({ length: 1_234 }, (_, index) => ({ reference: `stranger-${index}` })));
    const { differences, ...counts } = await reconciler.runOnce();
    expect(counts).toEqual({ copied: 1_234, payments: 0, differencesFound: 1_234 });
    expect(differences).toHaveLength(1_000);
  });

  it('a payment that ends while the statement is copied is no difference, and one that ended before is', async () => {
    const before = await plant({ endedMsAgo: 2 });
    await sleep(5);
    bank.meanwhile = async () => {
      bank.meanwhile = () => Promise.resolve();
      // Charged after this page was shown, paid or declined by the time of the comparison.
      await plant({ endedMsAgo: 0 });
      const declined = await plant({ status: 'declined', endedMsAgo: 0 });
      bank.book({ reference: declined });
    };
    const { payments, differences } = await reconciler.runOnce();
    expect(payments).toBe(3);
    expect(differences.map(({ kind, reference }) => [kind, reference])).toEqual([
      ['unknown_to_bank', before],
    ]);
  });

  it('goes on where it stopped, page by page, when the bank goes away and comes back', async () => {
    bank = new AnotherBank(10);
    bank.book(
      ...(await Promise.all(Array.from({ length: 25 }, () => plant()))).map(reference => ({ reference })),
    );
    bank.pagesLeft = 2;
    await expect(newReconciler(bank).runOnce()).rejects.toThrow('could not connect');
    expect(await copy()).toHaveLength(20);

    bank.pagesLeft = Infinity;
    expect(await newReconciler(bank).runOnce()).toMatchObject({ copied: 5, differencesFound: 0 });
    expect(await newReconciler(bank).runOnce()).toMatchObject({ copied: 0, differencesFound: 0 });
    bank.book({ reference: await plant() });
    expect(await newReconciler(bank).runOnce()).toMatchObject({
      copied: 1,
      payments: 26,
      differencesFound: 0,
    });
    expect(bank.asked).toEqual([0, 10, 20, 20, 25, 25, 25, 26]);
  });

  it('does not chase a bank that books faster than pages are asked for', async () => {
    bank.book(...Array.from({ length: 20 }, (_, index) => ({ reference: `stranger-${index}` })));
    bank.meanwhile = () => {
      bank.book({ reference: `stranger-${bank.bookings.length}` });
      return Promise.resolve();
    };
    expect((await reconciler.runOnce()).copied).toBe(22);
    expect(bank.asked).toHaveLength(2);
  });

  it('two at once, and two more, copy each booking once and find the same', async () => {
    bank = new AnotherBank(50);
    const references = await Promise.all(Array.from({ length: 300 }, () => plant()));
    bank.book(...references.map(reference => ({ reference })), { reference: 'stranger' });
    const results = await Promise.all(Array.from({ length: 4 }, () => newReconciler(bank).runOnce()));
    expect(results.map(({ copied }) => copied).reduce((a, b) => a + b)).toBe(301);
    for (const { differences } of results) expect(differences).toMatchObject([{ reference: 'stranger' }]);
    expect(await copy()).toHaveLength(301);
  });

  it('compares without waiting for anybody who pays at that moment, and without making anybody wait', async () => {
    const reference = await plant();
    bank.book({ reference });
    const payer = await connect(database.url);
    try {
      await payer.sql('BEGIN');
      await payer.sql('UPDATE payments SET refunded = 1');
      // It lets nobody in but those who only read, and lock no row.
      await payer.sql('LOCK TABLE payments IN EXCLUSIVE MODE');
      expect(await reconciler.runOnce()).toMatchObject({ payments: 1, differencesFound: 0 });
    } finally {
      await payer.end();
    }
  });

  it('compares nothing once it is told to stop: what it has copied it keeps', async () => {
    const stopping = new AbortController();
    bank.book({ reference: 'stranger' });
    bank.meanwhile = () => {
      stopping.abort();
      return Promise.resolve();
    };
    await expect(reconciler.runOnce(stopping.signal)).rejects.toThrow(/aborted/);
    expect(await copy()).toHaveLength(1);
  });

  it('keeps on while the bank is away, tells of it, and stops at once when it is told to', async () => {
    const seen: { copied?: number; error?: unknown }[] = [];
    const listener = (event: unknown) => seen.push(event as { copied?: number; error?: unknown });
    subscribe('paysam.recovery', listener);
    try {
      bank.pagesLeft = 0;
      bank.book({ reference: 'stranger' });
      const stopping = new AbortController();
      const running = newReconciler(bank, { RECONCILE_EVERY_MS: '20' }).run(stopping.signal);
      await until(() => seen.some(({ error }) => error instanceof Error));
      expect(await copy()).toEqual([]);
      bank.pagesLeft = Infinity;
      await until(() => seen.some(({ copied }) => copied === 1));
      expect(seen.find(({ copied }) => copied === 1)).toMatchObject({
        worker: 'reconciler',
        differences: [{ kind: 'unknown_to_us' }],
      });
      stopping.abort();
      await running;
    } finally {
      unsubscribe('paysam.recovery', listener);
    }

    const stopping = new AbortController();
    const resting = newReconciler(bank, { RECONCILE_EVERY_MS: '3600000' }).run(stopping.signal);
    const began = performance.now();
    stopping.abort();
    await resting;
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});

async function until(isTrue: () => boolean): Promise<void> {
  for (let looks = 0; looks < 500 && !isTrue(); looks += 1) await sleep(10);
  expect(isTrue()).toBe(true);
}
