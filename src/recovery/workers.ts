import type { DataSource } from 'typeorm';
import type { Engine } from '../idempotency/run-operation.js';
import type { Settings } from '../settings.js';
import { Completer } from './completer.js';
import type { Worker } from './loop.js';
import { Reaper } from './reaper.js';
import { Reconciler, type Statements } from './reconciler.js';

/** What the workers work with. Without a bank there is no statement, and nothing to reconcile. */
export interface Means {
  readonly dataSource: DataSource;
  readonly settings: Settings;
  readonly engine: Engine;
  readonly bank: (Statements & { readonly isAnswering: boolean }) | null;
}

/** Every worker there is, in the order in which one run of each makes sense: what is completed can be compared. */
export function allWorkers({ dataSource, settings, engine, bank }: Means): Worker[] {
  return [
    ...(bank ? [new Completer(engine, bank, settings)] : []),
    new Reaper(dataSource, settings),
    ...(bank ? [new Reconciler(dataSource, bank, settings)] : []),
  ];
}

/** Workers that run until they are stopped: inside an API, or alone in `src/worker.ts`. */
export class Workers {
  private readonly stopping = new AbortController();
  private running: Promise<unknown> = Promise.resolve();

  constructor(private readonly workers: readonly Worker[]) {}

  /** Once. Nothing is done right away: each begins with a part of its rest. */
  start(): void {
    this.running = Promise.all(this.workers.map(worker => worker.run(this.stopping.signal)));
  }

  /** Resolves when each has finished what it had in hand. Close the database after that, not before. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }
}
