import { setTimeout as sleep } from 'node:timers/promises';
import { startApi, startWorker, type ApiProcess, type RealProcess } from '../support/api-process.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Customer, type Database, type Sql } from '../support/database.js';
import { call, type Answer } from '../support/http.js';
import { recordKeyHistory } from '../support/key-history.js';
import {
  checkQuietRail,
  readBookings,
  watchRail,
  type BrokenInvariant,
  type Told,
} from '../support/rail-invariants.js';

/**
 * How patient every process here is. The lease outlasts the bank's time-out, as it must, and both are short, so that
 * a crash is noticed in a third of a second.
 */
export const shortPatience = {
  WORKERS: 'elsewhere',
  LOG_LEVEL: 'fatal',
  LEASE_MS: '300',
  BANK_TIMEOUT_MS: '200',
  BANK_REQUEST_TIMEOUT_MS: '200',
  BANK_BACKOFF_MS: '10',
  BANK_BACKOFF_MAX_MS: '50',
  SWEEP_MS: '50',
  RECOVERY_BACKOFF_MS: '20',
  RECOVERY_BACKOFF_MAX_MS: '200',
  OUTAGE_BACKOFF_MAX_MS: '200',
  DATABASE_CONNECTIONS_MAX: '4',
};

export interface Order {
  key: string;
  payer: Customer;
  to: string;
  amount: number;
  rail: 'bank' | 'ledger';
}

/** A small world of its own, so that several crashes can be tried at once and none disturbs another. */
export class CrashLane {
  readonly told: Told[] = [];

  private constructor(
    readonly database: Database,
    readonly bank: BankProcess,
    readonly alice: Customer,
    /** Her payments go ahead, so that others have to wait for the next transaction. */
    readonly zoe: Customer,
    /** Never dies. Callers turn to it after a crash. */
    readonly survivor: ApiProcess,
    /** Asks the bank once for each call, and gives up: what it leaves is for the completer. */
    readonly impatient: ApiProcess,
    /** Stands still until somebody is to be recovered. */
    private readonly completer: RealProcess,
    private readonly watcher: Awaited<ReturnType<typeof watchRail>>,
  ) {}

  static async open(): Promise<CrashLane> {
    const [database, bank] = await Promise.all([createDatabase(), startBank({ BANK_SETTLE_MS: '40' })]);
    await recordKeyHistory(database.sql);
    const alice = await database.addCustomer({ name: 'alice', balance: 1_000_000 });
    const zoe = await database.addCustomer({ name: 'zoe', balance: 1_000_000 });
    await database.addCustomer({ name: 'yan' });
    const env = { ...shortPatience, ...bank.env };
    const databaseUrl = database.url;
    const [survivor, impatient] = await Promise.all([
      startApi({ databaseUrl, env }),
      startApi({ databaseUrl, env: { ...env, BANK_REQUESTS_MAX: '1', RECOVERY_BACKOFF_MS: '1' } }),
    ]);
    const completer = startWorker({ databaseUrl, args: ['completer'], env });
    const watcher = await watchRail(database.url, bank.env);
    const lane = new CrashLane(database, bank, alice, zoe, survivor, impatient, completer, watcher);
    try {
      await lane.seeTheCompleterAtWork();
      await lane.pauseCompleter();
      return lane;
    } catch (error) {
      await lane.close();
      throw error;
    }
  }

  get sql(): Sql {
    return this.database.sql;
  }

  get env(): Record<string, string> {
    return { ...shortPatience, ...this.bank.env };
  }

  /** Asks an API to pay, and writes down what it said. @throws when no whole answer came: nothing is known then */
  async pay(api: { url: string }, { key, payer, to, amount, rail }: Order): Promise<Answer> {
    const body = { to, amount, currency: 'GBP', rail };
    const answer = await call(`${api.url}/payments`, { apiKey: payer.apiKey, key, body });
    this.told.push({ customerId: payer.id, key, status: answer.status, body: answer.text });
    return answer;
  }

  /** Leaves a payment behind at a recovery point, as a request does that gives up because the bank does not answer. */
  async abandon(order: Order, point: 'funds_reserved' | 'transfer_sent'): Promise<void> {
    const method = point === 'funds_reserved' ? 'PUT' : 'GET';
    await this.bank.control('POST', '/faults', {
      kind: 'error_before',
      status: 429,
      method,
      creditor: order.to,
    });
    const { status } = await this.pay(this.impatient, order);
    const row = await this.keyRow(order.key);
    if (status !== 202 || row?.recovery_point !== point) {
      throw new Error(`not left at ${point}: ${status}, ${JSON.stringify(row)}`);
    }
  }

  resumeCompleter(): void {
    this.completer.signal('SIGCONT');
  }

  /** Not while it holds a lock: a process that stands still in a transaction would keep everybody else out. */
  async pauseCompleter(): Promise<void> {
    for (let tries = 0; tries < 100; tries += 1) {
      this.completer.signal('SIGSTOP');
      await sleep(10);
      const [row] = await this.sql<{ open: number }>(
        `SELECT count(*) AS open FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`,
      );
      if (row?.open === 0) return;
      this.resumeCompleter();
      await sleep(15);
    }
    throw new Error('the completer was never seen at rest');
  }

  async keyRow(key: string): Promise<KeyRow | undefined> {
    const [row] = await this.sql<KeyRow>(
      `SELECT k.*, p.id AS payment_id, p.status AS payment_status,
              (SELECT count(*) FROM transfers AS t WHERE t.payment_id = p.id AND t.state = 'pending') AS pending
         FROM idempotency_keys AS k
         LEFT JOIN payments AS p ON p.customer_id = k.customer_id AND p.idempotency_key = k.key
        WHERE k.key = $1`,
      [key],
    );
    return row;
  }

  /** Everything that ever happened in this lane, by all three witnesses. */
  async violations(): Promise<BrokenInvariant[]> {
    const bookings = await readBookings(this.bank.env);
    return checkQuietRail({ sql: this.sql, bookings, told: this.told });
  }

  /** @returns what was seen going wrong on the way, and how often it was looked at */
  async close() {
    const seen = await this.watcher.stop().catch((error: unknown) => ({
      reads: 0,
      violations: [{ broken: 'the watcher could look', row: { error: String(error) } }],
    }));
    this.resumeCompleter();
    await Promise.all([this.survivor, this.impatient, this.completer].map(each => each.kill()));
    await Promise.all([this.bank.stop(), this.database.drop()]);
    return seen;
  }

  /** A pause of a completer that was never up would prove nothing. Nobody else has committed anything by now. */
  private async seeTheCompleterAtWork(): Promise<void> {
    for (let looks = 0; looks < 500; looks += 1) {
      const sweeps = await this.sql(
        `SELECT FROM pg_stat_activity
          WHERE datname = current_database() AND query = 'COMMIT'`,
      );
      if (sweeps.length > 0) return;
      await sleep(20);
    }
    throw new Error(`the completer does nothing:\n${this.completer.stdout()}${this.completer.stderr()}`);
  }
}

export interface KeyRow extends Record<string, unknown> {
  recovery_point: string;
  epoch: number;
  payment_id: string | null;
  payment_status: string | null;
  /** Pending transfers of its payment. */
  pending: number;
}
