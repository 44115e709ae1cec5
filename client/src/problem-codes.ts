/**
 * The API's problems, as much of each as a caller acts on. Generated from the API's own catalogue by
 * generate-problem-codes.mjs: change it there, in src/http/problems.ts.
 */
export const problems = {
  malformed_json: {
    status: 400,
    retryable: false,
    title: 'The body is not JSON',
    remedy: 'Send one JSON object in UTF-8, then retry; the key is as it was.',
  },
  invalid_request: {
    status: 400,
    retryable: false,
    title: 'The request is not valid',
    remedy: 'Correct the members named and send the request again, with the same key.',
  },
  idempotency_key_missing: {
    status: 400,
    retryable: false,
    title: 'The Idempotency-Key header is missing',
    remedy: 'Send Idempotency-Key: one key per intended payment, the same on every retry.',
  },
  idempotency_key_invalid: {
    status: 400,
    retryable: false,
    title: 'The Idempotency-Key header is not a key',
    remedy: 'Send a valid key, a UUID say. Nothing was done under the one that was sent.',
  },
  unauthenticated: {
    status: 401,
    retryable: false,
    title: 'Who is calling?',
    remedy: 'Send Authorization: Bearer followed by a valid API key.',
  },
  insufficient_funds: {
    status: 402,
    retryable: false,
    title: 'There is not enough money on the account',
    remedy: 'Pay money in, then pay with a new key: a new payment is intended.',
  },
  declined_by_bank: {
    status: 402,
    retryable: false,
    title: 'The bank declined the payment',
    remedy: 'Ask the payee or the bank, then pay with a new key.',
  },
  forbidden: {
    status: 403,
    retryable: false,
    title: 'This API key may not do that',
    remedy: 'Use an API key that has the scope.',
  },
  not_found: {
    status: 404,
    retryable: false,
    title: 'There is no such thing',
    remedy: 'Check the path and the id.',
  },
  method_not_allowed: {
    status: 405,
    retryable: false,
    title: 'This path does not take that method',
    remedy: 'Use one of the methods in the Allow header.',
  },
  request_timeout: {
    status: 408,
    retryable: true,
    title: 'The request took too long to arrive',
    remedy: 'Send it again with the same key.',
  },
  collision_detected: {
    status: 409,
    retryable: false,
    title: 'This key belongs to another request',
    remedy: 'Send the first request unchanged, or use a new key for a new payment.',
  },
  in_progress: {
    status: 409,
    retryable: true,
    title: 'The first request with this key is still running',
    remedy:
      'Wait as long as Retry-After says, then send the same request with the same key; or let the request wait, with Prefer: wait=20.',
  },
  already_completed: {
    status: 409,
    retryable: false,
    title: 'The operation is finished',
    remedy: 'Take the result. To give the money back, refund the payment.',
  },
  operation_cancelled: {
    status: 409,
    retryable: false,
    title: 'The operation was cancelled',
    remedy: 'Use a new key if the payment is wanted after all.',
  },
  body_too_large: {
    status: 413,
    retryable: false,
    title: 'The body is too large',
    remedy: 'Send a smaller body; a payment needs about 200 bytes.',
  },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    title: 'The body must be plain JSON',
    remedy: 'Send Content-Type: application/json, without Content-Encoding.',
  },
  unknown_payee: {
    status: 422,
    retryable: false,
    title: 'The payee is unknown',
    remedy: 'Check `to` and send the request again, with the same key.',
  },
  currency_mismatch: {
    status: 422,
    retryable: false,
    title: 'The accounts hold another currency',
    remedy: 'Pay in the currency both accounts hold.',
  },
  amount_above_limit: {
    status: 422,
    retryable: false,
    title: 'The amount is above the limit',
    remedy: 'Pay a smaller amount.',
  },
  refund_exceeds_payment: {
    status: 422,
    retryable: false,
    title: 'More than was paid cannot be refunded',
    remedy: 'Refund what is left, or less.',
  },
  rate_limited: {
    status: 429,
    retryable: true,
    title: 'Too many requests',
    remedy: 'Wait as long as Retry-After says, then send the same request with the same key.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    title: 'There are too many headers',
    remedy: 'Send fewer and shorter headers.',
  },
  internal: {
    status: 500,
    retryable: true,
    title: 'Something is broken on our side',
    remedy: 'Send the same request with the same key later; it cannot be carried out twice.',
  },
  overloaded: {
    status: 503,
    retryable: true,
    title: 'Too much is going on right now',
    remedy: 'Wait as long as Retry-After says, then send the same request with the same key.',
  },
  unavailable: {
    status: 503,
    retryable: true,
    title: 'The database cannot be reached',
    remedy: 'Send the same request with the same key: it is carried out now, or answered as it was then.',
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problems;

export interface ProblemKind {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
  readonly remedy: string;
}
