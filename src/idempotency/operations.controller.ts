import { Controller, Get, Inject, Param, UseGuards } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type Caller, CallerOf, Needs } from '../http/caller.js';
import { AuthenticationGuard } from '../http/authentication.guard.js';
import { Problem } from '../http/problem.js';
import { IdempotencyKey } from './idempotency-key.entity.js';
import { checkedKey, InvalidKey } from './idempotency-key.js';
import { Engine } from './run-operation.js';

/** What became of a key: for a caller who lost the answer, and for whoever wonders. */
@Controller('operations')
@UseGuards(AuthenticationGuard)
export class OperationsController {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(Engine) private readonly engine: Engine,
  ) {}

  @Get(':key')
  @Needs('read')
  async show(@CallerOf() { customerId }: Caller, @Param('key') key: string) {
    await this.engine.writeDuplicates();
    const row = await this.dataSource.manager.findOneBy(IdempotencyKey, { customerId, key: keyInPath(key) });
    if (!row) throw new Problem('not_found', 'You have used no such key.');
    return operationToJson(row);
  }
}

/** The same rule as for the header: what could never have been a key was never used. */
function keyInPath(key: string): string {
  try {
    return checkedKey(key);
  } catch (error) {
    if (error instanceof InvalidKey) throw new Problem('not_found', 'You have used no such key.');
    throw error;
  }
}

function operationToJson(row: IdempotencyKey) {
  const lastSeenAt = row.lastDuplicateAt ?? row.createdAt;
  const leaseLeftMs = row.lockedUntil && row.lockedUntil.getTime() - Date.now();
  return {
    key: row.key,
    object: 'operation',
    operation: row.operation,
    state: row.recoveryPoint === 'finished' ? 'completed' : 'in_progress',
    recovery_point: row.recoveryPoint,
    attempts: row.attempts,
    duplicates: row.duplicates,
    first_seen_at: row.createdAt.toISOString(),
    last_seen_at: lastSeenAt.toISOString(),
    expires_at: row.expiresAt.toISOString(),
    retry_after: leaseLeftMs === null ? null : Math.max(1, Math.ceil(leaseLeftMs / 1_000)),
    request: row.params,
    response: row.responseStatus && { status: row.responseStatus, body: row.responseBody },
  };
}
