import 'reflect-metadata';
import {
  Body,
  Controller,
  type DynamicModule,
  Inject,
  Module,
  type NestInterceptor,
  Post,
  Req,
  UseGuards,
} from '@nestjs/common';
import { APP_FILTER, APP_PIPE, NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { pino } from 'pino';
import { DataSource } from 'typeorm';
import { createDataSource } from '../../src/data-source.js';
import { ApiKeys } from '../../src/http/api-keys.js';
import { AuthenticationGuard } from '../../src/http/authentication.guard.js';
import { BodyPipe } from '../../src/http/body.pipe.js';
import { type Caller, CallerOf, Needs } from '../../src/http/caller.js';
import { ProblemFilter } from '../../src/http/problem.filter.js';
import { protect } from '../../src/http/protect.js';
import { createServer } from '../../src/http/server.js';
import { Traffic } from '../../src/http/traffic.js';
import { PaymentBody } from '../../src/payments/payment-body.js';
import { readSettings, Settings } from '../../src/settings.js';
import type { Answer, Design, Tools } from './design.js';
import { readOrder } from './order.js';
import { Rendering } from './rendering.js';
import { rosterEntry } from './roster.js';
import { Till } from './till.js';

const theDesign = Symbol('the design that is compared');

@Controller('payments')
@UseGuards(AuthenticationGuard)
class PaymentsController {
  constructor(@Inject(theDesign) private readonly design: Design) {}

  @Post()
  @Needs('pay')
  pay(
    @CallerOf() { customerId }: Caller,
    @Req() { raw }: FastifyRequest,
    @Body() body: PaymentBody,
  ): Promise<Answer> {
    return this.design.pay(readOrder(customerId, raw.rawHeaders, body));
  }
}

/** One compared design: the same Fastify, validation, authentication, limits, pool and settings as the real API. */
@Module({})
class ComparedModule {
  static with(design: Design, { dataSource, settings }: Tools): DynamicModule {
    return {
      module: ComparedModule,
      controllers: [PaymentsController],
      providers: [
        { provide: Settings, useValue: settings },
        { provide: DataSource, useValue: dataSource },
        { provide: theDesign, useValue: design },
        {
          provide: APP_FILTER,
          useFactory: () => new ProblemFilter(pino({ level: settings.logLevel }), settings),
        },
        { provide: APP_PIPE, useClass: BodyPipe },
        { provide: Traffic, useFactory: () => new Traffic(settings) },
        ApiKeys,
        AuthenticationGuard,
      ],
    };
  }
}

const [, , name = ''] = process.argv;
const entry = rosterEntry(name);
const settings = readSettings(process.env);
const dataSource = await createDataSource(settings).initialize();
const tools: Tools = { dataSource, till: new Till(dataSource, settings), settings };

if (entry.serve) {
  console.log(`${name} listens on ${await entry.serve(tools)}`);
} else {
  const design = await entry.build(tools);
  if (design.schema) await dataSource.query(design.schema);
  await design.start?.();
  const app = await NestFactory.create<NestFastifyApplication>(
    ComparedModule.with(design, tools),
    createServer(settings),
    { bodyParser: false, logger: ['error', 'fatal'] },
  );
  await protect(app, settings);
  // The outermost first.
  app.useGlobalInterceptors(new Rendering(), ...(isInterceptor(design) ? [design] : []));
  await app.listen(settings.port, settings.host);
  console.log(`${name} listens on ${await app.getUrl()}`);
}

function isInterceptor(design: Design): design is Design & NestInterceptor {
  return 'intercept' in design;
}

// What is in flight does not matter: whoever stops this has seen what there was to see.
process.once('SIGTERM', () => process.exit(0));
// The parent is gone, and nobody is left to stop this process.
process.once('disconnect', () => process.exit(0));
