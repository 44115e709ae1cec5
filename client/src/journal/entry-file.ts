import { createHash } from 'node:crypto';
import type { Entry, Unreadable } from './journal.js';

/** Of the text in a file. A reader knows all versions up to its own, and leaves later ones alone. */
const version = 1;

/** A key may have any visible character, and 255 of them; the hash of one always is a file's name. */
export function fileNameOf(key: string): string {
  return `${createHash('sha256').update(key).digest('hex')}.json`;
}

export function isEntryName(name: string): boolean {
  return /^[0-9a-f]{64}\.json$/.test(name);
}

/** Of the mark that an entry was adopted. */
export function isMarkName(name: string): boolean {
  return /^[0-9a-f]{64}\.adopted$/.test(name);
}

export function toText({ key, operation, path, body, sender, writtenAt }: Entry): string {
  return JSON.stringify({ version, key, operation, path, body, sender, writtenAt }) + '\n';
}

/** @param name of the file: a copy under another name would be sent again for ever, since closing misses it */
export function readEntry(name: string, text: string): Entry | Unreadable['why'] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'damaged';
  }
  if (typeof json !== 'object' || json === null) return 'damaged';
  const file = json as Record<string, unknown>;
  if (typeof file.version === 'number' && file.version > version) return 'newer_version';

  const { key, operation, path, body, sender, writtenAt } = file;
  const isWhole =
    file.version === version &&
    typeof key === 'string' &&
    (operation === 'payment' || operation === 'refund') &&
    typeof path === 'string' &&
    typeof body === 'string' &&
    typeof sender === 'string' &&
    typeof writtenAt === 'string' &&
    name === fileNameOf(key);
  return isWhole ? { key, operation, path, body, sender, writtenAt } : 'damaged';
}
