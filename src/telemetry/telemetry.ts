import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import type { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';
import { bankEvents, type BankEvent } from '../bank/events.js';
import { engineEvents, type EngineEvent } from '../idempotency/events.js';
import { recoveryEvents, type RecoveryEvent } from '../recovery/events.js';
import { BacklogReader } from './backlog.js';
import { EventCounter } from './count-events.js';
import type { Listener } from './listener.js';
import { EventLog } from './log-events.js';
import { Metrics } from './metrics.js';

/**
 * Listens to what the engine, the bank's client and the workers say: counts it, and writes down what an operator
 * must know. None of them knows that it exists.
 *
 * They speak to the whole process: two applications in one process both count what either does. That happens in
 * tests only. What an application asks for itself, its connections and the backlog, is its own.
 */
export class Telemetry implements OnModuleInit, OnApplicationShutdown {
  private readonly metrics: Metrics;
  private readonly listeners: readonly Listener[];
  private underway: Promise<string> | null = null;

  constructor(
    dataSource: DataSource,
    private readonly log: Logger,
  ) {
    const backlog = new BacklogReader(dataSource);
    this.metrics = new Metrics({
      backlog: () => backlog.read(),
      connections: () => connectionsOf(dataSource),
    });
    this.listeners = [new EventCounter(this.metrics), new EventLog(log)];
  }

  onModuleInit(): void {
    subscribe(engineEvents.name, this.hearEngine);
    subscribe(bankEvents.name, this.hearBank);
    subscribe(recoveryEvents.name, this.hearRecovery);
  }

  /** Nest calls this when every caller has been answered, so that the last answers are counted too. */
  onApplicationShutdown(): void {
    unsubscribe(engineEvents.name, this.hearEngine);
    unsubscribe(bankEvents.name, this.hearBank);
    unsubscribe(recoveryEvents.name, this.hearRecovery);
  }

  /** What a Prometheus server reads. However many ask at once, it is put together once. */
  scrape(): Promise<string> {
    this.underway ??= this.metrics.text().finally(() => {
      this.underway = null;
    });
    return this.underway;
  }

  private readonly hearEngine = (event: unknown) => {
    this.tell(listener => {
      listener.engine(event as EngineEvent);
    });
  };

  private readonly hearBank = (event: unknown) => {
    this.tell(listener => {
      listener.bank(event as BankEvent);
    });
  };

  private readonly hearRecovery = (event: unknown) => {
    this.tell(listener => {
      listener.recovery(event as RecoveryEvent);
    });
  };

  /** What a subscriber throws would end the process. A mistake in here must not cost anybody a payment. */
  private tell(say: (listener: Listener) => void): void {
    for (const listener of this.listeners) {
      try {
        say(listener);
      } catch (error) {
        this.log.error({ err: error }, 'an event could not be counted or logged');
      }
    }
  }
}

/** What the driver's pool says about itself. */
function connectionsOf(dataSource: DataSource) {
  const { totalCount, idleCount, waitingCount } = (dataSource.driver as PostgresDriver).master as Pool;
  return { inUse: totalCount - idleCount, idle: idleCount, waiting: waitingCount };
}
