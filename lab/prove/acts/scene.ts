import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ActResult } from '../act.js';
import { readBank } from '../bank-witness.js';
import { checkEverything } from '../checkers/every-checker.js';
import { countAnswers, countSucceeded } from '../checkers/i15-vacuity.js';
import { readDatabase } from '../database-witness.js';
import { readDriverLogs, type Exchange } from '../driver-log.js';
import type { DriverOptions, DriverReport } from '../driver.js';
import type { Coverage } from '../run-record.js';
import type { Violation } from '../violation.js';
import { MoneyWatch } from '../watch-money.js';
import { findLeaks, ResourceWatch } from '../watch-resources.js';
import type { Witnesses } from '../witnesses.js';
import { World } from '../world.js';

/** T of invariant I5, in milliseconds. */
export const endWithinMs = 15_000;

/** Four connections of its pool, and room for those of the process before it, which the server has not yet forgotten. */
const bounds = { connections: 8, rssBytes: 512 * 2 ** 20, sockets: 400 };

/** What an act says of itself; what its log says is added to `counts`. */
export interface Told extends Pick<ActResult, 'name' | 'counts' | 'wanted' | 'timesMs'> {
  /** What the act itself found, besides what the checkers find. */
  readonly found: readonly Violation[];
  /** Of its operations, so many succeed at least, between 0 and 1. */
  readonly shareSucceededMin: number;
}

/** A world in which callers do what they do: watched all the while, and judged by every checker in the end. */
export class Scene {
  private readonly logs: string[] = [];
  private readonly money: MoneyWatch;
  private readonly resources: ResourceWatch;

  private constructor(readonly world: World) {
    this.money = new MoneyWatch(world.postgres.url, world.bankAddress);
    this.resources = new ResourceWatch(world.postgres.url, () => world.pids());
  }

  /** Whatever happens in `play`, nothing of it is left running. */
  static async play<Result>(
    env: Readonly<Record<string, string>>,
    play: (scene: Scene) => Promise<Result>,
  ): Promise<Result> {
    const scene = new Scene(await World.create({ env }));
    try {
      return await play(scene);
    } finally {
      await Promise.all([scene.money.stop(), scene.resources.stop()]);
      await scene.world.stop();
    }
  }

  /** The log of a driver of that name. It is read when the act is judged. */
  log(name: string): string {
    const path = join(this.world.folder, `${name}.jsonl`);
    if (!this.logs.includes(path)) this.logs.push(path);
    return path;
  }

  /** A driver as a process of its own, so that neither its load nor its death is this process's. */
  drive(options: Omit<DriverOptions, 'log'>): DriverProcess {
    const all: DriverOptions = { ...options, log: this.log(options.name) };
    const script = join(import.meta.dirname, '../driver.js');
    const child = spawn(process.execPath, [script, JSON.stringify(all)], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const gone = once(child, 'exit') as Promise<[number | null]>;
    const told = text(child.stdout as NonNullable<typeof child.stdout>);
    return {
      kill: async () => {
        child.kill('SIGKILL');
        await gone;
      },
      stop: () => {
        child.kill('SIGTERM');
      },
      ended: async withinMs => {
        const impatience = setTimeout(() => child.kill('SIGKILL'), withinMs);
        const [code] = await gone;
        clearTimeout(impatience);
        if (code !== 0) throw new Error(`the driver ${options.name} ended with ${String(code)}`);
        return JSON.parse(await told) as DriverReport;
      },
    };
  }

  /** Waits until nobody works on anything any more, asks the three witnesses, and has them judged. */
  async judge(told: Told): Promise<ActResult & { log: readonly Exchange[] }> {
    const { world } = this;
    await this.untilQuiet();
    const log = await readDriverLogs(this.logs);
    const coverage: Coverage = {
      seen: told.counts,
      wanted: told.wanted,
      succeededMin: 1,
      shareSucceededMin: told.shareSucceededMin,
    };
    const witnesses: Witnesses = {
      log,
      bank: await readBank(world.bankAddress),
      database: await readDatabase(world.postgres.url),
      run: {
        // Nothing here lasts: each operation has T from its own beginning.
        progress: { healedAt: null, endWithinMs, mayPark: [] },
        money: await this.money.stop(),
        resources: {
          samples: await this.resources.stop(),
          bounds: { api: bounds, worker: bounds },
          attemptsMax: 100_000,
          leaks: await findLeaks(world.postgres.url),
        },
        coverage,
      },
    };
    const { name, found, timesMs, wanted } = told;
    return {
      name,
      violations: [...found, ...checkEverything(witnesses)],
      operations: countSucceeded(witnesses).operations,
      requests: log.length,
      counts: { ...countAnswers(witnesses), ...told.counts },
      wanted,
      timesMs,
      log,
    };
  }

  /** Until nothing is unfinished, or T is over: what is unfinished then is I5's to tell. */
  private async untilQuiet(): Promise<void> {
    const until = Date.now() + endWithinMs;
    const unfinished =
      "SELECT FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled') AND parked_because IS NULL";
    while (Date.now() < until && (await this.world.postgres.sql(unfinished)).length > 0) await sleep(100);
  }
}

export interface DriverProcess {
  /** SIGKILL. Resolves once it is gone. */
  readonly kill: () => Promise<void>;
  /** It begins nothing new. */
  readonly stop: () => void;
  /** @throws Error when it does not come to an end by itself: that is the harness's failure, or a caller's without end */
  readonly ended: (withinMs: number) => Promise<DriverReport>;
}
