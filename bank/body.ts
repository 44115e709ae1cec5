import type { IncomingMessage } from 'node:http';
import { invalid } from './answer.js';

/** Largest body that is read, in bytes. An order needs a hundred. */
const bytesMax = 16 * 1024;

/** A test for each member a body may have, and what the member must be. */
export type Members = Record<string, { ok: (value: unknown) => boolean; must: string; needed?: boolean }>;

/**
 * A member that is not listed is refused, not ignored: it is a mistake, and with faults a test that tests nothing.
 *
 * @throws Refusal that names the member
 */
export async function readBody<T>(request: IncomingMessage, members: Members): Promise<T> {
  const body = parse(await readText(request));
  for (const name of Object.keys(body)) {
    if (!Object.hasOwn(members, name)) throw invalid(`${name}: there is no such member.`);
  }
  for (const [name, { ok, must, needed }] of Object.entries(members)) {
    const value = body[name];
    if (value === undefined ? needed : !ok(value)) throw invalid(`${name}: must be ${must}.`);
  }
  return body as T;
}

/** A number in the query string: whole, and at least `min`. */
export function readNumber(url: URL, name: string, fallback: number, [min, max]: [number, number]): number {
  const text = url.searchParams.get(name) ?? String(fallback);
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value >= min && value <= max) return value;
  throw invalid(`${name}: must be a whole number from ${min} to ${max}.`);
}

export function whole(min: number, max: number) {
  const ok = (value: unknown) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
  return { ok, must: `a whole number from ${min} to ${max}` };
}

export function text(shape: RegExp, must: string) {
  return { ok: (value: unknown) => typeof value === 'string' && shape.test(value), must };
}

export function oneOf(values: readonly unknown[]) {
  return { ok: (value: unknown) => values.includes(value), must: `one of ${values.join(', ')}` };
}

function parse(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw invalid('body: is not JSON.');
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body))
    return body as Record<string, unknown>;
  throw invalid('body: must be a JSON object.');
}

/** Reads to the end even what is too long, keeping none of it, so that the caller gets to hear why. */
async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= bytesMax) chunks.push(chunk);
  }
  if (length > bytesMax) throw invalid(`body: must have ${bytesMax} bytes or fewer.`);
  return Buffer.concat(chunks).toString();
}
