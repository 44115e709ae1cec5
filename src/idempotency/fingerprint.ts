import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Attempt, Params } from './operation.js';

/** Raised when the rule below changes, so that old rows are compared by the rule they were stored under. */
export const fingerprintVersion = 1;

/**
 * What makes two requests the same: SHA-256 over the version, the operation and the validated parameters, as
 * one RFC 8785 document. Member order, white space, `100` or `100.0`, and defaults spelled out make no
 * difference, because they are gone before this. One document, never joined strings: `ab`+`c` is not `a`+`bc`.
 *
 * @returns 32 bytes
 */
export function fingerprint(operation: string, params: Params): Buffer {
  return hash('sha256', canonical([fingerprintVersion, operation, params]), 'buffer');
}

/** The key of a request that came without one: what was asked for. */
export function keyOf(fingerprint: Buffer): string {
  return `fp_${fingerprint.toString('base64url')}`;
}

/** Whether it may be such a key, sent back by a caller who read it: what is found under it is not there for good. */
export function mayBeFingerprint(key: string): boolean {
  return key.startsWith('fp_');
}

/**
 * The key that an effect remembers for ever. A fingerprint is used again once its window is over, for another payment:
 * so it carries the time at which its window opened, and a repeat inside the window finds the first one by its row.
 *
 * @param openedAt when the attempt was tried first, should it have to be tried again
 */
export function keyToRemember({ key, windowMs }: Pick<Attempt, 'key' | 'windowMs'>, openedAt: Date): string {
  return windowMs === null ? key : `${key}_${openedAt.getTime()}`;
}

/** Names the members in which two requests differ. Never their values: a key may be guessed. */
export function membersThatDiffer(first: Params, second: Params): string[] {
  const names = new Set([...Object.keys(first), ...Object.keys(second)]);
  return [...names].filter(name => canonical(first[name]) !== canonical(second[name])).sort();
}

function canonical(value: unknown): string {
  return canonicalize(value) ?? '';
}
