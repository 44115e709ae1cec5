import { accountToJson } from '../ledger/account.entity.js';
import { transferToJson } from '../ledger/transfer.entity.js';
import { paymentToJson, type Payment } from '../payments/payment.entity.js';
import { refundToJson } from '../payments/refund.entity.js';

/** One story: Alice pays Sam £100, and gets £10 back. Written as rows, so that each example has what answers have. */
const customerId = '018cc251-f400-7000-8000-000000000001';
const at = new Date('2026-11-22T02:04:19.799Z');

const row: Payment = {
  customerId,
  id: '01a200ff-47dd-7497-afbd-a00ab0bd67d0',
  idempotencyKey: '456',
  fromAccountId: 'alice',
  toAccountId: 'sam',
  currency: 'GBP',
  amount: 10_000n,
  rail: 'ledger',
  reference: null,
  status: 'succeeded',
  declineCode: null,
  declineMessage: null,
  bankTransferId: null,
  refunded: 0n,
  createdAt: at,
  completedAt: at,
};

export const payment = paymentToJson(row);

export const pendingPayment = paymentToJson({
  ...row,
  id: '01a201ad-6d3b-7330-9256-4d6321e7cb2c',
  idempotencyKey: '459',
  toAccountId: 'tim',
  rail: 'bank',
  status: 'pending',
  completedAt: null,
});

export const refund = refundToJson({
  ...row,
  id: '01a201ae-32f9-7168-9d26-5484d1fa390d',
  idempotencyKey: '460',
  paymentId: row.id,
  fromAccountId: 'sam',
  toAccountId: 'alice',
  amount: 1_000n,
  status: 'succeeded',
  completedAt: at,
});

export const account = accountToJson({
  id: 'alice',
  customerId,
  kind: 'customer',
  currency: 'GBP',
  debitsPending: 0n,
  debitsPosted: 10_000n,
  creditsPosted: 1_000_000n,
});

export const transfer = transferToJson({
  id: '01a200ff-47dd-7497-afbd-a00c3c5b1f6e',
  customerId,
  paymentId: row.id,
  refundId: null,
  debitAccountId: 'alice',
  creditAccountId: 'sam',
  currency: 'GBP',
  amount: 10_000n,
  state: 'posted',
  createdAt: at,
});

const { from, to, amount, currency, rail, reference } = payment;

export const completedOperation = {
  key: '456',
  object: 'operation',
  operation: 'payment',
  state: 'completed',
  recovery_point: 'finished',
  attempts: 1,
  duplicates: 2,
  first_seen_at: payment.created_at,
  last_seen_at: '2026-11-22T02:04:20.336Z',
  expires_at: '2026-11-25T02:04:19.799Z',
  retry_after: null,
  request: { from, to, amount, currency, rail, reference },
  response: { status: 200, body: JSON.stringify(payment) },
};

export const runningOperation = {
  ...completedOperation,
  key: '459',
  state: 'in_progress',
  recovery_point: 'funds_reserved',
  duplicates: 0,
  last_seen_at: payment.created_at,
  retry_after: 6,
  request: { from, to: 'tim', amount, currency, rail: 'bank', reference },
  response: null,
};

export const cancelledOperation = {
  ...runningOperation,
  key: '462',
  state: 'cancelled',
  recovery_point: 'cancelled',
  expires_at: null,
  retry_after: null,
};

export const listOf = (entry: object) => ({ object: 'list', data: [entry], next: null });

/** What becomes of a payment on rail bank depends on whom it is for, in the quick start and wherever else the pretend bank is. */
export const testPayees = {
  sam: 'accepts, soon settled',
  dee: 'declines: 402',
  tim: 'charges, then times out; found when looked up',
  nia: 'times out once without charging, accepts when asked again',
  flo: 'answers 503 three times, then accepts',
  rex: 'charges, then answers 500',
};

const toSam = { to: 'sam', amount: 10_000, currency: 'GBP' };

export const paymentBodies = {
  ledger: { summary: 'Pay Sam £100', value: toSam },
  ...Object.fromEntries(
    Object.entries(testPayees).map(([to, does]) => [
      `bank_${to}`,
      {
        summary: `Through another bank, to ${to}, whose bank ${does}`,
        value: { ...toSam, to, rail: 'bank' },
      },
    ]),
  ),
};

export const refundBodies = { part: { summary: 'Give £10 back', value: { amount: 1_000 } } };

export const operationBodies = {
  payment: { summary: 'Pay Sam £100', value: { operation: 'payment', params: toSam } },
  refund: {
    summary: 'Give £10 back',
    value: { operation: 'refund', params: { payment_id: payment.id, amount: 1_000 } },
  },
};
