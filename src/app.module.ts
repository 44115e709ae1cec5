import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { Logger } from 'pino';
import { DataSource } from 'typeorm';
import { BankClient } from './bank/bank.client.js';
import { dataSourceOptions } from './data-source.js';
import { DocsController, OpenApiJson } from './docs/docs.controller.js';
import { createEngine } from './engine.js';
import { ApiKeys } from './http/api-keys.js';
import { AuthenticationGuard } from './http/authentication.guard.js';
import { BodyPipe } from './http/body.pipe.js';
import { HealthController } from './http/health.controller.js';
import { ProblemFilter } from './http/problem.filter.js';
import { Traffic } from './http/traffic.js';
import { ProblemsController } from './http/problems.controller.js';
import { OperationsController } from './idempotency/operations.controller.js';
import { Engine } from './idempotency/run-operation.js';
import { AccountsController } from './ledger/accounts.controller.js';
import { PaymentsController } from './payments/payments.controller.js';
import { Requests } from './payments/requests.js';
import { allWorkers, Workers } from './recovery/workers.js';
import { WorkersInside } from './recovery/workers-inside.js';
import { Settings } from './settings.js';
import { createLog } from './telemetry/log.js';
import { MetricsController } from './telemetry/metrics.controller.js';
import { Telemetry } from './telemetry/telemetry.js';

const LOG = Symbol('log');
/** The way to the other bank; null where there is none. */
const BANK = Symbol('bank');

/** The whole application, in one place. */
@Module({})
export class AppModule {
  static with(settings: Settings): DynamicModule {
    return {
      module: AppModule,
      imports: [
        TypeOrmModule.forRoot({ ...dataSourceOptions(settings), retryAttempts: 0 }),
        TerminusModule.forRoot({ logger: false }),
      ],
      controllers: [
        PaymentsController,
        AccountsController,
        OperationsController,
        ProblemsController,
        HealthController,
        MetricsController,
        DocsController,
      ],
      providers: [
        { provide: Settings, useValue: settings },
        { provide: LOG, useFactory: () => createLog(settings.logLevel) },
        { provide: APP_FILTER, useFactory: (log: Logger) => new ProblemFilter(log, settings), inject: [LOG] },
        { provide: APP_PIPE, useClass: BodyPipe },
        ApiKeys,
        { provide: Traffic, useFactory: () => new Traffic(settings) },
        Requests,
        OpenApiJson,
        AuthenticationGuard,
        { provide: BANK, useFactory: () => (settings.bankUrl === '' ? null : new BankClient(settings)) },
        {
          provide: Engine,
          useFactory: (dataSource: DataSource, bank: BankClient | null) =>
            createEngine(dataSource, bank, settings),
          inject: [DataSource, BANK],
        },
        {
          provide: WorkersInside,
          useFactory: (dataSource: DataSource, engine: Engine, bank: BankClient | null) => {
            const workers = allWorkers({ dataSource, settings, engine, bank });
            return new WorkersInside(
              engine,
              bank,
              settings.workers === 'inside' ? new Workers(workers) : null,
            );
          },
          inject: [DataSource, Engine, BANK],
        },
        {
          provide: Telemetry,
          useFactory: (dataSource: DataSource, log: Logger) => new Telemetry(dataSource, log),
          inject: [DataSource, LOG],
        },
      ],
    };
  }
}
