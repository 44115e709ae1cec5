import { existsSync, readFileSync, statSync, truncateSync } from 'node:fs';

/** Bytes in a log before it begins anew. Days of ordinary use; small enough for any disk and any editor. */
const logBytesMax = 20 * 1024 * 1024;

/** How often the size is looked at, in milliseconds. An API under full load writes a few MB in that time. */
const lookEveryMs = 10_000;

/** Keeps a log within bounds while somebody else appends to it; an appender simply goes on at the new end. */
export function boundLog(file: string): void {
  const look = (): void => {
    if (existsSync(file) && statSync(file).size > logBytesMax) truncateSync(file);
  };
  look();
  setInterval(look, lookEveryMs).unref();
}

export function lastLines(file: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-8);
}
