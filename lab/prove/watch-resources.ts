import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { monotonicMs } from './driver-log.js';
import type { ResourceSample } from './run-record.js';

/** Often enough to see a leak grow; reading /proc for six processes takes a millisecond. */
const everyMs = 1_000;

/** Who is looked at, by the name of its connections: `api-1`. `undefined` while it is down. */
export type Pids = () => ReadonlyMap<string, number | undefined>;

/** Memory, sockets and connections of each process, once a second: what I11 judges. Linux only. */
export class ResourceWatch {
  private readonly samples: ResourceSample[] = [];
  private readonly stopping = new AbortController();
  private readonly watching: Promise<void>;

  constructor(
    private readonly databaseUrl: string,
    private readonly pids: Pids,
  ) {
    this.watching = this.watch();
  }

  async stop(): Promise<ResourceSample[]> {
    this.stopping.abort();
    await this.watching;
    return this.samples;
  }

  private async watch(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const connections = await countConnections(this.databaseUrl).catch(() => new Map<string, number>());
      for (const [process, pid] of this.pids()) {
        const sample = pid === undefined ? undefined : look(pid);
        if (!sample) continue;
        this.samples.push({
          at: monotonicMs(),
          process,
          connections: connections.get(process) ?? 0,
          ...sample,
        });
      }
      await sleep(everyMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
  }
}

/** What is still there that would hurt the next request, each in a sentence. Ask once all is quiet. */
export async function findLeaks(databaseUrl: string): Promise<string[]> {
  const rows = await ask<{ leak: string }>(
    databaseUrl,
    `SELECT format('%s is %s since %s, its last statement: %s', application_name, state, now() - state_change, query)
              AS leak
       FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND (state LIKE 'idle in transaction%' AND state_change < now() - interval '2 s'
             OR state = 'active' AND query_start < now() - interval '2 s')
      UNION ALL
     SELECT format('%s holds an advisory lock, which no promise may rest on', application_name)
       FROM pg_locks JOIN pg_stat_activity USING (pid)
      WHERE locktype = 'advisory' AND pg_stat_activity.datname = current_database()`,
  );
  return rows.map(({ leak }) => leak);
}

/** By the names that the harness gave to each process's connections. */
async function countConnections(databaseUrl: string): Promise<Map<string, number>> {
  const rows = await ask<{ name: string; connections: number }>(
    databaseUrl,
    `SELECT application_name AS name, count(*)::int AS connections
       FROM pg_stat_activity WHERE datname = current_database() GROUP BY application_name`,
  );
  return new Map(rows.map(({ name, connections }) => [name, connections]));
}

/** On a connection of its own each time: it is to survive every kill of the server. */
async function ask<Row extends object>(connectionString: string, text: string): Promise<Row[]> {
  const client = new Client({
    connectionString,
    application_name: 'prove-resources',
    connectionTimeoutMillis: 1_000,
    query_timeout: 5_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query(text);
    return rows as Row[];
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** `undefined`: it died while we looked. */
function look(pid: number): Pick<ResourceSample, 'rssBytes' | 'sockets'> | undefined {
  try {
    const [, kib = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    const open = readdirSync(`/proc/${pid}/fd`);
    const sockets = open.filter(fd => leadsTo(pid, fd).startsWith('socket:')).length;
    return { rssBytes: Number(kib) * 1024, sockets };
  } catch {
    return undefined;
  }
}

function leadsTo(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`);
  } catch {
    return '';
  }
}
