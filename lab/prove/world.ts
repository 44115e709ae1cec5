import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  startApi,
  startWorker,
  type ApiOptions,
  type Exit,
  type RealProcess,
} from '../../test/support/api-process.js';
import { startBank, type BankProcess } from '../../test/support/bank-process.js';
import { KillablePostgres } from '../../test/support/killable-postgres.js';
import { PostgresProxy } from '../../test/support/postgres-proxy.js';
import { demoKeys } from '../../start/seed.js';
import type { BankAddress } from './bank-witness.js';
import { recordKeyHistory } from './key-history.js';
import type { Caller } from './plan.js';
import { TcpProxy } from './tcp-proxy.js';
import { Toll } from './toll.js';

/**
 * How patient every process here is. The lease outlasts the bank's time-out, as it must, and both are short, so that a
 * crash is noticed in a third of a second. Waits of the database are those of production, cut to what a run can bear.
 */
export const settings = {
  WORKERS: 'elsewhere',
  LOG_LEVEL: 'fatal',
  LEASE_MS: '300',
  BANK_TIMEOUT_MS: '200',
  BANK_REQUEST_TIMEOUT_MS: '200',
  BANK_CONNECT_TIMEOUT_MS: '100',
  BANK_BACKOFF_MS: '10',
  BANK_BACKOFF_MAX_MS: '50',
  BANK_BREAK_MS: '200',
  SWEEP_MS: '50',
  RECOVERY_BACKOFF_MS: '20',
  RECOVERY_BACKOFF_MAX_MS: '200',
  OUTAGE_BACKOFF_MAX_MS: '200',
  // Attempts at short intervals: production's 40 would be used up within a single outage.
  RECOVERY_ATTEMPTS_MAX: '100000',
  DATABASE_CONNECTIONS_MAX: '4',
  CONNECT_TIMEOUT_MS: '1000',
  STATEMENT_TIMEOUT_MS: '2000',
  QUERY_TIMEOUT_MS: '2500',
  // Answers expire while the run goes on: whoever repeats late gets his rebuilt from the payment.
  ANSWER_RETENTION_MS: '1500',
  REAP_EVERY_MS: '200',
  // Else every repeat would be answered from memory, and nothing would be learned about what is stored.
  ANSWERS_CACHED_BYTES: '65536',
  // Equal payments of a customer without keys are one for the whole run.
  FINGERPRINT_WINDOW: '86400',
};

/** What may be different about one process: where it strikes itself, its clock, its settings. */
export type Special = Pick<ApiOptions, 'faultSignal' | 'imports' | 'env'>;

/** How long a process is tried to be started again while what it needs is away. */
const backWithinMs = 300_000;

/** What an act needs otherwise. */
export interface WorldOptions {
  /** Settings of API and workers, above those of this file. */
  readonly env?: Readonly<Record<string, string>>;
  /** Running, and new: one on a small disk, say, or one that a standby follows. */
  readonly postgres?: KillablePostgres;
  /** Where its logs stay; else they vanish with it. */
  readonly keepIn?: string;
}

/** What can be killed and comes back. */
export type Victim = 'api-1' | 'api-2' | 'worker';
export const victims = ['api-1', 'api-2', 'worker'] as const;

/**
 * Every process of a run, and the networks between them. Whoever is killed comes back at the same address; its
 * predecessor's database connections, and its name in the books, are its own.
 */
export class World {
  private readonly processes = new Map<Victim, RealProcess>();
  private readonly dead = new Set<Victim>();
  /** How often somebody has died at each fault point. */
  readonly faultPoints: Record<string, number> = {};
  readonly toll = new Toll();

