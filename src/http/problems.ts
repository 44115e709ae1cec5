/**
 * Every way this API can say no, in one place: the source of the codes, the answers and the problem pages.
 * A code taken out of use stays listed, and is never given another meaning. The titles of the two 402s are part
 * of stored answers, which are rebuilt byte for byte years later: they can never be worded anew.
 */
export const problems = {
  malformed_json: {
    status: 400,
    retryable: false,
    title: 'The body is not JSON',
    meaning:
      'The body could not be read as one JSON document in UTF-8 in which every member has its own name.',
    remedy: 'Send one JSON object in UTF-8, then retry; the key is as it was.',
  },
  invalid_request: {
    status: 400,
    retryable: false,
    title: 'The request is not valid',
    meaning: 'A member is missing, unknown, of the wrong type or out of its bounds. `errors` names each.',
    remedy: 'Correct the members named and send the request again, with the same key.',
  },
  idempotency_key_missing: {
    status: 400,
    retryable: false,
    title: 'The Idempotency-Key header is missing',
    meaning: 'Without a key a retry cannot be told from a new payment, so nothing was done.',
    remedy: 'Send Idempotency-Key: one key per intended payment, the same on every retry.',
  },
  idempotency_key_invalid: {
    status: 400,
    retryable: false,
    title: 'The Idempotency-Key header is not a key',
    meaning: 'A key is 1 to 255 visible ASCII characters without a comma, sent exactly once, quoted or bare.',
    remedy: 'Send a valid key, a UUID say. Nothing was done under the one that was sent.',
  },
  unauthenticated: {
    status: 401,
    retryable: false,
    title: 'Who is calling?',
    meaning: 'The Authorization header is missing, or its API key is unknown or has been revoked.',
    remedy: 'Send Authorization: Bearer followed by a valid API key.',
  },
  insufficient_funds: {
    status: 402,
    retryable: false,
    title: 'There is not enough money on the account',
    meaning: 'The payment was declined. That is definitive: this answer is stored, and repeats get it again.',
    remedy: 'Pay money in, then pay with a new key: a new payment is intended.',
  },
  declined_by_bank: {
    status: 402,
    retryable: false,
    title: 'The bank declined the payment',
    meaning: 'The other bank refused to take the money. That is definitive, and stored.',
    remedy: 'Ask the payee or the bank, then pay with a new key.',
  },
  forbidden: {
    status: 403,
    retryable: false,
    title: 'This API key may not do that',
    meaning: 'The API key is valid, but lacks the scope that this call needs.',
    remedy: 'Use an API key that has the scope.',
  },
  not_found: {
    status: 404,
    retryable: false,
    title: 'There is no such thing',
    meaning: 'The path leads nowhere, or to something that is not yours.',
    remedy: 'Check the path and the id.',
  },
  method_not_allowed: {
    status: 405,
    retryable: false,
    title: 'This path does not take that method',
    meaning: 'The path exists. The Allow header lists the methods it takes.',
    remedy: 'Use one of the methods in the Allow header.',
  },
  request_timeout: {
    status: 408,
    retryable: true,
    title: 'The request took too long to arrive',
    meaning: 'The request was not complete in time, so nothing was done.',
    remedy: 'Send it again with the same key.',
  },
  collision_detected: {
    status: 409,
    retryable: false,
    title: 'This key belongs to another request',
    meaning: 'The key was used before, for a request that differs. `differs_in` names the members that do.',
    remedy: 'Send the first request unchanged, or use a new key for a new payment.',
  },
  in_progress: {
    status: 409,
    retryable: true,
    title: 'The first request with this key is still running',
    meaning: 'Somebody is at work on it. Nothing was started a second time.',
    remedy: 'Wait as long as Retry-After says, then send the same request with the same key.',
  },
  already_completed: {
    status: 409,
    retryable: false,
    title: 'The operation is finished',
    meaning: 'It can no longer be cancelled; the answer holds its result.',
    remedy: 'Take the result. To give the money back, refund the payment.',
  },
  operation_cancelled: {
    status: 409,
    retryable: false,
    title: 'The operation was cancelled',
    meaning: 'Its key was closed for good before anything was paid.',
    remedy: 'Use a new key if the payment is wanted after all.',
  },
  body_too_large: {
    status: 413,
    retryable: false,
    title: 'The body is too large',
    meaning: 'The body is longer than this API takes. It was not read to its end.',
    remedy: 'Send a smaller body; a payment needs about 200 bytes.',
  },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    title: 'The body must be plain JSON',
    meaning: 'Only application/json in UTF-8 is taken, and not compressed.',
    remedy: 'Send Content-Type: application/json, without Content-Encoding.',
  },
  unknown_payee: {
    status: 422,
    retryable: false,
    title: 'The payee is unknown',
    meaning: 'There is no account with the id in `to` that could be paid.',
    remedy: 'Check `to` and send the request again, with the same key.',
  },
  currency_mismatch: {
    status: 422,
    retryable: false,
    title: 'The accounts hold another currency',
    meaning: 'Both accounts must hold the currency of the payment; nothing is converted here.',
    remedy: 'Pay in the currency both accounts hold.',
  },
  amount_above_limit: {
    status: 422,
    retryable: false,
    title: 'The amount is above the limit',
    meaning: 'One payment moves at most 100,000,000 minor units.',
    remedy: 'Pay a smaller amount.',
  },
  refund_exceeds_payment: {
    status: 422,
    retryable: false,
    title: 'More than was paid cannot be refunded',
    meaning: 'All refunds of a payment together may reach its amount, not more.',
    remedy: 'Refund what is left, or less.',
  },
  rate_limited: {
    status: 429,
    retryable: true,
    title: 'Too many requests',
    meaning: 'This customer sent more requests than its limit allows. Nothing was done, no key was touched.',
    remedy: 'Wait as long as Retry-After says, then send the same request with the same key.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    title: 'There are too many headers',
    meaning: 'The header block is too long, or has too many fields.',
    remedy: 'Send fewer and shorter headers.',
  },
  internal: {
    status: 500,
    retryable: true,
    title: 'Something is broken on our side',
    meaning: 'This is a mistake in our code. It has been logged under the Request-Id.',
    remedy: 'Send the same request with the same key later; it cannot be carried out twice.',
  },
  overloaded: {
    status: 503,
    retryable: true,
    title: 'Too much is going on right now',
    meaning: 'The request was turned away at the door: nothing was done.',
    remedy: 'Wait as long as Retry-After says, then send the same request with the same key.',
  },
  unavailable: {
    status: 503,
    retryable: true,
    title: 'The database cannot be reached',
    meaning: 'Whether the request was carried out is not known. The key will tell.',
    remedy: 'Send the same request with the same key: it is carried out now, or answered as it was then.',
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problems;

interface ProblemKind {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
  readonly meaning: string;
  readonly remedy: string;
}
