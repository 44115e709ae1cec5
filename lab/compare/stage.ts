import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { end, type Listening } from '../../bench/child.js';
import type { ComparedBank } from './bank.js';
import { Gate } from './gate.js';
import { startCompared } from './processes.js';
import type { Redis } from './redis.js';
import type { Entry } from './roster.js';

/**
 * Settings of all designs alike. Everything is quicker than as shipped, in the same order: the bank's time-out, the
 * lease that outlasts it, the patience of a caller.
 */
export const times = {
  bankRequestTimeoutMs: 500,
  bankTimeoutMs: 800,
  leaseMs: 1_000,
  answerRetentionMs: 1_000,
};

const hurried = {
  LOG_LEVEL: 'fatal',
  BANK_REQUEST_TIMEOUT_MS: String(times.bankRequestTimeoutMs),
  BANK_TIMEOUT_MS: String(times.bankTimeoutMs),
  BANK_BREAK_MS: '100',
  LEASE_MS: String(times.leaseMs),
  SWEEP_MS: '100',
  REAP_EVERY_MS: '100',
  RECOVERY_BACKOFF_MS: '100',
  CALLER_WAIT_MS: '2000',
};

/** What a server needs beside itself. */
export interface Surroundings {
  databaseUrl: string;
  bank: ComparedBank;
  redis: Redis | null;
  signal: AbortSignal;
}

/** A server behind two gates: callers reach it through one, it reaches its database through the other. */
export class Instance {
  private listening: Listening | undefined;

  private constructor(
    private readonly entry: Entry,
    private readonly environment: Record<string, string> & { DATABASE_URL: string },
    private readonly signal: AbortSignal,
    readonly front: Gate,
    readonly back: Gate,
  ) {}

  static async start(
    entry: Entry,
    name: string,
    { databaseUrl, bank, redis, signal }: Surroundings,
  ): Promise<Instance> {
    const database = new URL(databaseUrl);
    const back = await Gate.open({ host: database.hostname, port: Number(database.port || 5432) });
    const front = await Gate.open({ host: '127.0.0.1', port: 0 });
    const environment = {
      ...hurried,
      ...bank.environment,
      DATABASE_URL: Object.assign(database, { hostname: '127.0.0.1', port: String(back.port) }).href,
      // How DBOS knows which work was begun by a process of this name.
      DBOS__VMID: name,
      ...(redis && { LAB_REDIS_URL: redis.url }),
    };
    const instance = new Instance(entry, environment, signal, front, back);
    await instance.restart();
    return instance;
  }

  /** The same across restarts. */
  get url(): string {
    return `http://127.0.0.1:${this.front.port}`;
  }

  /** A crash, if it still runs, and then another process in its place. */
  async restart(changes: Record<string, string> = {}): Promise<void> {
    await this.kill();
    this.listening = await startCompared(this.entry, { ...this.environment, ...changes }, this.signal);
    this.front.leadTo({ host: '127.0.0.1', port: Number(new URL(this.listening.url).port) });
  }

  async kill(): Promise<void> {
    if (this.listening) await end(this.listening.process, 'SIGKILL');
  }

  /** It stands still, in the middle of whatever it does, until it is woken up. */
  freeze(): void {
    this.listening?.process.kill('SIGSTOP');
  }

  wake(): void {
    this.listening?.process.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    await this.kill();
    this.front.close();
    this.back.close();
  }
}

/** Everything that one design needs to be tried, and the hands that make things go wrong. */
export class Stage {
  private second: Instance | undefined;

  private constructor(
    readonly entry: Entry,
    private readonly surroundings: Surroundings,
    private readonly sql: Client,
    readonly a: Instance,
  ) {}

  static async open(entry: Entry, surroundings: Surroundings): Promise<Stage> {
    const sql = await connect(surroundings.databaseUrl);
    try {
      return new Stage(entry, surroundings, sql, await Instance.start(entry, 'a', surroundings));
    } catch (error) {
      await sql.end();
      throw error;
    }
  }

  get bank(): ComparedBank {
    return this.surroundings.bank;
  }

  /** A second instance on the same database, started when it is first needed. */
  async b(): Promise<Instance> {
    return (this.second ??= await Instance.start(this.entry, 'b', this.surroundings));
  }

  async count(statement: string, values: unknown[]): Promise<number> {
    const { rows } = await this.sql.query<{ count: string }>(statement, values);
    return Number(rows[0]?.count ?? 0);
  }

  /** Somebody else's transaction that holds an account: whoever would pay from it waits. */
  async lockAccount(id: string): Promise<Held> {
    return this.hold('SELECT FROM accounts WHERE id = $1 FOR UPDATE', [id]);
  }

  /**
   * Whatever would be written where this design records its answers waits. Where a transaction that is open has
   * written there already, there is nothing to hold: what it does and what it records are one.
   */
  async holdRecords(): Promise<Held> {
    const { redis } = this.surroundings;
    if (this.entry.needsRedis && redis) {
      await redis.hold();
      return { release: () => redis.letGo() };
    }
    const held: Held[] = [];
    for (const table of this.entry.records) {
      try {
        held.push(await this.hold(`LOCK TABLE ${table} IN EXCLUSIVE MODE`));
      } catch (error) {
        if ((error as { code?: string }).code !== lockNotAvailable) throw error;
      }
    }
    return {
      release: async () => {
        for (const lock of held) await lock.release();
      },
    };
  }

  /** Waits until something waits for a lock, for two seconds at most. */
  async untilWaiting(): Promise<boolean> {
    return this.untilTrue(2_000, async () => (await this.count(countWaiters, [])) > 0);
  }

  /**
   * Ends the connections that wait for a lock. PostgreSQL carries out what it was sent, also for a client that is
   * gone; the fault is about a process that dies before it sends it.
   */
  async dropWaiting(): Promise<void> {
    await this.sql.query(dropWaiters);
  }

  async untilTrue(patienceMs: number, isTrue: () => Promise<boolean>): Promise<boolean> {
    for (const until = performance.now() + patienceMs; ;) {
      if (await isTrue()) return true;
      if (performance.now() > until) return false;
      await sleep(20);
    }
  }

  async close(): Promise<void> {
    await this.a.stop();
    await this.second?.stop();
    await this.sql.end();
  }

  private async hold(statement: string, values: unknown[] = []): Promise<Held> {
    const client = await connect(this.surroundings.databaseUrl);
    try {
      await client.query("BEGIN; SET LOCAL lock_timeout = '200ms'");
      await client.query(statement, values);
    } catch (error) {
      await client.end();
      throw error;
    }
    return { release: () => client.end() };
  }
}

export interface Held {
  release(): Promise<void>;
}

/** SQLSTATE: somebody else has it, and did not let go in time. */
const lockNotAvailable = '55P03';

const waiters = `
  FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()`;
const countWaiters = 'SELECT count(*)' + waiters;
const dropWaiters = 'SELECT pg_terminate_backend(pid)' + waiters;

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'pay-sam-compare' });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
