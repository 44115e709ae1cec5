import type {
  BeforeApplicationShutdown,
  OnApplicationBootstrap,
  OnApplicationShutdown,
} from '@nestjs/common';
import type { BankClient } from '../bank/bank.client.js';
import type { Engine } from '../idempotency/run-operation.js';
import type { Workers } from './workers.js';

/**
 * Ties the workers, and the way to the bank, to the life of an API. A stopping process first takes on nothing new,
 * then lets what is under way come to its end, and closes the way to the bank last.
 */
export class WorkersInside
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown
{
  private stopped: Promise<void> | undefined;

  constructor(
    private readonly engine: Engine,
    private readonly bank: BankClient | null,
    private readonly workers: Workers | null,
  ) {}

  onApplicationBootstrap(): void {
    this.workers?.start();
  }

  /** Nest waits for what is returned here before it stops accepting, so nothing is. */
  beforeApplicationShutdown(): void {
    this.stopped = this.workers?.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.stopped;
    await this.engine.onApplicationShutdown();
    await this.bank?.close();
  }
}
