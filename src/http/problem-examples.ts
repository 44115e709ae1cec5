import { limits, Settings } from '../settings.js';
import type { ProblemCode } from './problems.js';

/** An answer as a caller would see it, but for what every problem has. */
export interface ProblemExample {
  readonly detail: string;
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

const { bodyBytesMax, headerFieldsMax, requestsPerSecondMax, requestTimeoutMs } = new Settings();

const payment = {
  id: '01a200ff-482b-738e-b9f9-579e9e390a05',
  object: 'payment',
  status: 'declined',
  from: 'bob',
  to: 'sam',
  amount: 10_000,
  currency: 'GBP',
  rail: 'ledger',
  reference: null,
  decline: { code: 'insufficient_funds', message: 'The account does not hold enough money.' },
  bank_transfer_id: null,
  refunded: 0,
  idempotency_key: '456',
  created_at: '2026-11-22T02:04:19.866Z',
  completed_at: '2026-11-22T02:04:19.866Z',
};

const firstAnswer = {
  'Idempotency-Key': '456',
  'Idempotency-Status': 'completed',
  'Idempotency-Expires': '2026-11-25T02:04:19.866Z',
};
const soon = { 'Retry-After': '1' };

/**
 * One of each, for the pages. What they say is what the API says: a test provokes each refusal and compares.
 */
export const problemExamples: Record<ProblemCode, ProblemExample> = {
  malformed_json: { detail: 'The body was refused: it is not one JSON document.' },
  invalid_request: {
    detail: 'amount: must be a whole number of minor units, as a JSON number',
    members: {
      errors: [
        { field: 'amount', message: 'must be a whole number of minor units, as a JSON number' },
        { field: 'reference', message: `must have 0 to ${limits.referenceLengthMax} characters` },
      ],
    },
  },
  idempotency_key_missing: {
    detail: 'Send an Idempotency-Key header: one key per intended payment, the same on every retry.',
  },
  idempotency_key_invalid: {
    detail: `It has 300 characters; at most ${limits.keyLengthMax} are allowed.`,
  },
  unauthenticated: {
    detail: 'This API key is unknown or has been revoked.',
    headers: { 'WWW-Authenticate': 'Bearer' },
  },
  insufficient_funds: { detail: payment.decline.message, members: { payment }, headers: firstAnswer },
  declined_by_bank: {
    detail: 'The other bank declined: account_closed.',
    members: {
      payment: {
        ...payment,
        from: 'alice',
        to: 'dee',
        rail: 'bank',
        decline: { code: 'declined_by_bank', message: 'The other bank declined: account_closed.' },
        completed_at: '2026-11-22T02:04:19.874Z',
      },
    },
    headers: firstAnswer,
  },
  forbidden: { detail: 'This call needs an API key with the scope "pay".' },
  not_found: { detail: 'You have made no such payment.' },
  method_not_allowed: {
    detail: 'This path takes GET, HEAD, POST.',
    headers: { Allow: 'GET, HEAD, POST' },
  },
  request_timeout: { detail: `The request must arrive within ${requestTimeoutMs} ms.` },
  collision_detected: {
    detail: 'This key was used before, for a request that differs in: amount.',
    members: { differs_in: ['amount'] },
    headers: { ...firstAnswer, 'Idempotency-Status': 'collision_detected' },
  },
  in_progress: {
    detail: 'The first request with this key has not finished yet.',
    headers: { ...firstAnswer, 'Idempotency-Status': 'in_progress', 'Retry-After': '7' },
  },
  already_completed: {
    detail: 'The operation came to its end before; this is its result.',
    members: { response: { status: 200, body: '{"id":"01a200ff-47dd-7497-afbd-a00ab0bd67d0", …}' } },
    headers: { 'Idempotency-Key': '456', 'Idempotency-Status': 'already_completed' },
  },
  operation_cancelled: {
    detail: 'This key was closed before anything was paid.',
    headers: { 'Idempotency-Key': '456', 'Idempotency-Status': 'operation_cancelled' },
  },
  body_too_large: { detail: `The body may have at most ${bodyBytesMax} bytes.` },
  unsupported_media_type: { detail: 'Send application/json in UTF-8, not compressed.' },
  unknown_payee: { detail: 'to: there is no account with this id that you could pay.' },
  currency_mismatch: { detail: 'currency: both accounts must hold the currency of the payment.' },
  amount_above_limit: { detail: `amount: at most ${limits.amountMax} minor units are paid at once.` },
  refund_exceeds_payment: { detail: 'amount: 40 minor units of the payment are left.' },
  rate_limited: {
    detail: `At most ${requestsPerSecondMax} requests a second are taken.`,
    headers: {
      ...soon,
      'RateLimit-Limit': String(requestsPerSecondMax),
      'RateLimit-Remaining': '0',
      'RateLimit-Reset': '1',
    },
  },
  headers_too_large: { detail: `At most ${headerFieldsMax} header fields are taken.` },
  internal: { detail: 'The request could not be carried out.' },
  overloaded: { detail: 'Too many requests are waiting for the database.', headers: soon },
  unavailable: { detail: 'The database cannot be reached right now.', headers: soon },
};
