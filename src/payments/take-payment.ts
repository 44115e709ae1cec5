import type { EntityManager } from 'typeorm';
import type { BankAnswer, BankOrder } from '../bank/bank.client.js';
import { Bug } from '../bug.js';
import { newId } from '../database/new-id.js';
import type { Statement } from '../database/statement.js';
import type {
  CallPhase,
  Claim,
  Decision,
  Held,
  Operation,
  Owner,
  Recalled,
  State,
} from '../idempotency/operation.js';
import { balanceOf } from '../ledger/account.entity.js';
import { bankAccount, type Books } from '../ledger/books.js';
import type { Transfer } from '../ledger/transfer.entity.js';
import { limits } from '../settings.js';
import { answerFor, refuse } from './answer.js';
import { rowsByKey } from './by-key.js';
import { Payment, paymentToJson, toPayment, type PaymentRow } from './payment.entity.js';

/** What the caller asked for, every default spelled out: this is what is fingerprinted and stored. */
export type PaymentParams = {
  readonly from: string;
  readonly to: string;
  /** Minor units. */
  readonly amount: number;
  readonly currency: string;
  readonly rail: 'ledger' | 'bank';
  readonly reference: string | null;
};

/** The way to the other bank, and how long that promises to remember a reference, in milliseconds. */
export interface BankRail {
  readonly bank: Bank;
  readonly bankMemoryMs: number;
}

/** As much of the bank's client as a payment needs. */
export interface Bank {
  pay(
    order: BankOrder,
    options: { mayBeSent: boolean; maySend: boolean; signal: AbortSignal },
  ): Promise<BankAnswer>;
  settlement(order: BankOrder, transferId: string, options: { signal: AbortSignal }): Promise<BankAnswer>;
}

/**
 * The life of a payment. Start reading here.
 *
 * A caller has sent `POST /payments` with an idempotency key. By now the caller is authenticated, the key is
 * well formed and the body is valid. The engine begins a transaction and inserts the key's row: if somebody
 * was there before, the caller gets their answer and this file is never reached. Otherwise the key is ours, the
 * accounts are locked, and `open` decides. Then the engine writes what was decided (the payment, its transfer, the
 * balances, and the answer or the recovery point on the key's row) and commits. Only then does anybody hear of it.
 *
 * **Rail ledger:** both accounts are in our books, and all of that is one transaction. There is no moment at which
 * Sam has the money and the key does not know, or the key says paid and Sam has nothing. And since nobody is asked
 * outside this database, the transaction is shared with whoever else is paying at that moment.
 *
 * **Rail bank:** the money leaves through another company's books, and no transaction spans both. So the payment
 * goes from one recovery point to the next, each a fact that is committed before the next step is taken:
 *
 *     started ── open ──▶ funds_reserved ── askBankToPay ──▶ transfer_sent ── askWhetherSettled ──▶ finished
 *
 * Commit, call, commit. Whatever dies in between, somebody takes the payment up at the last point reached and makes
 * the same call again, under the same reference: the payment's own id, which the bank recognises. What the bank
 * says is final only when it says yes or no. A time-out is neither.
 */
export const takePayment: Operation<PaymentParams, Books, BankRail> = {
  name: 'payment',
  needs: ({ customerId, params: { from, to, currency, rail } }, { payment_id: id }) =>
    id === undefined
      ? { accounts: rail === 'ledger' ? [from, to] : [from, bankAccount(currency)] }
      : { payments: [{ customerId, id }] },
  reachesOut: ({ rail }) => rail === 'bank',
  phases: {
    started: { kind: 'atomic', decide: open },
    funds_reserved: { kind: 'call', call: askBankToPay, record: recordSent } satisfies BankCall,
    transfer_sent: { kind: 'call', call: askWhetherSettled, record: recordSettled } satisfies BankCall,
  },
  cancel,
  memory: { constraint: 'payments_remember_their_key', recall: recallPayments, interim: interimPayment },
};

type BankCall = CallPhase<PaymentParams, Books, BankRail, BankAnswer>;

/**
 * Decides one payment over the open books. It may run again, when the transaction is repeated; until COMMIT
 * nothing it did is true.
 */
