import {
  createParamDecorator,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { lastValueFrom, of, type Observable } from 'rxjs';
import { Problem } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import { InvalidKey, readIdempotencyKey } from './idempotency-key.js';
import type { Answer, Outcome } from './operation.js';
import { readPreference } from './prefer.js';
import type { Patience } from './run-operation.js';

interface RequestWithKey extends FastifyRequest {
  idempotencyKey?: string;
  patience?: Patience | undefined;
}

/** The caller's idempotency key, for a handler. The interceptor has put it there. */
export const IdempotencyKeyOf = createParamDecorator((_: unknown, context: ExecutionContext) => {
  return context.switchToHttp().getRequest<RequestWithKey>().idempotencyKey;
});

/** How long the caller would wait for a result, for a handler. `undefined`: it did not say. */
export const PatienceOf = createParamDecorator((_: unknown, context: ExecutionContext) => {
  return context.switchToHttp().getRequest<RequestWithKey>().patience;
});

/**
 * The HTTP edge of the engine, and no more: it reads the key, hands it on, and renders the outcome: the stored
 * 200 or 402, a 202 for what is still under way, or a 409.
 *
 * It never records anything. An interceptor that stores the answer after the handler has run is the tempting
 * wrong turn: a crash in between leaves a payment that its key knows nothing of.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor {
  async intercept(context: ExecutionContext, next: CallHandler<Outcome>): Promise<Observable<string>> {
    const http = context.switchToHttp();
    const request = http.getRequest<RequestWithKey>();
    const reply = http.getResponse<FastifyReply>();
    const key = keyOf(request);
    const preference = readPreference(request.headers.prefer);
    request.idempotencyKey = key;
    request.patience = preference?.patience;
    // Awaited here: a stream that outlives the wait for the database would keep each request in memory for long.
    const outcome = await lastValueFrom(next.handle());
    if (preference) reply.header('preference-applied', preference.applied);
    return of(render(outcome, key, reply));
  }
}

function keyOf(request: FastifyRequest): string {
  try {
    const key = readIdempotencyKey(request.raw.rawHeaders);
    if (key !== null) return key;
  } catch (error) {
    if (error instanceof InvalidKey) throw new Problem('idempotency_key_invalid', error.message);
    throw error;
  }
  throw new Problem(
    'idempotency_key_missing',
    'Send an Idempotency-Key header: one key per intended payment, the same on every retry.',
  );
}

/** @throws Problem, for every outcome that is no stored answer */
function render(outcome: Outcome, key: string, reply: FastifyReply): string {
  if (outcome.kind === 'refused') {
    throw new Problem(outcome.refusal.code as ProblemCode, outcome.refusal.detail);
  }
  if (outcome.kind === 'cancelled') {
    throw new Problem('operation_cancelled', 'This key was closed before anything was paid.', {
      headers: { 'idempotency-key': key, 'idempotency-status': 'operation_cancelled' },
    });
  }
  const headers = {
    'idempotency-key': key,
    'idempotency-expires': outcome.expiresAt.toISOString(),
  };
  switch (outcome.kind) {
    case 'completed':
      return answer(reply, outcome.answer, { ...headers, 'idempotency-status': 'completed' });
    case 'replayed':
      return answer(reply, outcome.answer, {
        ...headers,
        'idempotency-status': 'already_completed',
        'idempotent-replayed': 'true',
        'idempotency-original-date': outcome.finishedAt.toISOString(),
      });
    case 'pending':
      void reply.status(202).headers({
        ...headers,
        'idempotency-status': 'in_progress',
        'retry-after': String(outcome.retryAfterSeconds),
        location: `/operations/${encodeURIComponent(key)}`,
        'content-type': 'application/json; charset=utf-8',
      });
      return outcome.body;
    case 'collision':
      throw new Problem('collision_detected', collisionDetail(outcome.differsIn), {
        members: { differs_in: outcome.differsIn },
        headers: { ...headers, 'idempotency-status': 'collision_detected' },
      });
    case 'in_progress':
      throw new Problem('in_progress', 'The first request with this key has not finished yet.', {
        headers: {
          ...headers,
          'idempotency-status': 'in_progress',
          'retry-after': String(outcome.retryAfterSeconds),
        },
      });
  }
}

/** The stored bytes go out as they are: nothing parses or prints them again. */
function answer(reply: FastifyReply, { status, body }: Answer, headers: Record<string, string>): string {
  const type = status === 200 ? 'application/json' : 'application/problem+json';
  const retry: Record<string, string> = status === 200 ? {} : { 'should-retry': 'false' };
  void reply.status(status).headers({ ...headers, ...retry, 'content-type': `${type}; charset=utf-8` });
  return body;
}

function collisionDetail(differsIn: readonly string[]): string {
  return `This key was used before, for a request that differs in: ${differsIn.join(', ')}.`;
}
