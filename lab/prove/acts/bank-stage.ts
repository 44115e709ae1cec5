import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { demoKeys } from '../../../start/seed.js';
import {
  startApi,
  startWorker,
  type ApiProcess,
  type RealProcess,
} from '../../../test/support/api-process.js';
import { startBank, type BankProcess } from '../../../test/support/bank-process.js';
import { KillablePostgres } from '../../../test/support/killable-postgres.js';
import type { BankAddress } from '../bank-witness.js';
import { recordKeyHistory } from '../key-history.js';
import { MoneyWatch } from '../watch-money.js';
import { TcpProxy } from '../tcp-proxy.js';
import { topUp } from '../world.js';
import { Asking } from './asking.js';

/** Who pays for everything, from an account for each lane. */
export const customer = 'alice';

export type Env = Readonly<Record<string, string>>;

export interface StageOptions {
  readonly seed: number;
  readonly lanes: number;
  /** Of every process of ours, and of the bank. */
  readonly env: Env;
  readonly bankEnv: Env;
  readonly patience: number;
}

/** An API that dies and comes back behind the same door. */
export interface Lane {
  readonly name: string;
  /** Whoever is paid through this lane is paid from it. Its name comes before the bank's, and is locked first. */
  readonly account: string;
  /** What the database knows its connections by: another name after each start. */
  writer: string;
  readonly door: TcpProxy;
  api: ApiProcess | undefined;
  starts: number;
}

/**
 * Everybody in a scene: the database, the bank, APIs that are killed, one API and a completer that are not, and a caller.
 * There is a host besides where nobody should ever turn up.
 */
export class BankStage {
  readonly lanes: Lane[] = [];
  readonly visitors: string[] = [];
  private readonly others: RealProcess[] = [];
  private money: MoneyWatch | undefined;

  private constructor(
    readonly postgres: KillablePostgres,
    readonly bank: BankProcess,
    private readonly folder: string,
    private readonly env: Env,
    readonly asking: Asking,
    private readonly elsewhereServer: ReturnType<typeof createServer>,
  ) {
    elsewhereServer.on('request', (request, response) => {
      this.visitors.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.end();
    });
  }

  /** @throws Error when the harness itself cannot be set up: no verdict about the product */
  static async open({ lanes, env, bankEnv, seed, patience }: StageOptions): Promise<BankStage> {
    const folder = mkdtempSync(join(tmpdir(), 'paysam-bank-'));
    const [postgres, bank] = await Promise.all([KillablePostgres.create(), startBank(bankEnv)]);
    await recordKeyHistory({ query: (text: string) => postgres.sql(text) } as never);
    const accounts = Array.from({ length: lanes }, (_, index) => `alice-${index + 1}`);
    await postgres.sql(openAccounts, [accounts]);
    await postgres.sql(topUp, [accounts, 10_000_000_000]);
    const apiKey = demoKeys.find(each => each.customer === customer)?.key ?? '';
    const asking = new Asking(join(folder, 'driver.jsonl'), { name: customer, apiKey }, { seed, patience });
    const elsewhere = createServer().listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    const stage = new BankStage(
      postgres,
      bank,
      folder,
      { WORKERS: 'elsewhere', LOG_LEVEL: 'fatal', ...bank.env, ...env },
      asking,
      elsewhere,
    );
    for (const [index, account] of accounts.entries()) {
      const name = `api-${index + 1}`;
      const door = await TcpProxy.start();
      stage.lanes.push({ name, account, writer: name, door, api: undefined, starts: 0 });
    }
    return stage;
  }

  /** Where callers turn as well: an API that never dies. Its completer does not either. */
  async startSurvivors(): Promise<string> {
    const api = await startApi({ databaseUrl: this.databaseUrl('survivor'), env: this.env });
    const worker = startWorker({
      args: ['completer'],
      databaseUrl: this.databaseUrl('worker'),
      env: this.env,
    });
    this.others.push(api, worker);
    return api.url;
  }

  get logPath(): string {
    return join(this.folder, 'driver.jsonl');
  }

  get bankAddress(): BankAddress {
    return { url: this.bank.url, apiKey: this.bank.env.BANK_API_KEY };
  }

  get elsewhere(): string {
    return `http://127.0.0.1:${(this.elsewhereServer.address() as AddressInfo).port}/transfers/x`;
  }

  watchMoney(): MoneyWatch {
    return (this.money = new MoneyWatch(this.postgres.url, this.bankAddress));
  }

  /** Back, after the kill before; armed with a fault point for what it opens itself, not for what it takes over. */
  async start(lane: Lane, { faultPoint, env = {} }: { faultPoint?: string; env?: Env } = {}): Promise<void> {
    await lane.api?.kill();
    lane.api = undefined;
    lane.starts += 1;
    // Whoever comes back is not who died: the history of keys tells them apart.
    lane.writer = `${lane.name}.${lane.starts}`;
    lane.api = await startApi({
      databaseUrl: this.databaseUrl(lane.writer),
      env: { ...this.env, FAULT_EPOCH: '1', ...env },
      ...(faultPoint !== undefined && { faultPoint }),
    });
    lane.door.pointTo(lane.api.port);
  }

  /** What the reconciler finds when it is run once: kind and reference of each difference. */
  async reconcile(): Promise<{ kind: string; reference: string }[]> {
    const worker = startWorker({
      args: ['reconciler', '--once', '--json'],
      databaseUrl: this.databaseUrl('reconciler'),
      env: this.env,
    });
    await worker.exited;
    const { reconciler } = JSON.parse(worker.stdout()) as {
      reconciler: { differences?: { kind: string; reference: string }[] };
    };
    if (!reconciler.differences) throw new Error(`the reconciler did not run: ${worker.stdout()}`);
    return reconciler.differences;
  }

  async stop(): Promise<void> {
    await this.asking.close();
    await this.money?.stop();
    const running = [...this.lanes.flatMap(({ api }) => api ?? []), ...this.others];
    await Promise.all(running.map(each => each.kill()));
    for (const { door } of this.lanes) door.stop();
    this.elsewhereServer.close();
    await this.bank.stop();
    await this.postgres.stop();
    rmSync(this.folder, { recursive: true });
  }

  private databaseUrl(writer: string): string {
    return Object.assign(new URL(this.postgres.url), { search: `application_name=${writer}` }).href;
  }
}

const openAccounts = `
  INSERT INTO accounts (id, customer_id, currency)
  SELECT name, (SELECT id FROM customers WHERE name = 'alice'), 'GBP' FROM unnest($1::text[]) AS name`;
