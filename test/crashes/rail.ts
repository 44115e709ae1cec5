import { setTimeout as sleep } from 'node:timers/promises';
import {
  startApi,
  startWorker,
  type ApiOptions,
  type ApiProcess,
  type RealProcess,
} from '../support/api-process.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Customer, type Database, type Sql } from '../support/database.js';
import { call, type Answer } from '../support/http.js';
import { recordKeyHistory } from '../support/key-history.js';
import { checkQuietRail, readBookings, type Told } from '../support/rail-invariants.js';

/**
 * Waits that a test can afford, in the proportions of production. Leases last long enough for a slow machine to
 * look at what is held before they run out.
 */
const patience = {
  WORKERS: 'elsewhere',
  LOG_LEVEL: 'fatal',
  LEASE_MS: '1500',
  BANK_TIMEOUT_MS: '1200',
  BANK_REQUEST_TIMEOUT_MS: '1000',
  BANK_CONNECT_TIMEOUT_MS: '300',
  BANK_BACKOFF_MS: '10',
  BANK_BACKOFF_MAX_MS: '100',
  BANK_BREAK_MS: '200',
  SWEEP_MS: '50',
  RECOVERY_BACKOFF_MS: '50',
  RECOVERY_BACKOFF_MAX_MS: '200',
  OUTAGE_BACKOFF_MAX_MS: '200',
  DATABASE_CONNECTIONS_MAX: '4',
  // A key's row then changes only when its payment does, so that a test can see that nobody has touched it.
  DUPLICATES_FLUSH_MS: '600000',
};

/** T of invariant I5: how long after the last fault everything may take to end, in milliseconds. */
const quietWithinMs = 20_000;

export interface KeyRow extends Record<string, unknown> {
  recovery_point: string;
  epoch: number;
  parked_because: string | null;
  locked_until: Date | null;
  response_body: string | null;
  expires_at: Date;
  finished_at: Date | null;
  payment_id: string;
  /** The database's time at which this was read. */
  read_at: Date;
}

type Place = Pick<Database, 'url' | 'sql'>;

/**
 * Payments through the other bank, and their three witnesses: what callers were told, the bank's books, and the
 * database. Processes are started here, die somewhere, and none outlives the test.
 */
export class Rail {
  readonly told: Told[] = [];
  /** How often nobody could say how a call ended: no answer came, or none that arrived whole. */
  cut = 0;
  private readonly processes: RealProcess[] = [];

  private constructor(
    readonly place: Place,
    readonly bank: BankProcess,
    readonly alice: Customer,
    private readonly env: Record<string, string>,
    private readonly leave: () => Promise<void>,
  ) {}

  static async open(env: Record<string, string> = {}): Promise<Rail> {
    const database = await createDatabase();
    const alice = await database.addCustomer({ name: 'alice', balance: 1_000_000 });
    await database.addCustomer({ name: 'sam' });
    return Rail.openOn(database, { alice, env, leave: database.drop });
  }

  /** On a database that exists, and is somebody else's to throw away. */
  static async openOn(
    place: Place,
    { alice, env, leave }: { alice: Customer; env: Record<string, string>; leave: () => Promise<void> },
  ): Promise<Rail> {
    await recordKeyHistory(place.sql);
    const bank = await startBank({ BANK_SETTLE_MS: '40' });
    return new Rail(place, bank, alice, { ...patience, ...bank.env, ...env }, leave);
  }

  get sql(): Sql {
    return this.place.sql;
  }

  async startApi(options: Partial<ApiOptions> = {}): Promise<ApiProcess> {
    const api = await startApi(this.with(options));
    this.processes.push(api);
    return api;
  }

  startWorker(args: string[], options: Partial<ApiOptions> = {}): RealProcess {
    const worker = startWorker({ args, ...this.with(options) });
    this.processes.push(worker);
    return worker;
  }

  /** £1.00 to sam, through the bank unless `body` says otherwise. @throws when no whole answer came */
  async pay(api: { url: string }, key: string, body: object = {}): Promise<Answer> {
    const order = { to: 'sam', amount: 100, currency: 'GBP', rail: 'bank', ...body };
    const { id: customerId, apiKey } = this.alice;
    const answer = await call(`${api.url}/payments`, { apiKey, key, body: order });
    this.told.push({ customerId, key, status: answer.status, body: answer.text });
    return answer;
  }

