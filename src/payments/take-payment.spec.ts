import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import type { BankAnswer } from '../bank/bank.client.js';
import type { Claim, Decision } from '../idempotency/operation.js';
import { balanceOf, type Account } from '../ledger/account.entity.js';
import { Books } from '../ledger/books.js';
import { takePayment, type Bank, type PaymentParams } from './take-payment.js';

const at = new Date('2026-01-02T03:04:05.678Z');
const amountMax = 100_000_000;

function account(id: string, members: Partial<Account> = {}): Account {
  return {
    id,
    customerId: `customer ${id}`,
    kind: 'customer',
    currency: 'GBP',
    debitsPending: 0n,
    debitsPosted: 0n,
    creditsPosted: 0n,
    ...members,
  };
}

/** Alice has some money, part of it promised; the bank stands for the world outside; euro holds euros. */
function booksWith(available: bigint, promised = 0n): Books {
  const accounts = [
    account('alice', {
      creditsPosted: 70n + promised + available,
      debitsPosted: 70n,
      debitsPending: promised,
    }),
    account('alice too', { customerId: 'customer alice', creditsPosted: 500n }),
    account('sam'),
    account('euro', { currency: 'EUR', creditsPosted: 1_000_000n }),
    account('bank:GBP', { kind: 'bank', customerId: null }),
  ];
  return new Books(new Map(accounts.map(each => [each.id, each])));
}

const good: PaymentParams = {
  from: 'alice',
  to: 'sam',
  amount: 100,
  currency: 'GBP',
  rail: 'ledger',
  reference: null,
};

function claimOf(params: PaymentParams): Claim<PaymentParams> {
  return {
    attempt: {
      id: 'attempt',
      customerId: 'customer alice',
      key: 'the key',
      operation: takePayment,
      params,
      fingerprint: randomBytes(32),
      windowMs: null,
    },
    keyToRemember: 'the key',
    state: {},
    at,
    expiresAt: at,
  };
}

const decide = (books: Books, params: Partial<PaymentParams> = {}): Decision =>
  takePayment.phases.started.decide(books, claimOf({ ...good, ...params }));

const accountsOf = (books: Books) =>
  ['alice', 'alice too', 'sam', 'euro', 'bank:GBP'].map(id => books.account(id) as Account);
const total = (books: Books) => accountsOf(books).reduce((sum, each) => sum + balanceOf(each).posted, 0n);

/** All that a decision may leave behind. */
const stateOf = (books: Books) =>
  structuredClone({
    accounts: accountsOf(books),
    payments: books.entered.payments,
    transfers: books.entered.transfers,
    touched: [...books.touched],
  });

const bodyOf = (decision: Decision): Record<string, unknown> => {
  if (decision.kind !== 'finish') throw new Error(JSON.stringify(decision));
  return JSON.parse(decision.answer.body) as Record<string, unknown>;
};

const money = fc.bigInt({ min: 0n, max: 2n * BigInt(amountMax) });
const amount = fc.oneof(fc.integer({ min: 1, max: amountMax }), fc.integer({ min: 1, max: 300 }));

