import { readRetryAfter } from './backoff.js';
import type { BankOrder, BankTransfer } from './bank-order.js';
import type { HttpAnswer, HttpFailure } from './bank-request.js';

/** What one request taught us about an order. The fate of a call, of several requests, is a `BankAnswer`. */
export type Verdict =
  | { readonly kind: 'done'; readonly transfer: BankTransfer }
  | { readonly kind: 'declined'; readonly code: string; readonly message: string }
  /** The bank was asked, and does not know the reference: not yet, no longer, or it was never sent. */
  | { readonly kind: 'not_found' }
  | NotSent
  | Unknown
  | { readonly kind: 'contradicted'; readonly reason: string };

export interface NotSent {
  readonly kind: 'not_sent';
  readonly reason: string;
  /** False where another request would fare no better: the circuit is open, or our key is refused. */
  readonly mayRepeat: boolean;
}

export interface Unknown {
  readonly kind: 'unknown';
  readonly reason: string;
  readonly isTimeout?: boolean;
  /** What the bank asks for, not bounded. */
  readonly retryAfterMs?: number | undefined;
}

type Method = 'GET' | 'PUT';

/** Only a request that surely never left is `not_sent`; see `BankRequest` for what makes it sure. */
export function judgeFailure({ isSent, isTimeout, blame, reason }: HttpFailure): NotSent | Unknown {
  if (isSent) return { kind: 'unknown', reason, isTimeout };
  return { kind: 'not_sent', reason, mayRepeat: blame === 'bank' };
}

/**
 * Judges one answer by the bank's own page. It believes little: what is not understood, or did not come from the
 * bank itself (a proxy's error page), is unknown, and will be asked for again; what is understood but cannot be
 * true is a contradiction, for a person to look at.
 *
 * @param now the wall clock, in milliseconds, for a Retry-After that is a date
 */
export function judgeAnswer(method: Method, answer: HttpAnswer, order: BankOrder, now = Date.now()): Verdict {
  const { status } = answer;
  const json = readJson(answer);
  if (status === 200 || (method === 'PUT' && (status === 201 || status === 422))) {
    return isTransferJson(json)
      ? judgeTransfer(status, json, order)
      : unknown(`the bank answered ${status} with no transfer that we can read`);
  }

  const code = errorCodeOf(json);
  if (code === undefined) return unknown(`status ${status}, and no error of the bank's`);
  const said = `the bank answered ${status} ${code}`;
  switch (status) {
    case 404:
      return method === 'GET' && code === 'unknown_reference' ? { kind: 'not_found' } : unknown(said);
    case 400:
      return { kind: 'contradicted', reason: said };
    case 401:
    case 403:
      // Refused before anything was done, through a mistake of ours that will be mended: the payment waits for it.
      return { kind: 'not_sent', mayRepeat: false, reason: `${said}: it refuses our API key` };
    case 409:
      return code === 'reference_conflict' ? { kind: 'contradicted', reason: said } : unknown(said);
    default:
      return unknown(said);
  }

  function unknown(reason: string): Unknown {
    return { kind: 'unknown', reason, retryAfterMs: readRetryAfter(answer.retryAfter, now) };
  }
}

function judgeTransfer(status: number, transfer: TransferJson, order: BankOrder): Verdict {
  const members = ['reference', 'currency', 'creditor'] as const;
  const differing: string[] = members.filter(member => transfer[member] !== order[member]);
  if (BigInt(transfer.amount) !== order.amount) differing.push('amount');
  if (differing.length > 0) {
    // Names, never values: they are somebody else's.
    return {
      kind: 'contradicted',
      reason: `the bank's transfer has another ${differing.join(', ')} than ours`,
    };
  }

  if (transfer.status === 'declined') return { kind: 'declined', ...transfer.decline };
  if (status === 422)
    return { kind: 'contradicted', reason: `the bank answered 422, but it is ${transfer.status}` };
  return { kind: 'done', transfer: { id: transfer.id, status: transfer.status } };
}

type TransferJson = Omit<BankOrder, 'amount'> & { readonly id: string; readonly amount: number } & (
    | { readonly status: BankTransfer['status'] }
    | { readonly status: 'declined'; readonly decline: { readonly code: string; readonly message: string } }
  );

/** Members that the page does not name are ignored: the bank may add some. */
function isTransferJson(json: unknown): json is TransferJson {
  if (!isObject(json) || !isId(json.id) || !Number.isSafeInteger(json.amount)) return false;
  switch (json.status) {
    case 'accepted':
    case 'settled':
    case 'returned':
      return true;
    case 'declined':
      return isObject(json.decline) && isCode(json.decline.code) && isMessage(json.decline.message);
    default:
      return false;
  }
}

/** JSON that calls itself so; anything else is no answer of the bank's. Missing members are found by the callers. */
export function readJson({ contentType, body }: HttpAnswer): unknown {
  if (contentType === undefined || !/^application\/json\s*(;|$)/i.test(contentType)) return undefined;
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return undefined;
  }
}

export function errorCodeOf(json: unknown): string | undefined {
  const error = isObject(json) ? json.error : undefined;
  return isObject(error) && isCode(error.code) ? error.code : undefined;
}

export function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null;
}

/** Ids, codes and messages are stored and passed on: short, and nothing PostgreSQL or a log would choke on. */
export function isId(json: unknown): json is string {
  return typeof json === 'string' && /^[\x21-\x7e]{1,128}$/.test(json);
}

function isCode(json: unknown): json is string {
  return typeof json === 'string' && /^[a-z][a-z0-9_]{0,63}$/.test(json);
}

function isMessage(json: unknown): json is string {
  return typeof json === 'string' && json.length <= 1_000 && json.isWellFormed() && !json.includes('\0');
}
