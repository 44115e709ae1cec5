import { join } from 'node:path';
import type { ActResult, Stage } from '../act.js';
import type { DriverOptions } from '../driver.js';
import { startLoad, type Load } from '../load.js';
import type { Violation } from '../violation.js';
import { MoneyWatch } from '../watch-money.js';
import { ResourceWatch } from '../watch-resources.js';
import { World } from '../world.js';
import { hearWitnesses, sumUp, untilQuiet } from './judge.js';

/** Four of its pool, and room for those of the process before it, which the server has not yet forgotten. */
const connectionsMax = 8;

/** What an act says of itself; what its log says is added to `counts`. */
export interface Told extends Pick<ActResult, 'name' | 'counts' | 'wanted' | 'timesMs'> {
  /** What the act itself found, besides what the checkers find. */
  readonly found: readonly Violation[];
  /** Of its operations, so many succeed at least, between 0 and 1. */
  readonly shareSucceededMin: number;
  /** T of I5, in milliseconds, where a longer lease than that of world.ts is waited for. */
  readonly endWithinMs?: number;
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

  /** Whatever happens in `play`, nothing of it is left running. What it wrote down stays in the stage's folder. */
  static async play<Result>(
    { folder }: Stage,
    env: Readonly<Record<string, string>>,
    play: (scene: Scene) => Promise<Result>,
  ): Promise<Result> {
    const scene = new Scene(await World.create({ env, keepIn: folder }));
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

  drive(options: Omit<DriverOptions, 'log'>): Load {
    return startLoad({ ...options, log: this.log(options.name) });
  }

  /** Waits until nobody works on anything any more, asks the three witnesses, and has them judged. */
  async judge({ counts, found, name, timesMs, wanted, ...bounds }: Told): Promise<ActResult> {
    const { bankAddress, postgres } = this.world;
    await untilQuiet(postgres.sql);
    const witnesses = await hearWitnesses({
      databaseUrl: postgres.url,
      bank: bankAddress,
      logs: this.logs,
      // Nothing here lasts: each operation has T from its own beginning.
      healedAt: null,
      money: await this.money.stop(),
      samples: await this.resources.stop(),
      ...{ ...bounds, seen: counts, wanted, connectionsMax },
    });
    return sumUp(name, witnesses, { more: found, timesMs });
  }
}
