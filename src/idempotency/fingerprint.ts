import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Params } from './operation.js';

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

/** Names the members in which two requests differ. Never their values: a key may be guessed. */
export function membersThatDiffer(first: Params, second: Params): string[] {
  const names = new Set([...Object.keys(first), ...Object.keys(second)]);
  return [...names].filter(name => canonical(first[name]) !== canonical(second[name])).sort();
}

function canonical(value: unknown): string {
  return canonicalize(value) ?? '';
}
