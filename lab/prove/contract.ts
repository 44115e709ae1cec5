/**
 * What the contract says about each answer, written out by hand. Taken from the code under test, it would agree with
 * every mistake made there.
 */
export interface Promised {
  /** More than one where a setting chooses: a collision may be told as 422, as the IETF draft has it. */
  readonly statuses: readonly number[];
  readonly shouldRetry: boolean;
  /** It must say when to come back. */
  readonly retryAfter?: true;
}

const retry = { shouldRetry: true } as const;
const stop = { shouldRetry: false } as const;

export const promisedCodes: Readonly<Record<string, Promised>> = {
  malformed_json: { statuses: [400], ...stop },
  invalid_request: { statuses: [400], ...stop },
  idempotency_key_missing: { statuses: [400], ...stop },
  idempotency_key_invalid: { statuses: [400], ...stop },
  unauthenticated: { statuses: [401], ...stop },
  insufficient_funds: { statuses: [402], ...stop },
  declined_by_bank: { statuses: [402], ...stop },
  forbidden: { statuses: [403], ...stop },
  not_found: { statuses: [404], ...stop },
  method_not_allowed: { statuses: [405], ...stop },
  request_timeout: { statuses: [408], ...retry },
  collision_detected: { statuses: [409, 422], ...stop },
  in_progress: { statuses: [409], ...retry, retryAfter: true },
  already_completed: { statuses: [409], ...stop },
  operation_cancelled: { statuses: [409], ...stop },
  body_too_large: { statuses: [413], ...stop },
  unsupported_media_type: { statuses: [415], ...stop },
  unknown_payee: { statuses: [422], ...stop },
  currency_mismatch: { statuses: [422], ...stop },
  amount_above_limit: { statuses: [422], ...stop },
  refund_exceeds_payment: { statuses: [422], ...stop },
  rate_limited: { statuses: [429], ...retry, retryAfter: true },
  headers_too_large: { statuses: [431], ...stop },
  internal: { statuses: [500], ...retry },
  overloaded: { statuses: [503], ...retry, retryAfter: true },
  unavailable: { statuses: [503], ...retry, retryAfter: true },
};

/** Seconds that a caller may be told to wait while the first request runs. */
export const inProgressRetryAfter = { min: 1, max: 30 };

/** RFC 3339, UTC. */
export function isTime(text: string | undefined): boolean {
  return text !== undefined && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text);
}

/** Refused by the statuses of the contract, so that certainly nothing was done. 409 depends on its code. */
const statusesOfRefusals = new Set([400, 401, 403, 404, 405, 413, 415, 422, 429, 431]);
const conflictsThatRefuse = new Set(['collision_detected', 'operation_cancelled']);

/** What a caller knows after an attempt; see driver-log.ts. */
export type Knows = 'ok' | 'fail' | 'unknown';

/**
 * What an attempt that was answered tells its caller: `ok`, it is done; `fail`, certainly nothing was done. All else
 * is `unknown`, and only a checker that knows the word is honest.
 */
export function kindOfAnswer(status: number, code: string | undefined): Knows {
  if (status === 200 || status === 402) return 'ok';
  if (statusesOfRefusals.has(status)) return 'fail';
  if (status === 409 && code !== undefined && conflictsThatRefuse.has(code)) return 'fail';
  return 'unknown';
}
