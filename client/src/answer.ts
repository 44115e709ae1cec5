import type { Problem } from './errors.js';
import { problems } from './problem-codes.js';

/** Reads the result out of an answer, or returns undefined: it is not what was asked for. */
export type Read<T> = (status: number, json: unknown) => T | undefined;

/** @param proof members that tell this object from another one of its kind: the key that was sent, say */
export function objectOf<T>(object: string, proof: Readonly<Record<string, unknown>> = {}): Read<T> {
  return (status, json) =>
    isSuccess(status) &&
    isObject(json) &&
    json.object === object &&
    Object.entries(proof).every(([name, value]) => json[name] === value)
      ? (json as T)
      : undefined;
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

export function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** @returns undefined where it is no JSON */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/**
 * Reads what an answer that is no success says. Only `application/problem+json` with a code is believed to be this
 * API's: gateways and hosts answer as well, with codes of their own.
 */
export function readProblem(
  { status, type, baseUrl }: { status: number; type: string | null; baseUrl: string },
  json: unknown,
): Problem {
  const isOurs =
    isObject(json) && typeof json.code === 'string' && /^application\/problem\+json\b/i.test(type ?? '');
  if (!isOurs) return { ...nothingSaid, status, title: `The answer was ${status}` };
  const code = json.code as string;
  return {
    status,
    code,
    title: textOf(json.title),
    detail: textOf(json.detail),
    remedy: code in problems ? problems[code as keyof typeof problems].remedy : '',
    page: pageOf(json.type, baseUrl),
    errors: Array.isArray(json.errors) ? (json.errors as Problem['errors']) : [],
    differsIn: Array.isArray(json.differs_in) ? (json.differs_in as string[]) : [],
    payment: isObject(json.payment) ? (json.payment as unknown as Problem['payment']) : null,
    refund: isObject(json.refund) ? (json.refund as unknown as Problem['refund']) : null,
  };
}

const nothingSaid: Omit<Problem, 'status' | 'title'> = {
  code: null,
  detail: 'It does not come from Pay Sam: something in between has answered.',
  remedy: 'Look at baseUrl, and at what stands between here and there.',
  page: null,
  errors: [],
  differsIn: [],
  payment: null,
  refund: null,
};

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A path below the API's own address. What leads elsewhere is no page of ours. */
function pageOf(type: unknown, baseUrl: string): string | null {
  return typeof type === 'string' && /^\/problems\/[\w-]+$/.test(type) ? baseUrl + type : null;
}

/**
 * Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
 *
 * @param date the answer's own `Date`: the time between the two is right however wrong the caller's clock may be
 * @returns milliseconds from now, not bounded; null for what is neither
 */
export function readRetryAfter(value: string | null, date: string | null): number | null {
  if (value === null) return null;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const at = readDate(value);
  if (at === null) return null;
  return Math.max(0, at - (readDate(date) ?? Date.now()));
}

/** HTTP's dates end in GMT; `Date.parse` reads a lot more than those. */
function readDate(value: string | null): number | null {
  const at = value?.endsWith(' GMT') ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? null : at;
}