  /**
   * What a caller does that wants to know: the same again, to one API and then the next, until it is told how it
   * ended. What it may be told meanwhile is that nobody knows yet; anything else is a mistake.
   */
  async payUntilFinal(apis: { url: string }[], key: string, body?: object): Promise<Answer> {
    const until = performance.now() + quietWithinMs;
    for (let turn = 0; performance.now() < until; turn += 1) {
      const api = apis[turn % apis.length];
      const answer = api && (await this.pay(api, key, body).catch(() => void (this.cut += 1)));
      if (answer?.status === 200 || answer?.status === 402) return answer;
      if (answer) expectNotKnownYet(answer);
      await sleep(50);
    }
    throw new Error(`nobody ever said how ${key} ended: ${JSON.stringify(await this.row(key))}`);
  }

  async row(key: string): Promise<KeyRow> {
    const [row] = await this.sql<KeyRow>(
      `SELECT k.*, p.id AS payment_id, clock_timestamp() AS read_at
         FROM idempotency_keys AS k JOIN payments AS p ON (p.customer_id, p.idempotency_key) = (k.customer_id, k.key)
        WHERE key = $1`,
      [key],
    );
    if (!row) throw new Error(`there is no payment under ${key}`);
    return row;
  }

  async untilRow(key: string, isSo: (row: KeyRow) => boolean): Promise<KeyRow> {
    const until = performance.now() + quietWithinMs;
    for (;;) {
      const row = await this.row(key);
      if (isSo(row)) return row;
      if (performance.now() > until) throw new Error(`${key} never came so far: ${JSON.stringify(row)}`);
      await sleep(25);
    }
  }

  /** The sum of a metric's series, whatever their labels. */
  async metric({ url }: { url: string }, name: string): Promise<number> {
    const { text } = await call(`${url}/metrics`);
    const lines = text.split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    if (lines.length === 0) throw new Error(`${name} is not told`);
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  /** Where the bank holds requests, until it is told to let go. */
  async barrier(
    at: 'before' | 'after',
    { method = 'PUT', times = 1 }: { method?: 'PUT' | 'GET'; times?: number } = {},
  ) {
    const { id } = (await this.bank.control('POST', '/barriers', { at, method, times })) as { id: string };
    return {
      holds: async (requests: number) => {
        for (let looks = 0; looks < 400; looks += 1) {
          const { held } = (await this.bank.control('GET', `/barriers/${id}`)) as { held: number };
          if (held >= requests) return;
          await sleep(25);
        }
        throw new Error(`there were never ${requests} requests at the barrier`);
      },
      release: () => this.bank.control('DELETE', `/barriers/${id}`),
    };
  }

  /** Waits until all is quiet. @throws with each row that never ends */
  async untilAllHaveEnded(): Promise<void> {
    const until = performance.now() + quietWithinMs;
    for (;;) {
      const unfinished = await this.sql(
        "SELECT * FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled') AND parked_because IS NULL",
      );
      if (unfinished.length === 0) return;
      if (performance.now() > until) throw new Error(`these never ended: ${JSON.stringify(unfinished)}`);
      await sleep(50);
    }
  }

  /** What must hold now that all has ended, by all three witnesses. */
  async quietViolations() {
    const bookings = await readBookings(this.bank.env);
    return checkQuietRail({ sql: this.sql, bookings, told: this.told });
  }

  /** By payment: how often the bank was paid for it. */
  async charges(): Promise<Map<string, number>> {
    const charges = new Map<string, number>();
    for (const { kind, reference } of await readBookings(this.bank.env)) {
      if (kind === 'charge') charges.set(reference, (charges.get(reference) ?? 0) + 1);
    }
    return charges;
  }

  async close(): Promise<void> {
    await Promise.all(this.processes.map(each => each.kill()));
    await this.bank.stop();
    await this.leave();
  }

  private with(options: Partial<ApiOptions>): ApiOptions {
    return { databaseUrl: this.place.url, ...options, env: { ...this.env, ...options.env } };
  }
}

/** Still under way, or nobody could be asked. Never a decline, never an error that says: stop asking. */
function expectNotKnownYet({ status, headers, json, text }: Answer): void {
  const isUnderWay = status === 202 || (status === 409 && json?.code === 'in_progress');
  const isAway = status === 503 && headers.get('retry-after') !== null;
  if (!isUnderWay && !isAway) throw new Error(`told ${status}, which is no answer to wait for: ${text}`);
}
