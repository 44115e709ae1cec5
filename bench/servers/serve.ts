import 'reflect-metadata';
import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { APP_FILTER, APP_PIPE, NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { pino } from 'pino';
import { dataSourceOptions } from '../../src/data-source.js';
import { ApiKeys } from '../../src/http/api-keys.js';
import { AuthenticationGuard } from '../../src/http/authentication.guard.js';
import { BodyPipe } from '../../src/http/body.pipe.js';
import { ProblemFilter } from '../../src/http/problem.filter.js';
import { protect } from '../../src/http/protect.js';
import { createServer } from '../../src/http/server.js';
import { Traffic } from '../../src/http/traffic.js';
import { readSettings, Settings } from '../../src/settings.js';
import { BareController } from './bare.controller.js';
import { ClassicController } from './classic.controller.js';
import { NaiveController } from './naive.controller.js';

/**
 * What the real service is compared with: the same Fastify, the same validation, the same authentication and
 * limits, the same pool and settings. Only the controller differs.
 */
@Module({})
class ComparedModule {
  static with(controller: Type, settings: Settings): DynamicModule {
    const usesDatabase = controller !== BareController;
    return {
      module: ComparedModule,
      imports: usesDatabase
        ? [TypeOrmModule.forRoot({ ...dataSourceOptions(settings), retryAttempts: 0 })]
        : [],
      controllers: [controller],
      providers: [
        { provide: Settings, useValue: settings },
        {
          provide: APP_FILTER,
          useFactory: () => new ProblemFilter(pino({ level: settings.logLevel }), settings),
        },
        { provide: APP_PIPE, useClass: BodyPipe },
        { provide: Traffic, useFactory: () => new Traffic(settings) },
        ...(usesDatabase ? [ApiKeys, AuthenticationGuard] : []),
      ],
    };
  }
}

const controllers: Record<string, Type> = {
  bare: BareController,
  naive: NaiveController,
  classic: ClassicController,
};

const [, , name = ''] = process.argv;
const controller = controllers[name];
if (!controller)
  throw new Error(`There is no server "${name}"; there are ${Object.keys(controllers).join(', ')}.`);

const settings = readSettings(process.env);
const app = await NestFactory.create<NestFastifyApplication>(
  ComparedModule.with(controller, settings),
  createServer(settings),
  { bodyParser: false, logger: ['error', 'fatal'] },
);
await protect(app, settings);
await app.listen(settings.port, settings.host);
console.log(`${name} listens on ${await app.getUrl()}`);

const stop = () => {
  void app.close().then(() => process.exit(0));
};
process.once('SIGTERM', stop);
// The parent is gone, and nobody is left to stop this process.
process.once('disconnect', stop);
