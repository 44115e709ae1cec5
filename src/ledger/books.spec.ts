import fc from 'fast-check';
import { Bug } from '../bug.js';
import { accountToJson, balanceOf, type Account } from './account.entity.js';
import { Books } from './books.js';
import type { Payment } from '../payments/payment.entity.js';
import type { Transfer } from './transfer.entity.js';

const at = new Date('2026-01-02T03:04:05.678Z');
const names = ['alice', 'bob', 'sam', 'bank:GBP'];

function account(id: string, members: Partial<Account> = {}): Account {
  const isBank = id.startsWith('bank');
  return {
    id,
    customerId: isBank ? null : id,
    kind: isBank ? 'bank' : 'customer',
    currency: 'GBP',
    debitsPending: 0n,
    debitsPosted: 0n,
    creditsPosted: 0n,
    ...members,
  };
}

function transfer(debitAccountId: string, creditAccountId: string, amount: bigint): Transfer {
  return {
    id: 'transfer',
    customerId: null,
    paymentId: null,
    refundId: null,
    debitAccountId,
    creditAccountId,
    currency: 'GBP',
    amount,
    state: 'posted',
    createdAt: at,
  };
}

const amount = fc.oneof(fc.bigInt({ min: 1n, max: 1_000n }), fc.bigInt({ min: 1n, max: 2n ** 60n }));

/** Books in which nobody is in the red, and part of the money may be promised. */
const opened = fc.tuple(
  ...names.map(id =>
    fc
      .tuple(amount, amount, amount)
      .map(([spent, promised, left]) =>
        account(id, { debitsPosted: spent, debitsPending: promised, creditsPosted: spent + promised + left }),
      ),
  ),
);
const moves = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names), amount), {
  maxLength: 30,
});

const booksOf = (accounts: Account[]) => new Books(new Map(accounts.map(each => [each.id, each])));
const total = (accounts: Account[]) => accounts.reduce((sum, each) => sum + balanceOf(each).posted, 0n);

/** @returns whether the books took it */
function tryToPost(books: Books, move: Transfer): boolean {
  try {
    books.post(move);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(Bug);
    return false;
  }
}

describe('a balance', () => {
  it('is what came in less what went out; what is promised cannot be spent again', () => {
    fc.assert(
      fc.property(amount, amount, amount, (creditsPosted, debitsPosted, debitsPending) => {
        const balance = balanceOf(account('alice', { creditsPosted, debitsPosted, debitsPending }));
        expect(balance).toEqual({
          posted: creditsPosted - debitsPosted,
          pending: debitsPending,
          available: creditsPosted - debitsPosted - debitsPending,
        });
      }),
    );
  });

  it('is shown in minor units, as numbers', () => {
    const shown = accountToJson(
      account('alice', { creditsPosted: 1_000n, debitsPosted: 300n, debitsPending: 200n }),
    );
    expect(shown).toEqual({
      id: 'alice',
      object: 'account',
      currency: 'GBP',
      balance: { posted: 700, pending: 200, available: 500 },
    });
  });
});

