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
    meaning: 'The body could not be read as one JSON document in UTF-8.',
    occurs: 'The body is empty, cut short, written in another encoding, or JSON with something after it.',
    remedy: 'Send one JSON object in UTF-8, then retry; the key is as it was.',
  },
  invalid_request: {
    status: 400,
    retryable: false,
    title: 'The request is not valid',
    meaning: 'A member is missing, unknown, of the wrong type or out of its bounds. `errors` names each.',
    occurs:
      'A rule for one member is broken, a member is there twice, or something can be read in two ways. Nothing is guessed or repaired.',
    remedy: 'Correct the members named and send the request again, with the same key.',
  },
  idempotency_key_missing: {
    status: 400,
    retryable: false,
    title: 'The Idempotency-Key header is missing',
    meaning: 'Without a key a retry cannot be told from a new payment, so nothing was done.',
    occurs: 'A call that moves money came without the header, and its customer is not set up to do without.',
    remedy: 'Send Idempotency-Key: one key per intended payment, the same on every retry.',
  },
  idempotency_key_invalid: {
    status: 400,
    retryable: false,
    title: 'The Idempotency-Key header is not a key',
    meaning: 'A key is 1 to 255 visible ASCII characters without a comma, sent exactly once, quoted or bare.',
    occurs:
      'The key is empty, too long, holds a blank or a comma, came in two header lines, or begins with a quotation mark that never closes. The same goes for a key in the path.',
    remedy: 'Send a valid key, a UUID say. Nothing was done under the one that was sent.',
  },
  unauthenticated: {
    status: 401,
    retryable: false,
    title: 'Who is calling?',
    meaning: 'The Authorization header is missing, or its API key is unknown or has been revoked.',
    occurs:
      'On first calls and on repeats alike, before anything looks at the idempotency key: a stored answer is nobody else’s.',
    remedy: 'Send Authorization: Bearer followed by a valid API key.',
  },
  insufficient_funds: {
    status: 402,
    retryable: false,
    title: 'There is not enough money on the account',
    meaning: 'The payment was declined. That is definitive: this answer is stored, and repeats get it again.',
    occurs: 'The account that pays, or for a refund the payee’s, holds less than the amount.',
    remedy: 'Pay money in, then pay with a new key: a new payment is intended.',
  },
  declined_by_bank: {
    status: 402,
    retryable: false,
    title: 'The bank declined the payment',
    meaning: 'The other bank refused to take the money. That is definitive, and stored.',
    occurs:
      'Only when the other bank has said no, or has sent the money back. A bank that says nothing is never taken for one that declines.',
    remedy: 'Ask the payee or the bank, then pay with a new key.',
  },
  forbidden: {
    status: 403,
    retryable: false,
    title: 'This API key may not do that',
    meaning: 'The API key is valid, but lacks the scope that this call needs.',
    occurs:
      'An API key that may only read is used to pay, to refund or to cancel, be it for the first time or again.',
    remedy: 'Use an API key that has the scope.',
  },
  not_found: {
    status: 404,
    retryable: false,
    title: 'There is no such thing',
    meaning: 'The path leads nowhere, or to something that is not yours.',
    occurs:
      'Another customer’s payment, account or key is answered for exactly like one that does not exist.',
    remedy: 'Check the path and the id.',
  },
  method_not_allowed: {
    status: 405,
    retryable: false,
    title: 'This path does not take that method',
    meaning: 'The path exists. The Allow header lists the methods it takes.',
    occurs: 'Deleting a payment, say: nothing here is ever deleted.',
    remedy: 'Use one of the methods in the Allow header.',
  },
  request_timeout: {
    status: 408,
    retryable: true,
    title: 'The request took too long to arrive',
    meaning: 'The request was not complete in time, so nothing was done.',
    occurs: 'The headers or the body came too slowly, or stopped half way.',
    remedy: 'Send it again with the same key.',
  },
  collision_detected: {
    status: 409,
    retryable: false,
    title: 'This key belongs to another request',
    meaning: 'The key was used before, for a request that differs. `differs_in` names the members that do.',
    occurs:
      'One key was used for two intended payments, or a retry was built anew and came out different. What the first request did is untouched.',
    remedy: 'Send the first request unchanged, or use a new key for a new payment.',
  },
  in_progress: {
    status: 409,
    retryable: true,
    title: 'The first request with this key is still running',
    meaning: 'Somebody is at work on it. Nothing was started a second time.',
    occurs:
      'A repeat overtakes its first request; or a payment that may be at the bank is to be cancelled, which would be guessing.',
    remedy:
      'Wait as long as Retry-After says, then send the same request with the same key; or let the request wait, with Prefer: wait=20.',
  },
  already_completed: {
    status: 409,
    retryable: false,
    title: 'The operation is finished',
    meaning: 'It can no longer be cancelled; the answer holds its result.',
    occurs: 'A key is to be cancelled whose operation has come to its end, paid or declined.',
    remedy: 'Take the result. To give the money back, refund the payment.',
  },
  operation_cancelled: {
    status: 409,
    retryable: false,
    title: 'The operation was cancelled',
    meaning: 'Its key was closed for good before anything was paid.',
    occurs: 'A request arrives under a key that was cancelled, the late original for one.',
    remedy: 'Use a new key if the payment is wanted after all.',
  },
  body_too_large: {
    status: 413,
    retryable: false,
    title: 'The body is too large',
    meaning: 'The body is longer than this API takes. It was not read to its end.',
    occurs: 'The announced length is above the limit, or what arrived without one is.',
    remedy: 'Send a smaller body; a payment needs about 200 bytes.',
  },
  unsupported_media_type: {
    status: 415,
    retryable: false,
    title: 'The body must be plain JSON',
    meaning: 'Only application/json in UTF-8 is taken, and not compressed.',
    occurs: 'Content-Type is missing or another one, names another charset, or there is a Content-Encoding.',
    remedy: 'Send Content-Type: application/json, without Content-Encoding.',
  },
  unknown_payee: {
    status: 422,
    retryable: false,
    title: 'The payee is unknown',
    meaning: 'There is no account with the id in `to` that could be paid.',
    occurs: 'On rail ledger, when `to` is nobody’s account, a bank’s own, or the very account that pays.',
    remedy: 'Check `to` and send the request again, with the same key.',
  },
  currency_mismatch: {
    status: 422,
    retryable: false,
    title: 'The accounts hold another currency',
    meaning: 'Both accounts must hold the currency of the payment; nothing is converted here.',
    occurs:
      'One of the accounts holds another currency, or `from` was left out and there is none in `currency`.',
    remedy: 'Pay in the currency both accounts hold.',
  },
  amount_above_limit: {
    status: 422,
    retryable: false,
    title: 'The amount is above the limit',
    meaning: 'One payment moves at most 100,000,000 minor units.',
    occurs: 'Somebody mistyped, as a rule: £1,000,000.00 is 100000000.',
    remedy: 'Pay a smaller amount.',
  },
  refund_exceeds_payment: {
    status: 422,
    retryable: false,
    title: 'More than was paid cannot be refunded',
    meaning: 'All refunds of a payment together may reach its amount, not more.',
    occurs: 'Earlier refunds have left less than that, or the payment moved no money: it was declined, say.',
    remedy: 'Refund what is left, or less.',
  },
  rate_limited: {
    status: 429,
    retryable: true,
    title: 'Too many requests',
    meaning: 'This customer sent more requests than its limit allows. Nothing was done, no key was touched.',
    occurs:
      'Too many requests a second, too many waiting for an answer at once, or too many bank payments on their way. `detail` names the limit.',
    remedy: 'Wait as long as Retry-After says, then send the same request with the same key.',
  },
  headers_too_large: {
    status: 431,
    retryable: false,
    title: 'There are too many headers',
    meaning: 'The header block is too long, or has too many fields.',
    occurs: 'A proxy or a library adds header after header. What is not read whole is not read at all.',
    remedy: 'Send fewer and shorter headers.',
  },
  internal: {
    status: 500,
    retryable: true,
    title: 'Something is broken on our side',
    meaning: 'This is a mistake in our code. It has been logged under the Request-Id.',
    occurs: 'Never, we hope. It says nothing about the payment; only its key does.',
    remedy: 'Send the same request with the same key later; it cannot be carried out twice.',
  },
  overloaded: {
    status: 503,
    retryable: true,
    title: 'Too much is going on right now',
    meaning: 'The request was turned away at the door: nothing was done.',
    occurs: 'All customers together ask for more than this process can answer in time.',
    remedy: 'Wait as long as Retry-After says, then send the same request with the same key.',
  },
  unavailable: {
    status: 503,
    retryable: true,
    title: 'The database cannot be reached',
    meaning: 'Whether the request was carried out is not known. The key will tell.',
    occurs:
      'The database is away, restarting or stuck, perhaps since before the request, perhaps since its COMMIT.',
    remedy: 'Send the same request with the same key: it is carried out now, or answered as it was then.',
  },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof problems;

interface ProblemKind {
  readonly status: number;
  readonly retryable: boolean;
  readonly title: string;
  readonly meaning: string;
  /** When it occurs. */
  readonly occurs: string;
  readonly remedy: string;
}
