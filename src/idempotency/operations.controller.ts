import { Controller, Get, HttpCode, Inject, Param, Post, UseGuards } from '@nestjs/common';
import { type Caller, CallerOf, Needs } from '../http/caller.js';
import { AuthenticationGuard } from '../http/authentication.guard.js';
import { Problem } from '../http/problem.js';
import type { KeyRow } from './claim.js';
import { checkedKey, InvalidKey } from './idempotency-key.js';
import { retryAfterSeconds } from './judge-repeat.js';
import { Engine } from './run-operation.js';

/** What became of a key: for a caller who lost the answer, and for whoever wonders. */
@Controller('operations')
@UseGuards(AuthenticationGuard)
export class OperationsController {
  constructor(@Inject(Engine) private readonly engine: Engine) {}

  @Get(':key')
  @Needs('read')
  async show(@CallerOf() { customerId }: Caller, @Param('key') key: string) {
    const row = await this.engine.lookAt({ customerId, key: keyInPath(key) });
    if (!row) throw new Problem('not_found', 'You have used no such key.');
    return operationToJson(row);
  }

  /** For a caller who does not know whether its request arrived, and no longer wants it to. */
  @Post(':key/cancel')
  @Needs('pay')
  @HttpCode(200)
  async cancel(@CallerOf() { customerId }: Caller, @Param('key') keyGiven: string) {
    const key = keyInPath(keyGiven);
    const end = await this.engine.cancel({ customerId, key });
    switch (end.kind) {
      case 'closed':
        return this.show({ customerId, scopes: [] }, key);
      case 'in_progress':
        throw new Problem('in_progress', 'The request may be at the bank: ask again when that is known.', {
          headers: {
            'idempotency-key': key,
            'idempotency-status': 'in_progress',
            'retry-after': String(end.retryAfterSeconds),
          },
        });
      case 'already_completed':
        throw new Problem('already_completed', 'The operation came to its end before; this is its result.', {
          headers: { 'idempotency-key': key, 'idempotency-status': 'already_completed' },
          members: { response: end.answer },
        });
    }
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

function operationToJson(row: KeyRow) {
  const isCancelled = row.recoveryPoint === 'cancelled';
  const state = stateOf(row);
  return {
    key: row.key,
    object: 'operation',
    operation: row.operation || null,
    state,
    recovery_point: row.recoveryPoint,
    attempts: row.attempts,
    duplicates: row.duplicates,
    first_seen_at: row.createdAt.toISOString(),
    last_seen_at: (row.lastDuplicateAt ?? row.createdAt).toISOString(),
    // What was cancelled stays so.
    expires_at: isCancelled ? null : row.expiresAt.toISOString(),
    retry_after: state === 'in_progress' ? retryAfterSeconds(row.leaseLeftMs ?? 0) : null,
    request: row.operation ? row.params : null,
    response: row.answer,
  };
}

function stateOf({ recoveryPoint, parkedBecause }: KeyRow) {
  if (recoveryPoint === 'finished') return 'completed';
  if (recoveryPoint === 'cancelled') return 'cancelled';
  return parkedBecause === null ? 'in_progress' : 'parked';
}
