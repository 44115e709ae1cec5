import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { pino } from 'pino';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/data-source.js';
import { ApiKeys } from '../../src/http/api-keys.js';
import { AuthenticationGuard } from '../../src/http/authentication.guard.js';
import { createServer } from '../../src/http/server.js';
import { Traffic } from '../../src/http/traffic.js';
import { readSettings, Settings } from '../../src/settings.js';
import { MetricsController } from '../../src/telemetry/metrics.controller.js';
import { Telemetry } from '../../src/telemetry/telemetry.js';
import { call } from '../support/http.js';

@Module({})
class ListeningModule {}

export interface ListeningApp {
  url: string;
  dataSource: DataSource;
  /** What was logged so far, line by line, as it was written. */
  lines: string[];
  /** The same, read; without the time, the process and the host. */
  logged: () => Record<string, unknown>[];
  scrape: () => Promise<string>;
  stop: () => Promise<void>;
}

/** An application that does nothing but listen, with a log that the test can read. */
export async function listen(databaseUrl: string, env: Record<string, string> = {}): Promise<ListeningApp> {
  const settings = readSettings({ DATABASE_URL: databaseUrl, PORT: '0', ...env });
  const lines: string[] = [];
  const log = pino({ level: 'info', base: null, timestamp: false }, { write: line => lines.push(line) });
  const app = await NestFactory.create<NestFastifyApplication>(
    {
      module: ListeningModule,
      imports: [TypeOrmModule.forRoot({ ...dataSourceOptions(settings), retryAttempts: 0 })],
      controllers: [MetricsController],
      providers: [
        { provide: Settings, useValue: settings },
        ApiKeys,
        AuthenticationGuard,
        { provide: Traffic, useValue: new Traffic(settings) },
        {
          provide: Telemetry,
          useFactory: (dataSource: DataSource) => new Telemetry(dataSource, log),
          inject: [DataSource],
        },
      ],
    },
    createServer(settings),
    { bodyParser: false, logger: false, abortOnError: false },
  );
  await app.listen(0, settings.host);
  const url = await app.getUrl();
  return {
    url,
    dataSource: app.get(DataSource),
    lines,
    logged: () => lines.map(line => JSON.parse(line) as Record<string, unknown>),
    scrape: async () => (await call(`${url}/metrics`)).text,
    stop: () => app.close(),
  };
}
