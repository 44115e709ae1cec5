import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import { createDataSource } from '../../src/data-source.js';
import { inTransaction } from '../../src/database/transaction.js';
import { lockHeldKeys, recordAnswers, recordProgress, type Progress } from '../../src/idempotency/claim.js';
import type { Attempt, Claim, Held } from '../../src/idempotency/operation.js';
import { takePayment, type PaymentParams } from '../../src/payments/take-payment.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';

/**
 * Two walls keep a holder out that was taken over: it cannot lock the key under its old epoch, and what it writes under
 * its old epoch touches no row. Each of them holds alone.
 */
describe('an old epoch writes nothing', () => {
  let database: Database;
  let dataSource: DataSource;
  let alice: Customer;

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

  const attemptAt = (key: string): Attempt<PaymentParams> => ({
    id: randomUUID(),
    customerId: alice.id,
    key,
    operation: takePayment,
    params: { from: 'alice', to: 'sam', amount: 100, currency: 'GBP', rail: 'bank', reference: null },
    windowMs: null,
    fingerprint: Buffer.alloc(32),
  });
  const heldAt = (key: string, epoch: number): Held =>
    ({
      attempt: attemptAt(key),
      point: 'funds_reserved',
      state: {},
      epoch,
      attempts: 1,
      mayBeSent: true,
      ageMs: 0,
    }) as never;
  const progressAt = (key: string, epoch: number): Progress => ({
    customerId: alice.id,
    key,
    epoch,
    point: 'transfer_sent',
    state: { written_by: String(epoch) },
    mayBeSent: true,
    lockedForMs: 1_000,
    parkedBecause: null,
    attemptsGivenBack: 0,
  });
  const answerAt = (key: string, epoch: number) => {
    const at = new Date();
    const claim: Claim = { attempt: attemptAt(key), keyToRemember: key, state: {}, at, expiresAt: at };
    return { claim, epoch, answer: { status: 200, body: '{}' } as const };
  };
  const within = <T>(work: (tx: EntityManager) => Promise<T>) =>
    inTransaction(dataSource, { lockTimeoutMs: 1_000, statementTimeoutMs: 1_000 }, async (tx, begun) => {
      await begun;
      return work(tx);
    });
  const rows = () =>
    database.sql('SELECT key, epoch, recovery_point, state, xmin::text FROM idempotency_keys ORDER BY key');
  /** Taken over twice: its holder is of the third epoch. */
  const plant = (key: string) =>
    database.insertKeyRow({ customerId: alice.id, key, recoveryPoint: 'funds_reserved', epoch: 3 });

  it('nor can it be locked: whoever asks is told that it is not his any more', async () => {
    await plant('mine');
    await plant('taken-over');
    const holders = [heldAt('taken-over', 1), heldAt('mine', 3), heldAt('taken-over', 2), heldAt('gone', 1)];
    const found = await within(tx => lockHeldKeys(tx, holders));
    expect(found.map(row => row?.key)).toEqual([undefined, 'mine', undefined, undefined]);
    // Both of one key in one batch: the one that was taken over, and the one that did it.
    const both = await within(tx => lockHeldKeys(tx, [heldAt('mine', 2), heldAt('mine', 3)]));
    expect(both.map(row => row?.epoch)).toEqual([undefined, 3]);
  });

  it.each([
    [
      'an answer',
      'PS-101',
      (tx: EntityManager, epoch: number) => recordAnswers(tx, [answerAt('key', epoch)], new Date()),
    ],
    [
      'a recovery point',
      'PS-110',
      (tx: EntityManager, epoch: number) => recordProgress(tx, [progressAt('key', epoch)]),
    ],
  ] as const)(
    '%s that names an old one is a mistake of ours (%s), and nothing is written',
    async (_, id, record) => {
      await plant('key');
      const before = await rows();
      for (const epoch of [1, 2, 4]) await expect(within(tx => record(tx, epoch))).rejects.toThrow(id);
      expect(await rows()).toEqual(before);

      await within(tx => record(tx, 3));
      expect(await rows()).not.toEqual(before);
    },
  );
});
