import { parseItem } from 'structured-headers';
import { linesOf } from '../header-lines.js';
import { limits } from '../settings.js';

/** Visible ASCII without the comma: what survives every proxy, and cannot be two values in one line. */
const visible = /^[!-+\--~]+$/;

/** RFC 9110: blanks and tabs around a value are not part of it. No other kind of space is dropped. */
const optionalBlanks = /^[ \t]+|[ \t]+$/g;

/**
 * Reads the caller's key from the raw header lines: an RFC 9651 String (`"456"`) or the bare value (`456`), one
 * key in two spellings. Counted in the raw lines, because Node joins two of them into one value that neither
 * was.
 *
 * @returns the canonical key, bare; `null` when the header is absent
 * @throws InvalidKey
 */
export function readIdempotencyKey(rawHeaders: readonly string[]): string | null {
  const [sent, ...more] = linesOf(rawHeaders, 'idempotency-key');
  if (sent === undefined) return null;
  if (more.length > 0)
    throw new InvalidKey('It was sent more than once; send exactly one Idempotency-Key line.');
  const value = sent.replace(optionalBlanks, '');
  return checkedKey(value.startsWith('"') ? unquoted(value) : value);
}

/** @throws InvalidKey, for a key from a header or from a path alike */
export function checkedKey(key: string): string {
  if (key === '') throw new InvalidKey('It is empty.');
  if (key.length > limits.keyLengthMax) {
    throw new InvalidKey(`It has ${key.length} characters; at most ${limits.keyLengthMax} are allowed.`);
  }
  if (!visible.test(key))
    throw new InvalidKey('It may hold visible ASCII characters only: no blanks, no commas.');
  return key;
}

function unquoted(value: string): string {
  try {
    const [item, parameters] = parseItem(value) as [unknown, Map<string, unknown>];
    if (typeof item === 'string' && parameters.size === 0) return item;
  } catch {
    // Told below.
  }
  throw new InvalidKey('It begins with a quotation mark, but is not a string as RFC 9651 defines it.');
}

/** Its message tells the caller what is wrong with the key, and never repeats the key. */
export class InvalidKey extends Error {
  override readonly name = 'InvalidKey';
}
