import type { EntityManager } from 'typeorm';
import { newId } from '../database/new-id.js';
import { problemToJson } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import type { Answer, Claim, Decision, Operation, Owner, Recalled } from '../idempotency/operation.js';
import { balanceOf } from '../ledger/account.entity.js';
import type { Books } from '../ledger/books.js';
import { limits } from '../settings.js';
import { Payment, paymentToJson } from './payment.entity.js';

/** What the caller asked for, every default spelled out: this is what is fingerprinted and stored. */
export type PaymentParams = {
  readonly from: string;
  readonly to: string;
  /** Minor units. */
  readonly amount: number;
  readonly currency: string;
  readonly rail: 'ledger';
  readonly reference: string | null;
};

/**
 * The life of a payment. Start reading here.
 *
 * A caller has sent `POST /payments` with an idempotency key. By now the caller is authenticated, the key is
 * well formed and the body is valid. The engine begins a transaction and inserts the key's row: if somebody
 * was there before, the caller gets their answer and this file is never reached. Otherwise the key is ours, the
 * two accounts are locked, and `pay` decides. Then the engine writes what was decided (the payment, its
 * transfer, both balances, and the answer on the key's row) and commits. Only then does the caller hear of it.
 *
 * All of that is one transaction, so there is no moment at which Sam has the money and the key does not know,
 * or the key says paid and Sam has nothing. And since nobody is asked outside this database, the transaction is
 * shared with whoever else is paying at that moment.
 */
export const takePayment: Operation<PaymentParams, Books> = {
  name: 'payment',
  accounts: ({ from, to }) => [from, to],
  phases: {
    started: { kind: 'atomic', decide: pay },
  },
  memory: { constraint: 'payments_remember_their_key', recall: recallPayment },
};

/**
 * Decides one payment over the open books. It may run again, when the transaction is repeated; until COMMIT
 * nothing it did is true.
 */
function pay(books: Books, claim: Claim<PaymentParams>): Decision {
  const { attempt, at } = claim;
  const { from, to, currency, rail, reference } = attempt.params;
  const amount = BigInt(attempt.params.amount);

  // Mistakes first. They are refused, not declined: nothing is stored, and the same key may try again.
  if (amount > BigInt(limits.amountMax)) {
    return refuse('amount_above_limit', `amount: at most ${limits.amountMax} minor units are paid at once.`);
  }
  const payer = books.account(from);
  if (payer?.customerId !== attempt.customerId) {
    return refuse('not_found', 'from: you have no account with this id.');
  }
  const payee = books.account(to);
  if (payee?.kind !== 'customer' || payee === payer) {
    return refuse('unknown_payee', 'to: there is no account with this id that you could pay.');
  }
  if (payer.currency !== currency || payee.currency !== currency) {
    return refuse('currency_mismatch', 'currency: both accounts must hold the currency of the payment.');
  }

  const payment: Payment = {
    customerId: attempt.customerId,
    id: newId(),
    idempotencyKey: attempt.key,
    fromAccountId: from,
    toAccountId: to,
    currency,
    amount,
    rail,
    reference,
    status: 'succeeded',
    declineCode: null,
    declineMessage: null,
    bankTransferId: null,
    refunded: 0n,
    createdAt: at,
    completedAt: at,
  };

  // A decline is an answer like any other: it is stored, and a repeat is declined again, whatever the balance
  // is by then.
  if (balanceOf(payer).available < amount) {
    payment.status = 'declined';
    payment.declineCode = 'insufficient_funds';
    payment.declineMessage = 'The account does not hold enough money.';
    books.enter(payment);
    return { kind: 'finish', answer: answerFor(payment) };
  }

  books.enter(payment);
  books.post({
    id: newId(),
    customerId: attempt.customerId,
    paymentId: payment.id,
    debitAccountId: from,
    creditAccountId: to,
    currency,
    amount,
    state: 'posted',
    createdAt: at,
  });
  return { kind: 'finish', answer: answerFor(payment) };
}

/** The answer to a payment's caller: 200 with the payment, or 402 with a problem that carries it. */
function answerFor(payment: Payment): Answer {
  const json = paymentToJson(payment);
  if (payment.status !== 'declined') return { status: 200, body: JSON.stringify(json) };
  const problem = problemToJson(payment.declineCode as ProblemCode, payment.declineMessage ?? '', {
    payment: json,
  });
  return { status: 402, body: JSON.stringify(problem) };
}

/**
 * The key's row is gone, reaped after its time; the payment is not, and it remembers the key. Its first answer is
 * put together again, byte for byte: as the payment was then, before any refund.
 */
async function recallPayment(tx: EntityManager, owner: Owner): Promise<Recalled<PaymentParams> | null> {
  const payment = await tx.findOneBy(Payment, { customerId: owner.customerId, idempotencyKey: owner.key });
  if (!payment?.completedAt) return null;
  const { fromAccountId: from, toAccountId: to, currency, reference } = payment;
  return {
    params: { from, to, amount: Number(payment.amount), currency, rail: 'ledger', reference },
    answer: answerFor(Object.assign(payment, { refunded: 0n })),
    finishedAt: payment.completedAt,
  };
}

function refuse(code: ProblemCode, detail: string): Decision {
  return { kind: 'refuse', refusal: { code, detail } };
}
