import { Controller, Get, Inject, UseGuards } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TypeOrmHealthIndicator } from '@nestjs/terminus';
import { AuthenticationGuard } from './authentication.guard.js';
import { OpenToAll } from './caller.js';

/** Liveness looks at this process only: restarting it does not mend a database. Readiness asks the database. */
@Controller('health')
@UseGuards(AuthenticationGuard)
export class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(TypeOrmHealthIndicator) private readonly database: TypeOrmHealthIndicator,
  ) {}

  @Get('live')
  @OpenToAll()
  @HealthCheck()
  live() {
    return this.health.check([]);
  }

  @Get('ready')
  @OpenToAll()
  @HealthCheck()
  ready() {
    return this.health.check([() => this.database.pingCheck('database', { timeout: 2_000 })]);
  }
}
