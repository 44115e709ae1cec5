import { type DynamicModule, Module } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { TypeOrmModule } from '@nestjs/typeorm';
import { type Logger, pino } from 'pino';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from './data-source.js';
import { ApiKeys } from './http/api-keys.js';
import { AuthenticationGuard } from './http/authentication.guard.js';
import { BodyPipe } from './http/body.pipe.js';
import { HealthController } from './http/health.controller.js';
import { ProblemFilter } from './http/problem.filter.js';
import { ProblemsController } from './http/problems.controller.js';
import { OperationsController } from './idempotency/operations.controller.js';
import { Engine } from './idempotency/run-operation.js';
import { AccountsController } from './ledger/accounts.controller.js';
import { closeBooks, openBooks } from './ledger/books.js';
import { PaymentsController } from './payments/payments.controller.js';
import { Settings } from './settings.js';

const LOG = Symbol('log');

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
      ],
      providers: [
        { provide: Settings, useValue: settings },
        { provide: LOG, useFactory: () => pino({ level: settings.logLevel }) },
        { provide: APP_FILTER, useFactory: (log: Logger) => new ProblemFilter(log, settings), inject: [LOG] },
        { provide: APP_PIPE, useClass: BodyPipe },
        ApiKeys,
        AuthenticationGuard,
        {
          provide: Engine,
          useFactory: (dataSource: DataSource) =>
            new Engine(dataSource, { open: openBooks, close: closeBooks }, settings),
          inject: [DataSource],
        },
      ],
    };
  }
}
