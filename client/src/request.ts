import { objectOf, type Read } from './answer.js';
import type { Entry } from './journal/journal.js';
import { keyHeader } from './key.js';

/** What a call sends, made once: every attempt sends the same bytes, under the same key, to the same place. */
export interface ApiRequest<T> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** All but the API key, which is added by whoever sends. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** The key of the payment or refund that the call is about. */
  readonly key: string | null;
  /** False for a question. One without an answer leaves no doubt behind: it would have changed nothing. */
  readonly changesSomething: boolean;
  /** What the journal has to know before anything is sent; null where there is nothing to remember. */
  readonly entry: Entry | null;
  readonly read: Read<T>;
}

const accept = 'application/json, application/problem+json';

export function question<T>(path: string, read: Read<T>, key: string | null = null): ApiRequest<T> {
  const headers = Object.freeze({ accept });
  return { method: 'GET', path, headers, body: null, key, changesSomething: false, entry: null, read };
}

/**
 * A payment or refund that somebody intends, as its entry says: the same for a first call and for one that is resumed.
 *
 * An answer under another key is none: a cache, or a connection whose answers got out of step, has mixed them up.
 */
export function intention<T>(entry: Entry, waitSeconds?: number): ApiRequest<T> {
  const { key, operation, path, body } = entry;
  const headers = Object.freeze({
    accept,
    'content-type': 'application/json',
    'idempotency-key': keyHeader(key),
    ...(waitSeconds !== undefined && { prefer: `wait=${waitSeconds}` }),
  });
  const read = objectOf<T>(operation, { idempotency_key: key });
  return { method: 'POST', path, headers, body, key, changesSomething: true, entry, read };
}

/** Natural to repeat: a key that is closed stays closed. So it needs no key of its own, and is not remembered. */
export function cancellation<T>(key: string, read: Read<T>): ApiRequest<T> {
  const path = `/operations/${encodeURIComponent(key)}/cancel`;
  const headers = Object.freeze({ accept });
  return { method: 'POST', path, headers, body: null, key, changesSomething: true, entry: null, read };
}