function open(books: Books, claim: Claim<PaymentParams>): Decision {
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
  // Whom the other bank can pay, only the other bank knows.
  const payee = books.account(rail === 'ledger' ? to : bankAccount(currency));
  if (rail === 'ledger' && (payee?.kind !== 'customer' || payee === payer)) {
    return refuse('unknown_payee', 'to: there is no account with this id that you could pay.');
  }
  if (payer.currency !== currency || payee?.currency !== currency) {
    return refuse('currency_mismatch', 'currency: both accounts must hold the currency of the payment.');
  }

  const payment: Payment = {
    customerId: attempt.customerId,
    id: newId(),
    idempotencyKey: claim.keyToRemember,
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
  books.enter(payment);

  // A decline is an answer like any other: it is stored, and a repeat is declined again, whatever the balance
  // is by then.
  if (balanceOf(payer).available < amount) {
    return declined(payment, 'insufficient_funds', 'The account does not hold enough money.');
  }

  const transfer: Transfer = {
    ...transferOf(payment, newId()),
    state: rail === 'ledger' ? 'posted' : 'pending',
    createdAt: at,
  };
  if (rail === 'ledger') {
    books.post(transfer);
    return finish(payment);
  }

  // From here on the money is promised: nobody else can spend it, and the bank has not been asked yet.
  payment.status = 'pending';
  payment.completedAt = null;
  books.reserve(transfer);
  return {
    kind: 'advance',
    to: 'funds_reserved',
    state: { payment_id: payment.id, transfer_id: transfer.id },
  };
}

/** Asks the bank to pay. After a crash it asks first whether it was asked before. */
function askBankToPay(
  { bank, bankMemoryMs }: BankRail,
  held: Held<PaymentParams>,
  signal: AbortSignal,
): Promise<BankAnswer> {
  const { mayBeSent, ageMs } = held;
  // Past the bank's own memory, the same reference would be a new payment there. Then it is only asked about.
  return bank.pay(orderOf(held), { mayBeSent, maySend: !mayBeSent || ageMs < bankMemoryMs, signal });
}

/** What the bank said, made a fact: it has the money's transfer, or it declined, or nothing is known yet. */
function recordSent(books: Books, claim: Claim<PaymentParams>, answer: BankAnswer): Decision {
  if (answer.kind !== 'done' || answer.transfer.status !== 'accepted')
    return recordSettled(books, claim, answer);
  return {
    kind: 'advance',
    to: 'transfer_sent',
    state: { ...claim.state, bank_transfer_id: answer.transfer.id },
  };
}

/** A bank accepts first, and settles, or sends the money back, a while later. */
function askWhetherSettled({ bank }: BankRail, held: Held<PaymentParams>, signal: AbortSignal) {
  return bank.settlement(orderOf(held), remembered(held.state, 'bank_transfer_id'), { signal });
}

/** The end: the promise to the bank is kept, or taken back. Only a yes or a no of the bank's gets here. */
function recordSettled(books: Books, claim: Claim<PaymentParams>, answer: BankAnswer): Decision {
  switch (answer.kind) {
    case 'not_sent':
    case 'unknown':
      return { kind: 'postpone', because: answer.kind, reason: answer.reason };
    case 'contradicted':
      return { kind: 'park', reason: answer.reason };
    case 'declined':
      return release(books, claim, `The other bank declined: ${answer.code}.`);
    case 'done':
      break;
  }
  const { id, status } = answer.transfer;
  if (status === 'accepted') {
    return { kind: 'postpone', because: 'not_yet', reason: 'the bank has not settled it yet' };
  }
  const payment = reservedPayment(books, claim);
  payment.bankTransferId = id;
  if (status === 'returned') return release(books, claim, 'The other bank sent the money back.');
  payment.status = 'succeeded';
  payment.completedAt = claim.at;
  books.postReserved(transferOf(payment, remembered(claim.state, 'transfer_id')));
  return finish(payment);
}

/** A definitive no. The caller may try again with a new key. */
function release(books: Books, claim: Claim<PaymentParams>, why: string): Decision {
  const payment = reservedPayment(books, claim);
  payment.completedAt = claim.at;
  books.voidReserved(transferOf(payment, remembered(claim.state, 'transfer_id')));
  return declined(payment, 'declined_by_bank', why);
}

/** The caller has changed its mind, and it is certain that the bank was never asked. */
function cancel(books: Books, claim: Claim<PaymentParams>): Decision {
  const payment = reservedPayment(books, claim);
  payment.status = 'cancelled';
  payment.completedAt = claim.at;
  books.voidReserved(transferOf(payment, remembered(claim.state, 'transfer_id')));
  return { kind: 'cancel' };
}

function finish(payment: Payment): Decision {
  return { kind: 'finish', answer: answerFor(payment, paymentToJson(payment)) };
}

function declined(payment: Payment, code: 'insufficient_funds' | 'declined_by_bank', why: string): Decision {
  payment.status = 'declined';
  payment.declineCode = code;
  payment.declineMessage = why;
  return finish(payment);
}

/** The payment that `open` entered, locked, and about to be changed. */
function reservedPayment(books: Books, { attempt, state }: Claim<PaymentParams>): Payment {
  const payment = books.payment({ customerId: attempt.customerId, id: remembered(state, 'payment_id') });
  if (payment?.status !== 'pending') throw new Bug('PS-401', 'a payment under way is not pending');
  books.change(payment);
  return payment;
}

/** Double entry: what the payer loses, the payee gains, or the account that stands for the other bank. */
function transferOf(payment: Payment, id: string): Transfer {
  const { customerId, fromAccountId, toAccountId, currency, amount, rail } = payment;
  return {
    id,
    customerId,
    paymentId: payment.id,
    refundId: null,
    debitAccountId: fromAccountId,
    creditAccountId: rail === 'ledger' ? toAccountId : bankAccount(currency),
    currency,
    amount,
    state: 'pending',
    createdAt: payment.createdAt,
  };
}

/** The reference is the payment's own id: chosen once, in the transaction that opened it. Never the caller's key. */
function orderOf({ attempt: { params }, state }: Held<PaymentParams>): BankOrder {
  const { to: creditor, amount, currency } = params;
  return { reference: remembered(state, 'payment_id'), amount: BigInt(amount), currency, creditor };
}

/** What an earlier phase has put there, in the transaction that reached its recovery point. */
function remembered(state: State, name: string): string {
  const value = state[name];
  if (value === undefined) throw new Bug('PS-402', `a payment under way has lost its ${name}`);
  return value;
}

/**
 * The keys' rows are gone, reaped after their time; the payments are not, and they remember their keys. Their first
 * answers are put together again, byte for byte: as each payment was then, before any refund.
 */
async function recallPayments(
  tx: EntityManager,
  owners: readonly Owner[],
): Promise<(Recalled<PaymentParams> | undefined)[]> {
  const rows = await rowsByKey<PaymentRow>(tx, selectPaymentsByKey, owners);
  return rows.map(row => row && recalled(toPayment(row)));
}

function recalled(payment: Payment): Recalled<PaymentParams> | undefined {
  const { fromAccountId: from, toAccountId: to, completedAt, currency, rail, reference } = payment;
  if (!completedAt || payment.status === 'cancelled') return undefined;
  return {
    params: { from, to, amount: Number(payment.amount), currency, rail, reference },
    answer: answerFor(payment, paymentToJson({ ...payment, refunded: 0n })),
    finishedAt: completedAt,
  };
}

const selectPaymentsByKey: Statement = {
  name: 'select_payments_by_key',
  text: `
    SELECT p.*
      FROM payments AS p
      JOIN unnest($1::uuid[], $2::text[]) AS wanted (customer_id, idempotency_key) USING (customer_id, idempotency_key)`,
};

/** The payment as it is while nobody knows how it ends. `null`: it has ended, and its key may have been reaped since. */
async function interimPayment(tx: EntityManager, customerId: string, state: State): Promise<string | null> {
  if (state.payment_id === undefined) return null;
  const payment = await tx.findOneBy(Payment, { customerId, id: state.payment_id });
  return payment?.status === 'pending' ? JSON.stringify(paymentToJson(payment)) : null;
}
