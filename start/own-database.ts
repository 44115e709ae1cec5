import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { Refusal } from './refusal.js';
import { say } from './screen.js';

/** How long a database may take to accept connections, in milliseconds. A container's first start takes ten seconds. */
const readyWithinMs = 30_000;

/** The oldest server that we test with, as PostgreSQL writes its version in `server_version_num`. */
const oldestVersion = 150_000;

/**
 * What a database says, or what is said in its place, while it is on its way: nobody listens yet, it is starting
 * up or recovering (57P03), all of its connections are taken (53300).
 */
const notReadyYet = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  '57P03',
  '53300',
]);

/** Waits until the database of DATABASE_URL answers. @returns what it is, in words */
export async function reachDatabase(url: string, signal: AbortSignal): Promise<string> {
  const { hostname, port, pathname, username } = parse(url);
  const where = `${hostname || 'localhost'}:${port || '5432'}`;
  const database = decodeURIComponent(pathname.slice(1)) || username;

  const until = Date.now() + readyWithinMs;
  for (let tries = 1; ; tries++) {
    try {
      return `database ${database} on ${where} (PostgreSQL ${await version(url)})`;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      const { code = '', message } = error as NodeJS.ErrnoException;
      if (code === 'ENOTFOUND') {
        throw new Refusal(
          `DATABASE_URL names the host "${hostname}", which does not exist.`,
          'Correct the name.',
        );
      }
      if (code === '3D000') {
        throw new Refusal(
          `The database "${database}" does not exist on ${where}.`,
          `Create it (CREATE DATABASE "${database}"), or correct DATABASE_URL.`,
        );
      }
      if (code === '28P01' || code === '28000') {
        throw new Refusal(
          `${where} refuses us: ${message}.`,
          'Correct the user or password in DATABASE_URL.',
        );
      }
      const reason = message || code;
      // The driver has no code for a server that hangs up, or stays silent, while a connection is being made.
      const waiting = notReadyYet.has(code) || /terminated|timeout/.test(message);
      if (!waiting) throw new Refusal(`${where} cannot be used: ${reason}.`, 'Correct DATABASE_URL.');
      if (Date.now() > until) {
        throw new Refusal(
          `No database answered on ${where} within ${String(readyWithinMs / 1_000)} s (${reason}).`,
          'Start it, or correct DATABASE_URL.',
        );
      }
      if (tries === 1) say(`The database on ${where} is not ready yet (${reason}); waiting for it …`);
      await sleep(500, undefined, { signal });
    }
  }
}

function parse(url: string): URL {
  const address = URL.canParse(url) && /^postgres(ql)?:\/\//.test(url) ? new URL(url) : undefined;
  // A stray % would only be found out later, and by then nobody knows where it came from.
  if (address && isDecodable(url)) return address;
  throw new Refusal(
    'DATABASE_URL is not of the form postgres://user:password@host:5432/database.',
    'Correct it; inside a password, write characters such as / # % as %2F %23 %25.',
  );
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

async function version(url: string): Promise<string> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, query_timeout: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version_num: string }>('SHOW server_version_num');
    const number = Number(rows[0]?.server_version_num);
    const words = `${String(Math.floor(number / 10_000))}.${String(number % 10_000)}`;
    if (!(number >= oldestVersion)) {
      throw new Refusal(
        `The database runs PostgreSQL ${words}, which is too old.`,
        'Use PostgreSQL 15 to 18.',
      );
    }
    return words;
  } finally {
    // Not waited for: a server that does not hang up would hold us for ever.
    client.end().catch(() => undefined);
  }
}