  private constructor(
    readonly postgres: KillablePostgres,
    readonly bank: BankProcess,
    readonly folder: string,
    private readonly isFolderOurs: boolean,
    /** Between callers and each API. */
    readonly doors: Readonly<Record<'api-1' | 'api-2', TcpProxy>>,
    /** Between each process and its database. */
    readonly databaseLinks: Readonly<Record<Victim, PostgresProxy>>,
    /** Between all of them and the bank. */
    readonly bankLink: TcpProxy,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** @throws Error when the harness itself cannot be set up: no verdict about the product */
  static async create({ env = {}, postgres: given, keepIn }: WorldOptions = {}): Promise<World> {
    const folder = keepIn ?? mkdtempSync(join(tmpdir(), 'paysam-prove-'));
    const postgres = given ?? (await KillablePostgres.create());
    await recordKeyHistory({ query: (text: string) => postgres.sql(text) } as never);
    await postgres.sql(topUp, [['alice', 'legacy'], 100_000_000_000]);
    const bank = await startBank({ BANK_SETTLE_MS: '40', BANK_HANG_MS: '1000' });
    const world = new World(
      postgres,
      bank,
      folder,
      keepIn === undefined,
      { 'api-1': await TcpProxy.start(), 'api-2': await TcpProxy.start() },
      {
        'api-1': await PostgresProxy.start(postgres.url),
        'api-2': await PostgresProxy.start(postgres.url),
        worker: await PostgresProxy.start(postgres.url),
      },
      await TcpProxy.start(Number(new URL(bank.url).port)),
      env,
    );
    for (const victim of victims) await world.start(victim);
    return world;
  }

  /** Past the network that goes wrong. */
  get bankAddress(): BankAddress {
    return { url: this.bank.url, apiKey: this.bank.env.BANK_API_KEY };
  }

  /** Alice can pay for ever; bob has £50; legacy sends no keys; sam has what he is paid. */
  callers(): Caller[] {
    const keyOf = (name: string) => demoKeys.find(({ customer }) => customer === name)?.key ?? '';
    return ['alice', 'alice', 'alice', 'sam', 'bob', 'legacy'].map(name => ({
      name,
      apiKey: keyOf(name),
      isKeyless: name === 'legacy',
    }));
  }

  pids(): Map<string, number | undefined> {
    return new Map(victims.map(victim => [victim, this.processes.get(victim)?.pid]));
  }

  /** Starts it again and again until it is there: what it needs may be away, and that is the run's doing. */
  async start(victim: Victim, faultPoint?: string, special: Special = {}): Promise<void> {
    const until = Date.now() + backWithinMs;
    for (;;) {
      try {
        await this.startOnce(victim, faultPoint, special);
        return;
      } catch (error) {
        this.noteFailedStart(victim, error);
        if (Date.now() > until) throw error;
        await this.untilDatabaseAnswers();
        await sleep(100);
      }
    }
  }

  /** What is started before that would only fail, and most of what a run costs are starts. Ten seconds at most. */
  async untilDatabaseAnswers(): Promise<void> {
    for (let tries = 0; tries < 400; tries += 1) {
      const rows = await this.postgres.sql('SELECT').catch(() => []);
      if (rows.length > 0) return;
      await sleep(25);
    }
  }

  /** SIGKILL. Its network stays, and refuses whoever calls meanwhile. */
  async kill(victim: Victim): Promise<void> {
    const running = this.processes.get(victim);
    this.processes.delete(victim);
    await running?.kill();
  }

  /** SIGTERM, as before a new release. Its network stays, and refuses whoever calls meanwhile. */
  async terminate(victim: Victim): Promise<Exit> {
    const running = this.processes.get(victim);
    this.processes.delete(victim);
    return (await running?.kill('SIGTERM')) ?? { code: null, signal: null };
  }

  /** Whether it died by itself: at a fault point, or by a mistake of ours. */
  hasDied(victim: Victim): boolean {
    return this.dead.has(victim);
  }

  signal(victim: Victim, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.processes.get(victim)?.signal(signal);
  }

  /** Every network open, nothing planned at the bank, everybody up and awake. */
  async heal(order: readonly Victim[]): Promise<void> {
    await this.bank.control('DELETE', '/faults');
    await this.bankLink.heal();
    for (const victim of order) {
      await this.databaseLinks[victim].heal();
      if (victim !== 'worker') await this.doors[victim].heal();
      this.signal(victim, 'SIGCONT');
      if (this.hasDied(victim)) await this.kill(victim);
      if (!this.processes.has(victim)) await this.start(victim);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(victims.map(victim => this.kill(victim)));
    for (const proxy of [...Object.values(this.doors), ...Object.values(this.databaseLinks), this.bankLink]) {
      proxy.stop();
    }
    await this.bank.stop();
    await this.postgres.stop();
    if (this.isFolderOurs) rmSync(this.folder, { recursive: true });
  }

  private async startOnce(victim: Victim, faultPoint: string | undefined, special: Special): Promise<void> {
    const databaseUrl = Object.assign(new URL(this.databaseLinks[victim].url), {
      // The writer's name in the history of keys.
      search: `application_name=${victim}`,
    }).href;
    const env = {
      ...settings,
      ...this.bank.env,
      BANK_URL: this.bankLink.url,
      ...this.env,
      ...special.env,
    };
    const options = { ...special, databaseUrl, env, ...(faultPoint !== undefined && { faultPoint }) };
    if (victim === 'worker') {
      this.watch(victim, startWorker(options), special);
      return;
    }
    const api = await startApi(options);
    this.doors[victim].pointTo(api.port);
    this.watch(victim, api, special);
  }

  /** In the log of whoever did not start: a start that fails is part of what the run did. */
  private noteFailedStart(victim: Victim, error: unknown): void {
    this.toll.failedStarts += 1;
    const at = new Date().toISOString();
    appendFileSync(join(this.folder, `${victim}.log`), `${at} not started: ${(error as Error).message}\n`);
  }

  /** Notes the fault point that it met, if it met one. */
  private watch(victim: Victim, started: RealProcess, special: Special): void {
    this.processes.set(victim, started);
    this.dead.delete(victim);
    void started.exited.then(() => {
      if (this.processes.get(victim) === started) this.dead.add(victim);
      const [, point] = /fault point reached: ([\w@]+)/.exec(started.stderr()) ?? [];
      if (point !== undefined) this.faultPoints[point] = (this.faultPoints[point] ?? 0) + 1;
      this.toll.noteEnd(started, special);
      const said = started.stdout() + started.stderr();
      if (said !== '') appendFileSync(join(this.folder, `${victim}.log`), said);
    });
  }
}

/** Money from the bank's account, with its transfers: what begins in balance stays so. */
export const topUp = `
  WITH opened AS (
    INSERT INTO transfers (id, debit_account_id, credit_account_id, currency, amount, state, created_at)
    SELECT gen_random_uuid(), 'bank:GBP', name, 'GBP', $2::bigint, 'posted', now() FROM unnest($1::text[]) AS name
    RETURNING credit_account_id, amount),
  credited AS (
    UPDATE accounts SET credits_posted = credits_posted + opened.amount
      FROM opened WHERE accounts.id = opened.credit_account_id)
  UPDATE accounts SET debits_posted = debits_posted + (SELECT sum(amount) FROM opened) WHERE id = 'bank:GBP'`;
