import type { JsonValue } from './json-value.js';

/** Why a body was refused. `malformed` is no JSON at all; `ambiguous` is JSON that two readers read differently. */
export class JsonRefused extends Error {
  override readonly name = 'JsonRefused';

  constructor(
    readonly kind: 'malformed' | 'ambiguous',
    message: string,
  ) {
    super(message);
  }
}

/** Strict: what is not UTF-8 is refused, never replaced. A byte-order mark at the start is dropped. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** In a valid document, every string, member names included. */
const strings = /"(?:[^"\\]|\\.)*"/g;
/** Below, a double has fewer digits than 15. */
const smallestExact = 2 ** -1022;
const numbers = /-?\d[\d.eE+-]*/g;

/**
 * Reads one JSON document, and refuses what could be understood in two ways, since what is stored must be what
 * was sent: a member named twice, a number that a double would change, half a surrogate pair, a NUL.
 *
 * `JSON.parse` is the only parser. What it hides (it keeps the last of two members, rounds numbers) is found by
 * comparing its result with the text stripped of strings: there, each colon is a member.
 *
 * @throws JsonRefused
 */
export function readJson(bytes: Uint8Array, depthMax: number): JsonValue {
  const text = decoded(bytes);
  const value = parsed(text);
  const skeleton = text.replace(strings, '""');

  if (isDeeper(value, depthMax)) throw ambiguous(`it is nested deeper than ${depthMax} levels`);
  const members = countMembers(value);
  const colons = skeleton.split(':').length - 1;
  if (colons !== members) throw ambiguous(`the member ${namedTwice(text)} is there twice`);

  const changed = skeleton.match(numbers)?.find(number => !survivesAsDouble(number));
  if (changed) throw ambiguous(`the number ${changed.slice(0, 40)} cannot be held exactly`);
  return value;
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new JsonRefused('malformed', 'it is not UTF-8');
  }
}

function parsed(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new JsonRefused('malformed', text.trim() === '' ? 'it is empty' : 'it is not one JSON document');
  }
}

function isDeeper(value: JsonValue, levels: number): boolean {
  if (value === null || typeof value !== 'object') return false;
  return levels === 0 || Object.values(value).some(item => isDeeper(item, levels - 1));
}

/** Counts members, and looks at every string on its way. */
function countMembers(value: JsonValue): number {
  if (typeof value === 'string') {
    checkText(value);
    return 0;
  }
  if (value === null || typeof value !== 'object') return 0;
  let members = 0;
  if (Array.isArray(value)) {
    for (const item of value) members += countMembers(item);
    return members;
  }
  for (const [name, member] of Object.entries(value)) {
    checkText(name);
    if (name === '__proto__') throw ambiguous('a member may not be called __proto__');
    members += 1 + countMembers(member);
  }
  return members;
}

/** For the message only: the first name that comes again. */
function namedTwice(text: string): string {
  const names = [...text.matchAll(/"(?:[^"\\]|\\.)*"(?=\s*:)/g)].map(([name]) => name);
  return names.find((name, index) => names.indexOf(name) !== index)?.slice(0, 100) ?? 'named';
}

/** PostgreSQL cannot store a NUL, and would store half a surrogate pair as another character. */
function checkText(text: string): void {
  if (text.includes('\0')) throw ambiguous('a string holds a NUL character');
  if (!text.isWellFormed()) throw ambiguous('a string holds half a surrogate pair');
}

/** Integers as far as a double holds each one; anything else to 15 digits, which it holds unless it is tiny. */
function survivesAsDouble(text: string): boolean {
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(Number(text));
  const [mantissa = ''] = text.split(/[eE]/);
  const value = Math.abs(Number(text));
  if (value < smallestExact && /[1-9]/.test(mantissa)) return false;
  return mantissa.replace(/\D/g, '').replace(/^0+/, '').length <= 15 && Number.isFinite(value);
}

function ambiguous(message: string): JsonRefused {
  return new JsonRefused('ambiguous', message);
}
