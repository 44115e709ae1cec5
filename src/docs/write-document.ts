import { writeFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { OpenAPIObject } from '@nestjs/swagger';
import { AppModule } from '../app.module.js';
import { createServer } from '../http/server.js';
import { readSettings } from '../settings.js';
import { openApiOf } from './document.js';

/** Whatever the settings of this machine, the committed document is that of the defaults. */
const settings = readSettings({ DATABASE_URL: 'postgres://nobody' });

/** The document as code alone makes it: nothing is started, and no database is asked. */
export async function openApiOfCode(): Promise<OpenAPIObject> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(settings),
    createServer(settings),
    { preview: true, logger: false, abortOnError: false },
  );
  return openApiOf(app, settings);
}

if (import.meta.main) {
  writeFileSync('docs/openapi.json', `${JSON.stringify(await openApiOfCode(), null, 2)}\n`);
  console.log('docs/openapi.json is what the code says.');
}
