import type { EntityManager } from 'typeorm';
import type { BankRail } from './take-payment.js';
import type { Books } from '../ledger/books.js';
import type { AtomicPhase, CallPhase, Decision, Params } from '../idempotency/operation.js';

const decision: Decision = { kind: 'cancel' };

/** These are checked by the compiler: each `@ts-expect-error` fails the build should the line below it be allowed. */
describe('the two kinds of phase are kept apart by their types', () => {
  it('an atomic phase gets no way out of this process, and does not wait', () => {
    const phase: AtomicPhase<Params, Books> = {
      kind: 'atomic',
      // @ts-expect-error There is no third parameter to reach anybody by.
      decide: (_books, _claim, _bank: BankRail) => decision,
    };
    const waiting: AtomicPhase<Params, Books> = {
      kind: 'atomic',
      // @ts-expect-error A decision is made at once: what waits would hold the locks of everybody in the batch.
      decide: () => Promise.resolve(decision),
    };
    expect([phase.kind, waiting.kind]).toEqual(['atomic', 'atomic']);
  });

  it('a call gets no transaction and no books', () => {
    const withTransaction: CallPhase<Params, Books, BankRail> = {
      kind: 'call',
      // @ts-expect-error What it is given in the second place is who holds the key, not a transaction.
      call: (_bank, tx: EntityManager) => tx.query('SELECT 1'),
      record: () => decision,
    };
    const withBooks: CallPhase<Params, Books, BankRail> = {
      kind: 'call',
      // @ts-expect-error The books are closed while somebody else is asked.
      call: (books: Books) => Promise.resolve(books.account('alice')),
      record: () => decision,
    };
    expect([withTransaction.kind, withBooks.kind]).toEqual(['call', 'call']);
  });

  it('what came of a call is recorded over the books, without a way out', () => {
    const recording: CallPhase<Params, Books, BankRail> = {
      kind: 'call',
      call: () => Promise.resolve(null),
      // @ts-expect-error There is no fourth parameter to reach anybody by.
      record: (_books, _claim, _result, _bank: BankRail) => decision,
    };
    expect(recording.kind).toBe('call');
  });
});
