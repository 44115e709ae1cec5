import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, escapeIdentifier } from 'pg';
import { migrate } from '../src/migrate.js';
import { EmbeddedPostgres } from '../start/embedded-postgres.js';
import { reachDatabase } from '../start/own-database.js';
import { findBinaries } from '../start/postgres-binaries.js';
import { deleteHome, findHome, makeHome } from '../start/postgres-home.js';
import { fill } from './fill.js';
import { cpuSeconds, runsHere } from './processes.js';

/**
 * The database server of a run: that of DATABASE_URL, or one of its own. Every database in it that this makes has
 * a name of its own and is dropped at the end; nothing else in that server is touched.
 */
export class DatabaseServer {
  private readonly prefix = `paysam_bench_${randomBytes(4).toString('hex')}`;
  private made = 0;

  private constructor(
    private readonly admin: Client,
    private readonly url: string,
    private readonly stop: () => Promise<void>,
  ) {}

  static async open(signal: AbortSignal): Promise<DatabaseServer> {
    const given = process.env.DATABASE_URL;
    if (given) await reachDatabase(given, signal);
    const { url, stop } = given
      ? { url: given, stop: () => Promise.resolve() }
      : await startEmbeddedPostgres(signal);
    try {
      return new DatabaseServer(await connect(url), url, stop);
    } catch (error) {
      await stop();
      throw error;
    }
  }

  /** A migrated database with 10,000 customers and that many payments in their past. */
  async filled(pastPayments: number): Promise<string> {
    const url = await this.create('template0');
    await migrate(url);
    await using(url, database => fill(database, pastPayments));
    return url;
  }

  /** A copy, so that every measurement begins with the same rows, none of them dead. */
  async copy(url: string): Promise<string> {
    return this.create(new URL(url).pathname.slice(1));
  }

  private async create(template: string): Promise<string> {
    const name = `${this.prefix}_${++this.made}`;
    await this.admin.query(
      ['CREATE DATABASE', escapeIdentifier(name), 'TEMPLATE', escapeIdentifier(template)].join(' '),
    );
    return Object.assign(new URL(this.url), { pathname: name }).href;
  }

  async drop(url: string): Promise<void> {
    const name = escapeIdentifier(new URL(url).pathname.slice(1));
    await this.admin.query(['DROP DATABASE IF EXISTS', name, 'WITH (FORCE)'].join(' '));
  }

  /** What is written before a measurement is not to be flushed during it. */
  async checkpoint(): Promise<void> {
    await this.admin.query('CHECKPOINT').catch(() => {
      // Takes a right that the user of DATABASE_URL may not have; the figures are a little noisier then.
    });
  }

  async settings(): Promise<Record<string, string>> {
    const { rows } = await this.admin.query<{ name: string; setting: string }>(
      'SELECT name, current_setting(name) AS setting FROM pg_settings WHERE name = ANY ($1)',
      [
        [
          'server_version',
          'fsync',
          'synchronous_commit',
          'shared_buffers',
          'max_wal_size',
          'full_page_writes',
        ],
      ],
    );
    return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
  }

  /** What the server has used and written so far. CPU is `null` where its processes are not to be seen. */
  async meter(): Promise<Meter> {
    const { rows } = await this.admin.query<{ pid: number; wal: string }>(
      "SELECT pid, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS wal FROM pg_stat_activity",
    );
    const cpu = new Map<number, number>();
    for (const { pid } of rows) {
      const seconds = runsHere(pid, 'postgres') ? cpuSeconds(pid) : null;
      if (seconds !== null) cpu.set(pid, seconds);
    }
    return { cpu, walBytes: Number(rows[0]?.wal ?? 0) };
  }

  async close(): Promise<void> {
    try {
      const { rows } = await this.admin.query<{ datname: string }>(
        'SELECT datname FROM pg_database WHERE starts_with(datname, $1)',
        [this.prefix],
      );
      for (const { datname } of rows) {
        await this.admin.query(['DROP DATABASE', escapeIdentifier(datname), 'WITH (FORCE)'].join(' '));
      }
      await this.admin.end();
    } finally {
      await this.stop();
    }
  }
}

export interface Meter {
  /** CPU seconds by process. */
  cpu: Map<number, number>;
  walBytes: number;
}

/** CPU seconds between two readings; a process that came in between began at nothing. */
export function cpuBetween(before: Meter, after: Meter): number | null {
  if (after.cpu.size === 0) return null;
  let seconds = 0;
  for (const [pid, used] of after.cpu) seconds += used - (before.cpu.get(pid) ?? 0);
  return seconds;
}

export async function using<Result>(
  url: string,
  work: (database: Client) => Promise<Result>,
): Promise<Result> {
  const database = await connect(url);
  try {
    return await work(database);
  } finally {
    await database.end();
  }
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'pay-sam-bench' });
  // Whoever waits for an answer is told that the connection is gone; nobody else needs to know.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The server of the quick start, on data of its own that nobody keeps. */
async function startEmbeddedPostgres(
  signal: AbortSignal,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'paysam-bench-'));
  // As root, the server runs as another user, who has to get through.
  chmodSync(folder, 0o711);
  const home = findHome(folder);
  const remove = () => {
    deleteHome(home);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    makeHome(home);
    const postgres = new EmbeddedPostgres(home, findBinaries(home));
    await postgres.start(signal);
    const stop = async () => {
      await postgres.stop();
      remove();
    };
    return { url: postgres.url, stop };
  } catch (error) {
    remove();
    throw error;
  }
}