describe('the books', () => {
  it('neither make money nor lose any, whatever is posted', () => {
    fc.assert(
      fc.property(opened, moves, (accounts, wanted) => {
        const books = booksOf(accounts);
        const before = total(accounts);
        for (const [from, to, sum] of wanted) tryToPost(books, transfer(from, to, sum));
        expect(total(accounts)).toBe(before);
      }),
    );
  });

  it('let no customer spend what is not there, or what is promised; only a bank may go below zero', () => {
    fc.assert(
      fc.property(opened, moves, (accounts, wanted) => {
        const books = booksOf(accounts);
        for (const [from, to, sum] of wanted) {
          const payer = books.account(from);
          const had = payer && balanceOf(payer).available;
          const isEnough = payer?.kind === 'bank' || (had ?? 0n) >= sum;
          expect(tryToPost(books, transfer(from, to, sum))).toBe(isEnough);
          if (!isEnough) break;
          for (const each of accounts) {
            if (each.kind === 'customer') expect(balanceOf(each).available).toBeGreaterThanOrEqual(0n);
          }
        }
      }),
    );
  });

  it('move one amount from one account to the other, and touch no third', () => {
    fc.assert(
      fc.property(
        opened,
        fc.shuffledSubarray(names, { minLength: 2, maxLength: 2 }),
        amount,
        (accounts, [from = '', to = ''], sum) => {
          const books = booksOf(accounts);
          const before = new Map(accounts.map(each => [each.id, balanceOf(each)]));
          fc.pre(from.startsWith('bank') || (before.get(from)?.available ?? 0n) >= sum);
          books.post(transfer(from, to, sum));
          for (const each of accounts) {
            const change = each.id === from ? -sum : each.id === to ? sum : 0n;
            const was = before.get(each.id);
            expect(balanceOf(each)).toEqual({
              posted: (was?.posted ?? 0n) + change,
              pending: was?.pending,
              available: (was?.available ?? 0n) + change,
            });
          }
          expect(new Set([...books.touched].map(({ id }) => id))).toEqual(new Set([from, to]));
          expect(books.entered.transfers).toHaveLength(1);
        },
      ),
    );
  });

  it('promise money without moving it, and then move it or give it back', () => {
    const promises = fc.array(fc.tuple(fc.constantFrom('alice', 'bob', 'sam'), amount, fc.boolean()), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(opened, promises, (accounts, wanted) => {
        const books = booksOf(accounts);
        const before = new Map(accounts.map(each => [each.id, balanceOf(each)]));
        const sum = total(accounts);
        const kept = wanted.filter(([from, worth]) => {
          const available = balanceOf(books.account(from) as Account).available;
          try {
            books.reserve({ ...transfer(from, 'bank:GBP', worth), state: 'pending' });
          } catch (error) {
            expect(error).toBeInstanceOf(Bug);
            expect(worth).toBeGreaterThan(available);
            return false;
          }
          expect(worth).toBeLessThanOrEqual(available);
          return true;
        });
        expect(total(accounts)).toBe(sum);
        for (const each of accounts) {
          const promised = kept
            .filter(([from]) => from === each.id)
            .reduce((all, [, worth]) => all + worth, 0n);
          expect(balanceOf(each).posted).toBe(before.get(each.id)?.posted);
          expect(balanceOf(each).pending).toBe((before.get(each.id)?.pending ?? 0n) + promised);
        }

        for (const [from, worth, isPaid] of kept) {
          const move = transfer(from, 'bank:GBP', worth);
          if (isPaid) books.postReserved(move);
          else books.voidReserved(move);
        }
        expect(total(accounts)).toBe(sum);
        for (const each of accounts) {
          const isBank = each.kind === 'bank';
          const paid = kept
            .filter(([from, , isPaid]) => isPaid && (isBank || from === each.id))
            .reduce((all, [, worth]) => all + worth, 0n);
          expect(balanceOf(each).pending).toBe(before.get(each.id)?.pending);
          expect(balanceOf(each).posted).toBe((before.get(each.id)?.posted ?? 0n) + (isBank ? paid : -paid));
        }
        expect(books.changed.transfers.map(({ state }) => state)).toEqual(
          kept.map(([, , isPaid]) => (isPaid ? 'posted' : 'voided')),
        );
      }),
    );
  });

  it('leave the bank’s account alone while money is only promised to it: everybody would wait for it', () => {
    const accounts = [account('alice', { creditsPosted: 100n }), account('bank:GBP')];
    const books = booksOf(accounts);
    books.reserve(transfer('alice', 'bank:GBP', 60n));
    books.voidReserved(transfer('alice', 'bank:GBP', 60n));
    expect([...books.touched].map(({ id }) => id)).toEqual(['alice']);
  });

  it('open a payment for its own customer only', () => {
    const payment = { customerId: 'alice', id: 'p' } as Payment;
    const books = new Books(new Map(), [payment]);
    expect(books.payment({ customerId: 'alice', id: 'p' })).toBe(payment);
    expect(books.payment({ customerId: 'bob', id: 'p' })).toBeUndefined();
    expect(books.payment({ customerId: 'alice', id: 'q' })).toBeUndefined();
  });

  it('know only the accounts they were opened for', () => {
    const books = booksOf([account('alice', { creditsPosted: 100n })]);
    expect(books.account('sam')).toBeUndefined();
    for (const move of [transfer('alice', 'sam', 1n), transfer('sam', 'alice', 1n)]) {
      expect(() => {
        books.post(move);
      }).toThrow(/^PS-202/);
    }
    expect(books.entered.transfers).toEqual([]);
    expect(books.touched.size).toBe(0);
    expect(balanceOf(books.account('alice') as Account).posted).toBe(100n);
  });
});
