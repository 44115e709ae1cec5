import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import { createDataSource } from '../../src/data-source.js';
import { inTransaction } from '../../src/database/transaction.js';
import { closeBooks, openBooks } from '../../src/ledger/books.js';
import type { Payment } from '../../src/payments/payment.entity.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { checkMoney } from '../support/invariants.js';

/** The books are opened, written in, and closed, without the engine: what was decided is what is then there. */
describe('the books hold what was decided', () => {
  let database: Database;
  let dataSource: DataSource;
  let alice: Customer;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 1_000 });
    await database.addCustomer({ name: 'sam' });
    dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
  });
  afterEach(async () => {
    expect(await checkMoney(database.sql)).toEqual([]);
  });
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const within = <T>(work: (tx: EntityManager) => Promise<T>) =>
    inTransaction(dataSource, { lockTimeoutMs: 1_000, statementTimeoutMs: 1_000 }, work);
  const at = new Date(Date.UTC(2030, 0, 1));
  const newPayment = (): Payment => ({
    customerId: alice.id,
    id: randomUUID(),
    idempotencyKey: randomUUID(),
    fromAccountId: 'alice',
    toAccountId: 'sam',
    currency: 'GBP',
    amount: 100n,
    rail: 'ledger',
    reference: null,
    status: 'succeeded',
    declineCode: null,
    declineMessage: null,
    bankTransferId: null,
    refunded: 0n,
    createdAt: at,
    completedAt: at,
  });
  const transferOf = ({ id: paymentId, customerId, amount, currency }: Payment) => ({
    id: randomUUID(),
    customerId,
    paymentId,
    refundId: null,
    debitAccountId: 'alice',
    creditAccountId: 'sam',
    currency,
    amount,
    state: 'posted' as const,
    createdAt: at,
  });

  it('accounts as they stand, a payment, its refund, and both transfers', async () => {
    const payment = newPayment();
    await within(async tx => {
      const books = await openBooks(tx, [{ accounts: ['alice', 'sam', 'nobody'] }]);
      expect(books.account('nobody')).toBeUndefined();
      expect(books.account('alice')).toEqual({
        id: 'alice',
        customerId: alice.id,
        kind: 'customer',
        currency: 'GBP',
        debitsPending: 0n,
        debitsPosted: 0n,
        creditsPosted: 1_000n,
      });
      books.enter(payment);
      books.post(transferOf(payment));
      await closeBooks(tx, books);
    });

    const refundId = randomUUID();
    await within(async tx => {
      const books = await openBooks(tx, [{ payments: [{ customerId: alice.id, id: payment.id }] }]);
      const opened = books.payment({ customerId: alice.id, id: payment.id });
      expect(opened).toEqual(payment);
      expect(books.payment({ customerId: randomUUID(), id: payment.id })).toBeUndefined();
      books.enterRefund({
        customerId: alice.id,
        id: refundId,
        paymentId: payment.id,
        idempotencyKey: 'refund',
        fromAccountId: 'sam',
        toAccountId: 'alice',
        currency: 'GBP',
        amount: 40n,
        rail: 'ledger',
        status: 'succeeded',
        declineCode: null,
        declineMessage: null,
        createdAt: at,
        completedAt: at,
      });
      books.post({
        ...transferOf(payment),
        refundId,
        debitAccountId: 'sam',
        creditAccountId: 'alice',
        amount: 40n,
      });
      books.change({ ...payment, refunded: 40n });
      await closeBooks(tx, books);
    });

    expect(await database.sql('SELECT id, payment_id, amount FROM refunds')).toEqual([
      { id: refundId, payment_id: payment.id, amount: 40 },
    ]);
    expect(await database.sql('SELECT refunded FROM payments')).toEqual([{ refunded: 40 }]);
    expect(
      await database.sql(
        "SELECT id, credits_posted - debits_posted AS posted FROM accounts WHERE kind = 'customer' ORDER BY id",
      ),
    ).toEqual([
      { id: 'alice', posted: 940 },
      { id: 'sam', posted: 60 },
    ]);
  });

  it('or nothing: a row that is not there to be changed is a mistake of ours', async () => {
    const rows = () => database.sql('SELECT id, xmin::text FROM payments ORDER BY id');
    const before = await rows();
    const failed = within(async tx => {
      const books = await openBooks(tx, []);
      books.change(newPayment());
      await closeBooks(tx, books);
    });
    await expect(failed).rejects.toThrow(/^PS-203/);
    expect(await rows()).toEqual(before);
  });
});
