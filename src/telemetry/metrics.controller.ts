import { Controller, Get, Header, Inject, UseGuards } from '@nestjs/common';
import { AuthenticationGuard } from '../http/authentication.guard.js';
import { OpenToAll } from '../http/caller.js';
import { Telemetry } from './telemetry.js';

/**
 * For a Prometheus server, which has no API key. It tells how much happens, and nothing about whom: but that is the
 * operator's business too, so whoever puts this API on a public address keeps this path behind.
 */
@Controller('metrics')
@UseGuards(AuthenticationGuard)
export class MetricsController {
  constructor(@Inject(Telemetry) private readonly telemetry: Telemetry) {}

  @Get()
  @OpenToAll()
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  @Header('cache-control', 'no-store')
  scrape(): Promise<string> {
    return this.telemetry.scrape();
  }
}
