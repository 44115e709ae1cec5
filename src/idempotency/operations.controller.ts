import {
  Body,
  Controller,
  Get,
  HttpCode,
  Inject,
  Injectable,
  Param,
  Post,
  Put,
  Req,
  Res,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Observable } from 'rxjs';
import { type Caller, CallerOf, Needs } from '../http/caller.js';
import { AuthenticationGuard } from '../http/authentication.guard.js';
import { validated } from '../http/body.pipe.js';
import { Problem, type FieldError } from '../http/problem.js';
import { OperationBody, RefundParamsBody } from '../payments/operation-body.js';
import { PaymentBody } from '../payments/payment-body.js';
import { Requests } from '../payments/requests.js';
import type { KeyRow } from './claim.js';
import type { Asking } from './idempotency.interceptor.js';
import { checkedKey, InvalidKey } from './idempotency-key.js';
import { retryAfterSeconds, type EndedRow } from './judge-repeat.js';
import type { Owner } from './operation.js';
import { readPreference } from './prefer.js';
import { Engine } from './run-operation.js';
import { tell, type Answered } from './tell.js';

/** The key of a PUT is checked where that of a POST is: after authentication, and before anything looks at the body. */
@Injectable()
class KeyInPath implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { params } = context.switchToHttp().getRequest<FastifyRequest<{ Params: { key: string } }>>();
    try {
      checkedKey(params.key);
    } catch (error) {
      if (error instanceof InvalidKey) throw new Problem('idempotency_key_invalid', error.message);
      throw error;
    }
    return next.handle();
  }
}

/** What became of a key: for a caller who lost the answer, and for whoever wonders. */
@Controller('operations')
@UseGuards(AuthenticationGuard)
export class OperationsController {
  constructor(
    @Inject(Engine) private readonly engine: Engine,
    @Inject(Requests) private readonly requests: Requests,
  ) {}

  @Get(':key')
  @Needs('read')
  show(@CallerOf() { customerId }: Caller, @Param('key') key: string) {
    return this.operation({ customerId, key: keyInPath(key) });
  }

  /**
   * The same as the POST with this key in its header, for callers who would rather say what is to be than what is to
   * be done: however often it is put, it happens once, and the answer shows how it ended.
   */
  @Put(':key')
  @Needs('pay')
  @UseInterceptors(KeyInPath)
  async put(
    @CallerOf() { customerId }: Caller,
    @Param('key') key: string,
    @Body() { operation, params }: OperationBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const preference = readPreference(request.headers.prefer);
    const asking = { customerId, key, patience: preference?.patience };
    const answered = await namedAsParams(async () =>
      operation === 'payment'
        ? this.requests.pay(asking, validated(params, PaymentBody))
        : this.refund(asking, validated(params, RefundParamsBody)),
    );
    if (preference) reply.header('preference-applied', preference.applied);
    const { status, headers } = tell(answered);
    const json = await this.operation({ customerId, key });
    // A decline is a result like any other; what the operation's own caller would be told is inside.
    reply.status(status === 202 ? 202 : 200).headers({ ...headers, ...plainJson });
    return json;
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
        return this.operation({ customerId, key });
      case 'in_progress':
        throw new Problem('in_progress', 'The request may be at the bank: ask again when that is known.', {
          headers: {
            'idempotency-key': key,
            'idempotency-status': 'in_progress',
            'retry-after': String(end.retryAfterSeconds),
          },
        });
      case 'unknown':
        throw new Problem('not_found', 'You have used no such key.');
      case 'too_many':
        throw new Problem('rate_limited', `At most ${end.max} keys may be closed that were never used.`, {
          headers: { 'retry-after': '30' },
        });
      case 'already_completed':
        throw new Problem('already_completed', 'The operation came to its end before; this is its result.', {
          headers: { 'idempotency-key': key, 'idempotency-status': 'already_completed' },
          members: { response: end.answer },
        });
    }
  }

  private async operation(owner: Owner) {
    const row = await this.engine.lookAt(owner);
    if (row) return operationToJson(row);
    const remembered = await this.engine.remembered(owner);
    if (!remembered) throw new Problem('not_found', 'You have used no such key.');
    return rememberedToJson(owner.key, remembered);
  }

  private refund(asking: Asking, { payment_id: id, amount }: RefundParamsBody): Promise<Answered> {
    return this.requests.refund(asking, id, amount);
  }
}

const plainJson = { 'content-type': 'application/json; charset=utf-8' };

/** A member that is refused is called by the name it has in this body: a member of `params`. */
async function namedAsParams<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const { members = {} } = error instanceof Problem ? error.extras : {};
    const { errors } = members as { errors?: FieldError[] };
    if (!errors) throw error;
    throw Problem.invalid(errors.map(({ field, message }) => ({ field: `params.${field}`, message })));
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

/** The row was reaped. How often and when it was asked for went with it; what was done under the key stays. */
function rememberedToJson(key: string, { operation, expiresAt, params, answer }: EndedRow) {
  return {
    key,
    object: 'operation',
    operation,
    state: 'completed',
    recovery_point: 'finished',
    attempts: null,
    duplicates: null,
    first_seen_at: null,
    last_seen_at: null,
    expires_at: expiresAt.toISOString(),
    retry_after: null,
    request: params,
    response: answer,
  };
}

function stateOf({ recoveryPoint, parkedBecause }: KeyRow) {
  if (recoveryPoint === 'finished') return 'completed';
  if (recoveryPoint === 'cancelled') return 'cancelled';
  return parkedBecause === null ? 'in_progress' : 'parked';
}