describe('the decision on a payment', () => {
  it('is 200 exactly when the money is there and not promised, and 402 otherwise', () => {
    fc.assert(
      fc.property(
        fc.oneof(money, fc.bigInt({ min: 0n, max: 300n })),
        money,
        amount,
        (available, promised, sum) => {
          const books = booksWith(available, promised);
          const before = total(books);
          const decision = decide(books, { amount: sum });

          const isEnough = available >= BigInt(sum);
          expect(decision).toMatchObject({ kind: 'finish', answer: { status: isEnough ? 200 : 402 } });
          const [payer, , payee] = accountsOf(books);
          const moved = isEnough ? BigInt(sum) : 0n;
          expect(balanceOf(payer as Account)).toEqual({
            posted: promised + available - moved,
            pending: promised,
            available: available - moved,
          });
          expect(balanceOf(payee as Account).available).toBe(moved);
          expect(total(books)).toBe(before);
          expect(books.entered.payments).toHaveLength(1);
          expect(books.entered.transfers).toHaveLength(isEnough ? 1 : 0);
          if (!isEnough) expect(books.touched.size).toBe(0);
        },
      ),
    );
  });

  it('pays to the last penny, and not one more', () => {
    expect(decide(booksWith(100n), { amount: 100 })).toMatchObject({ answer: { status: 200 } });
    expect(decide(booksWith(99n), { amount: 100 })).toMatchObject({ answer: { status: 402 } });
    expect(decide(booksWith(0n, 1_000n), { amount: 1 })).toMatchObject({ answer: { status: 402 } });
  });

  it('never lets a series of payments over one balance spend more than it, in whatever order they come', () => {
    const sums = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2_000n }), sums, (available, wanted) => {
        const books = booksWith(available);
        const paid = wanted.filter(sum => {
          const decision = decide(books, { amount: sum });
          expect(balanceOf(accountsOf(books)[0] as Account).available).toBeGreaterThanOrEqual(0n);
          return decision.kind === 'finish' && decision.answer.status === 200;
        });
        const spent = paid.reduce((sum, each) => sum + BigInt(each), 0n);
        expect(balanceOf(accountsOf(books)[0] as Account).available).toBe(available - spent);
        expect(balanceOf(accountsOf(books)[2] as Account).posted).toBe(spent);
        expect(
          books.entered.payments.map(({ status }) => status === 'succeeded').filter(Boolean),
        ).toHaveLength(paid.length);
        expect(new Set(books.entered.payments.map(({ id }) => id)).size).toBe(wanted.length);
        // Whoever was declined could not have been paid from what was left then; a smaller one may have been, later.
        let left = available;
        expect(wanted.map(sum => (left >= BigInt(sum) ? ((left -= BigInt(sum)), true) : false))).toEqual(
          books.entered.payments.map(({ status }) => status === 'succeeded'),
        );
      }),
    );
  });

  it.each<[string, Partial<PaymentParams>, string]>([
    ['more than is ever paid at once', { amount: amountMax + 1 }, 'amount_above_limit'],
    ['somebody else’s account', { from: 'sam', to: 'alice' }, 'not_found'],
    ['an account that is not there', { from: 'nobody' }, 'not_found'],
    ['the bank’s account', { from: 'bank:GBP' }, 'not_found'],
    ['a payee who is not there', { to: 'nobody' }, 'unknown_payee'],
    ['the bank as payee', { to: 'bank:GBP' }, 'unknown_payee'],
    ['oneself as payee', { to: 'alice' }, 'unknown_payee'],
    ['a payee in another currency', { to: 'euro' }, 'currency_mismatch'],
    ['a currency that neither holds', { currency: 'EUR' }, 'currency_mismatch'],
    [
      'a payee in the currency named, but a payer in another',
      { to: 'euro', currency: 'EUR' },
      'currency_mismatch',
    ],
  ])('refuses %s, and leaves the books as they were', (_, params, code) => {
    const books = booksWith(1_000_000_000n);
    const before = stateOf(books);
    expect(decide(books, params)).toMatchObject({ kind: 'refuse', refusal: { code } });
    expect(stateOf(books)).toEqual(before);
  });

  it('refuses or answers, and what it refuses leaves nothing behind, whatever is asked', () => {
    const anyone = fc.constantFrom('alice', 'alice too', 'sam', 'euro', 'bank:GBP', 'nobody');
    fc.assert(
      fc.property(
        money,
        fc.record({
          from: anyone,
          to: anyone,
          amount: fc.oneof(
            amount,
            fc.maxSafeInteger().filter(n => n > 0),
          ),
          currency: fc.constantFrom('GBP', 'EUR', 'JPY'),
          reference: fc.option(fc.string({ maxLength: 140 })),
        }),
        (available, params) => {
          const books = booksWith(available);
          const before = stateOf(books);
          const [sum, decision] = [total(books), decide(books, params)];
          expect(total(books)).toBe(sum);
          if (decision.kind === 'refuse') expect(stateOf(books)).toEqual(before);
          else expect(books.entered.payments).toHaveLength(1);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('takes from the account that was named, also when the payer has several', () => {
    const books = booksWith(0n);
    expect(decide(books, { from: 'alice too' })).toMatchObject({ answer: { status: 200 } });
    expect(decide(booksWith(500n), { from: 'alice too', to: 'alice' })).toMatchObject({
      answer: { status: 200 },
    });
  });

  it('answers with the payment, written in the transaction’s time', () => {
    const books = booksWith(1_000n);
    const body = bodyOf(decide(books, { reference: 'invoice "7" £' }));
    expect(body).toEqual({
      id: books.entered.payments[0]?.id,
      object: 'payment',
      status: 'succeeded',
      from: 'alice',
      to: 'sam',
      amount: 100,
      currency: 'GBP',
      rail: 'ledger',
      reference: 'invoice "7" £',
      decline: null,
      bank_transfer_id: null,
      refunded: 0,
      idempotency_key: 'the key',
      created_at: '2026-01-02T03:04:05.678Z',
      completed_at: '2026-01-02T03:04:05.678Z',
    });
    expect(books.entered.transfers).toEqual([
      {
        id: expect.any(String) as unknown,
        customerId: 'customer alice',
        paymentId: body['id'],
        refundId: null,
        debitAccountId: 'alice',
        creditAccountId: 'sam',
        currency: 'GBP',
        amount: 100n,
        state: 'posted',
        createdAt: at,
      },
    ]);
  });

  it('answers a decline with a problem that carries the payment, and no balance', () => {
    const books = booksWith(99n);
    const body = bodyOf(decide(books));
    expect(body).toMatchObject({
      type: '/problems/insufficient_funds',
      status: 402,
      code: 'insufficient_funds',
      retryable: false,
      payment: {
        id: books.entered.payments[0]?.id,
        status: 'declined',
        decline: { code: 'insufficient_funds' },
      },
    });
    expect(JSON.stringify(body)).not.toMatch(/\b99\b|169/);
  });

  it('asks for both accounts, and no others', () => {
    const needs = (params: Partial<PaymentParams>, state = {}) =>
      takePayment.needs(claimOf({ ...good, ...params }).attempt, state);
    expect(needs({})).toEqual({ accounts: ['alice', 'sam'] });
    expect(needs({ rail: 'bank', to: 'anybody' })).toEqual({ accounts: ['alice', 'bank:GBP'] });
    expect(needs({ rail: 'bank' }, { payment_id: 'p' })).toEqual({
      payments: [{ customerId: 'customer alice', id: 'p' }],
    });
  });
});

describe('the decisions on a payment through the bank', () => {
  const order = { ...good, rail: 'bank', to: 'somebody there' } as const;

  /** As it is once `open` has reserved the funds and the transaction was committed. */
  function reserved(available: bigint) {
    const first = booksWith(available);
    const claim = claimOf(order);
    const opened = takePayment.phases.started.decide(first, claim);
    if (opened.kind !== 'advance') throw new Error(opened.kind);
    const books = new Books(
      new Map(accountsOf(first).map(each => [each.id, each])),
      first.entered.payments.map(payment => ({ ...payment })),
    );
    return { first, books, opened, claim: { ...claim, state: opened.state, at: later } };
  }
  const later = new Date('2026-01-02T03:05:00.000Z');
  const record = (point: 'funds_reserved' | 'transfer_sent', available: bigint, answer: BankAnswer) => {
    const scene = reserved(available);
    const phase = takePayment.phases[point];
    if (phase?.kind !== 'call') throw new Error(point);
    return { ...scene, decision: phase.record(scene.books, scene.claim, answer) };
  };
  const points = fc.constantFrom('funds_reserved' as const, 'transfer_sent' as const);
  const text = fc.string({ minLength: 1, maxLength: 20 });
  const yesOrNo = fc.oneof(
    fc.record({ kind: fc.constant('declined' as const), code: text, message: text }),
    fc.record({
      kind: fc.constant('done' as const),
      transfer: fc.record({ id: text, status: fc.constantFrom('settled' as const, 'returned' as const) }),
    }),
  );
  const neither = fc.record({
    kind: fc.constantFrom('not_sent' as const, 'unknown' as const, 'contradicted' as const),
    reason: text,
  });

  it('reserve the money first, and pay nobody yet', () => {
    const { first, opened } = reserved(1_000n);
    expect(opened).toMatchObject({
      to: 'funds_reserved',
      state: { payment_id: expect.any(String) as unknown },
    });
    const [payer, , sam, , bank] = accountsOf(first);
    expect(balanceOf(payer as Account)).toEqual({ posted: 1_000n, pending: 100n, available: 900n });
    expect([sam, bank].map(each => balanceOf(each as Account).posted)).toEqual([0n, 0n]);
    expect(first.entered.payments[0]).toMatchObject({ status: 'pending', completedAt: null, rail: 'bank' });
    expect(first.entered.transfers).toMatchObject([{ state: 'pending', creditAccountId: 'bank:GBP' }]);
  });

  it('decline at once what the payer does not have: the bank is never asked', () => {
    const books = booksWith(99n);
    expect(takePayment.phases.started.decide(books, claimOf(order))).toMatchObject({
      kind: 'finish',
      answer: { status: 402 },
    });
    expect(books.entered.transfers).toEqual([]);
  });

  it('end only with a yes or a no of the bank’s; the money is gone or back, to the penny', () => {
    fc.assert(
      fc.property(points, amount, yesOrNo, (point, extra, answer) => {
        const available = 100n + BigInt(extra);
        const { books, decision } = record(point, available, answer);
        const isPaid = answer.kind === 'done' && answer.transfer.status === 'settled';
        expect(decision).toMatchObject({ kind: 'finish', answer: { status: isPaid ? 200 : 402 } });
        const [payer, , , , bank] = accountsOf(books);
        expect(balanceOf(payer as Account)).toEqual({
          posted: available - (isPaid ? 100n : 0n),
          pending: 0n,
          available: available - (isPaid ? 100n : 0n),
        });
        expect(balanceOf(bank as Account).posted).toBe(isPaid ? 100n : 0n);
        const [payment] = [...books.changed.payments];
        expect(payment).toMatchObject({ status: isPaid ? 'succeeded' : 'declined', completedAt: later });
        expect(payment?.bankTransferId ?? null).toBe(answer.kind === 'done' ? answer.transfer.id : null);
        expect(books.changed.transfers).toMatchObject([{ state: isPaid ? 'posted' : 'voided' }]);
      }),
    );
  });

  it('change nothing while the bank has said neither: unknown is not failed (I6)', () => {
    fc.assert(
      fc.property(points, neither, (point, answer) => {
        const { books, decision } = record(point, 500n, answer);
        const { reason } = answer;
        expect(decision).toEqual(
          answer.kind === 'contradicted'
            ? { kind: 'park', reason }
            : { kind: 'postpone', because: answer.kind, reason },
        );
        expect(balanceOf(accountsOf(books)[0] as Account)).toMatchObject({ pending: 100n, available: 400n });
        expect([...books.changed.payments, ...books.changed.transfers]).toEqual([]);
      }),
    );
  });

  it('take an accepted transfer for sent, and wait until it has settled', () => {
    const accepted = { kind: 'done', transfer: { id: 'trf_1', status: 'accepted' } } as const;
    const sent = record('funds_reserved', 500n, accepted);
    expect(sent.decision).toEqual({
      kind: 'advance',
      to: 'transfer_sent',
      state: { ...sent.claim.state, bank_transfer_id: 'trf_1' },
    });
    expect(record('transfer_sent', 500n, accepted).decision).toMatchObject({
      kind: 'postpone',
      because: 'not_yet',
    });
  });

  it('give the money back when cancelled, which can happen once', () => {
    const { books, claim } = reserved(500n);
    expect(takePayment.cancel?.(books, claim)).toEqual({ kind: 'cancel' });
    expect(balanceOf(accountsOf(books)[0] as Account)).toMatchObject({ pending: 0n, available: 500n });
    expect([...books.changed.payments]).toMatchObject([{ status: 'cancelled', completedAt: later }]);
    expect(() => takePayment.cancel?.(books, claim)).toThrow('PS-401');
  });

  it.each([
    [false, 0, true],
    [true, 0, true],
    [true, 999, true],
    [true, 1_000, false],
    [false, 1_000, true],
  ])('perhaps sent: %s, %s ms old: may be sent: %s (the bank remembers for a second)', async (...how) => {
    const [mayBeSent, ageMs, maySend] = how;
    const { claim } = reserved(500n);
    const asked: unknown[] = [];
    const bank: Bank = {
      pay: (...call) => {
        asked.push(...call);
        return Promise.resolve({ kind: 'unknown', reason: 'tested' });
      },
      settlement: () => Promise.resolve({ kind: 'unknown', reason: 'tested' }),
    };
    const phase = takePayment.phases.funds_reserved;
    if (phase?.kind !== 'call') throw new Error();
    const { attempt, state } = claim;
    const held = {
      attempt,
      state,
      point: 'funds_reserved',
      epoch: 1,
      attempts: 1,
      mayBeSent,
      ageMs,
    } as const;
    const { signal } = new AbortController();
    await phase.call({ bank, bankMemoryMs: 1_000 }, held, signal);
    const reference = state.payment_id;
    expect(asked).toEqual([
      { reference, amount: 100n, currency: 'GBP', creditor: 'somebody there' },
      { mayBeSent, maySend, signal },
    ]);
  });
});
