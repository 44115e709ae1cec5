import type { EntityManager } from 'typeorm';
import { newId } from '../database/new-id.js';
import type { Statement } from '../database/statement.js';
import type { Claim, Decision, Operation, Owner, Recalled } from '../idempotency/operation.js';
import { balanceOf } from '../ledger/account.entity.js';
import { bankAccount, type Books } from '../ledger/books.js';
import { answerFor, refuse } from './answer.js';
import { rowsByKey } from './by-key.js';
import { refundToJson, toRefund, type Refund, type RefundRow } from './refund.entity.js';

export type RefundParams = {
  readonly payment_id: string;
  /** Minor units. */
  readonly amount: number;
};

/**
 * Gives money of a payment back, in part or in whole: a second operation for the same engine, in one atomic phase.
 *
 * The payment itself is locked while it is decided, so that refunds which arrive together are decided one after the
 * other, and all of them together never exceed what was paid. The database checks that again.
 *
 * A payment that left through the bank is refunded from the account that stands for the bank. How the two companies
 * settle that between them is not part of this project.
 */
export const refundPayment: Operation<RefundParams, Books> = {
  name: 'refund',
  needs: ({ customerId, params }) => ({ payments: [{ customerId, id: params.payment_id }] }),
  reachesOut: () => false,
  phases: { started: { kind: 'atomic', decide: refund } },
  memory: { constraint: 'refunds_remember_their_key', recall: recallRefunds },
};

function refund(books: Books, claim: Claim<RefundParams>): Decision {
  const { attempt, at } = claim;
  const { customerId, params } = attempt;
  const amount = BigInt(params.amount);
  const payment = books.payment({ customerId, id: params.payment_id });
  if (!payment) return refuse('not_found', 'You have made no such payment.');
  if (payment.status !== 'succeeded') {
    return refuse('refund_exceeds_payment', `amount: the payment is ${payment.status}, nothing was paid.`);
  }
  const left = payment.amount - payment.refunded;
  if (amount > left) {
    return refuse('refund_exceeds_payment', `amount: ${left} minor units of the payment are left.`);
  }

  // The payment backwards.
  const from = payment.rail === 'ledger' ? payment.toAccountId : bankAccount(payment.currency);
  const refunded: Refund = {
    customerId,
    id: newId(),
    paymentId: payment.id,
    idempotencyKey: claim.keyToRemember,
    fromAccountId: payment.toAccountId,
    toAccountId: payment.fromAccountId,
    currency: payment.currency,
    amount,
    rail: payment.rail,
    status: 'succeeded',
    declineCode: null,
    declineMessage: null,
    createdAt: at,
    completedAt: at,
  };
  books.enterRefund(refunded);

  const payee = books.account(from);
  if (payee?.kind === 'customer' && balanceOf(payee).available < amount) {
    refunded.status = 'declined';
    refunded.declineCode = 'insufficient_funds';
    refunded.declineMessage = 'The payee does not hold enough money any more.';
    return { kind: 'finish', answer: answerFor(refunded, refundToJson(refunded)) };
  }
  payment.refunded += amount;
  books.change(payment);
  books.post({
    id: newId(),
    customerId,
    paymentId: payment.id,
    refundId: refunded.id,
    debitAccountId: from,
    creditAccountId: payment.fromAccountId,
    currency: payment.currency,
    amount,
    state: 'posted',
    createdAt: at,
  });
  return { kind: 'finish', answer: answerFor(refunded, refundToJson(refunded)) };
}

/** The keys' rows were reaped; the refunds remember them. */
async function recallRefunds(
  tx: EntityManager,
  owners: readonly Owner[],
): Promise<(Recalled<RefundParams> | undefined)[]> {
  const rows = await rowsByKey<RefundRow>(tx, selectRefundsByKey, owners);
  return rows.map(row => row && recalled(toRefund(row)));
}

function recalled(refunded: Refund): Recalled<RefundParams> {
  return {
    params: { payment_id: refunded.paymentId, amount: Number(refunded.amount) },
    answer: answerFor(refunded, refundToJson(refunded)),
    finishedAt: refunded.completedAt,
  };
}

const selectRefundsByKey: Statement = {
  name: 'select_refunds_by_key',
  text: `
    SELECT r.*
      FROM refunds AS r
      JOIN unnest($1::uuid[], $2::text[]) AS wanted (customer_id, idempotency_key) USING (customer_id, idempotency_key)`,
};
