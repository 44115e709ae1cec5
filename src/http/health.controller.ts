import { Controller, Get, Inject, UseGuards } from '@nestjs/common';
import { HealthCheck, HealthCheckService, HealthIndicatorService } from '@nestjs/terminus';
import { DataSource } from 'typeorm';
import { AuthenticationGuard } from './authentication.guard.js';
import { OpenToAll } from './caller.js';

/** How long the database may take to answer that it is there, in milliseconds. */
const databaseAnswersWithinMs = 2_000;

/** What these routes answer is described with all others: see src/docs. */
const documentedElsewhere = { swaggerDocumentation: false, noCache: true };

/** Liveness looks at this process only: restarting it does not mend a database. Readiness asks the database. */
@Controller('health')
@UseGuards(AuthenticationGuard)
export class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(DataSource) private readonly dataSource: DataSource,
  ) {}

  @Get('live')
  @OpenToAll()
  @HealthCheck(documentedElsewhere)
  live() {
    return this.health.check([]);
  }

  @Get('ready')
  @OpenToAll()
  @HealthCheck(documentedElsewhere)
  ready() {
    return this.health.check([() => this.databaseAnswers()]);
  }

  private databaseAnswers() {
    return this.indicators
      .check('database')
      .attempt(async () => {
        await this.dataSource.query('SELECT');
      })
      .withTimeout(databaseAnswersWithinMs);
  }
}
