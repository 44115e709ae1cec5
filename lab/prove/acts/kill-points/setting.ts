import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { readBank } from '../../bank-witness.js';
import { checkEverything } from '../../checkers/every-checker.js';
import { countAnswers, countSucceeded } from '../../checkers/i15-vacuity.js';
import { readDatabase } from '../../database-witness.js';
import { readDriverLogs } from '../../driver-log.js';
import { MoneyWatch } from '../../watch-money.js';
import { findLeaks, ResourceWatch } from '../../watch-resources.js';
import type { Witnesses } from '../../witnesses.js';
import { World } from '../../world.js';
import { DirectedCaller, endWithinMs, type Payment } from './directed-caller.js';
import type { Heirs } from './recover.js';
import { Tally } from './tally.js';
import type { Victim } from './victim.js';

/** Four connections of its pool, and room for the one that was cut off and is not yet forgotten by the server. */
const bounds = { connections: 8, rssBytes: 512 * 2 ** 20, sockets: 400 };

/** It is not about refusals: what is asked for here is paid, but for what the other bank declines. */
const shareSucceededMin = 0.7;

export interface Extent {
  readonly seed: number;
  /** As a multiple of what the gate asks for. */
  readonly times: number;
  /** No place is met more often: for a small run in a test. */
  readonly most?: number | undefined;
}

/** A world for kills: who calls in it, who watches it, and what is counted. */
export class Setting implements Extent {
  readonly tally = new Tally();
  readonly seed: number;
  readonly times: number;
  readonly most: number | undefined;
  readonly heirs: Heirs;
  /** Payments whose holder died when the bank had booked them, and our database did not know it. */
  readonly asked = new Set<Payment>();
  private readonly alive = new Map<string, number>();
  private readonly money: MoneyWatch;
  private readonly resources: ResourceWatch;
  private names = 0;

  private constructor(
    readonly world: World,
    private readonly database: Pool,
    readonly caller: DirectedCaller,
    { seed, times, most, say }: Extent & { say: (line: string) => void },
  ) {
    this.seed = seed;
    this.times = times;
    this.most = most;
    this.say = say;
    this.heirs = {
      database,
      caller,
      asked: this.asked,
      urls: [world.doors['api-1'].url, world.doors['api-2'].url],
    };
    this.money = new MoneyWatch(world.postgres.url, world.bankAddress);
    this.resources = new ResourceWatch(world.postgres.url, () => new Map([...world.pids(), ...this.alive]));
  }

  readonly say: (line: string) => void;

  /** @throws Error when the harness cannot be set up */
  static async open(extent: Extent & { say: (line: string) => void }): Promise<Setting> {
    const world = await World.create();
    const database = new Pool({
      connectionString: world.postgres.url,
      application_name: 'prove-kill-points',
    });
    // Looked into after every crash, key by key.
    await database.query('CREATE INDEX ON key_history (key)');
    const [alice] = world.callers();
    if (!alice) throw new Error('nobody pays in this world');
    const caller = new DirectedCaller(join(world.folder, 'kills.jsonl'), alice, extent.seed);
    const setting = new Setting(world, database, caller, extent);
    await caller.payInAdvance(setting.heirs.urls);
    return setting;
  }

  /**
   * What a victim is started with. It stands still in the middle of a transaction for as long as the harness needs, and
   * the database must not end that before.
   */
  readonly bootEnv = { STATEMENT_TIMEOUT_MS: '8000', QUERY_TIMEOUT_MS: '9000' };

  nextName(role: string): string {
    return `${role}-${(this.names += 1)}`;
  }

  sendTo(url: string): (payment: Payment) => Promise<unknown> {
    return payment => this.caller.once(payment, url);
  }

  /** Its memory and connections are looked at for as long as it lives. */
  watch({ name, process }: Victim): void {
    this.alive.set(name, process.pid);
    void process.exited.then(() => this.alive.delete(name));
  }

  /** When all is quiet: what all three witnesses say, and whether it can be true. */
  async judge(wanted: Readonly<Record<string, number>>) {
    const { caller, database, tally, world } = this;
    await untilQuiet(database);
    caller.close();
    const witnesses: Witnesses = {
      log: await readDriverLogs([caller.path]),
      bank: await readBank(world.bankAddress),
      database: await readDatabase(world.postgres.url),
      run: {
        // Nothing is to be healed: each operation has T from its own beginning, whatever befell its holder.
        progress: { healedAt: null, endWithinMs, mayPark: [] },
        money: await this.money.stop(),
        resources: {
          samples: await this.resources.stop(),
          bounds: {
            api: bounds,
            worker: bounds,
            victim: bounds,
            completer: bounds,
            opener: bounds,
            zombie: bounds,
          },
          attemptsMax: 100_000,
          leaks: await whatStays(world.postgres.url),
        },
        coverage: { seen: tally.counts, wanted, succeededMin: 1, shareSucceededMin },
      },
    };
    return {
      witnesses,
      violations: [...tally.violations, ...checkEverything(witnesses)],
      operations: countSucceeded(witnesses).operations,
      requests: witnesses.log.length,
      counts: { ...countAnswers(witnesses), ...tally.counts },
      timesMs: tally.timesMs,
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.money.stop(), this.resources.stop()]);
    await this.database.end();
    await this.world.stop();
  }
}

/** Until nobody works on anything any more, or T is over: what is unfinished then is I5's to tell. */
async function untilQuiet(database: Pool): Promise<void> {
  const until = performance.now() + endWithinMs;
  while (performance.now() < until) {
    const { rows } = await database.query(
      "SELECT FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled') AND parked_because IS NULL",
    );
    if (rows.length === 0) return;
    await sleep(100);
  }
}

/** Workers go on sweeping: a transaction that is open at one moment and not at the next is no leak. */
async function whatStays(databaseUrl: string): Promise<string[]> {
  for (let looks = 1; ; looks += 1) {
    const leaks = await findLeaks(databaseUrl);
    if (leaks.length === 0 || looks === 5) return leaks;
    await sleep(200);
  }
}
