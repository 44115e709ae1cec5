import {
  createParamDecorator,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { lastValueFrom, of, type Observable } from 'rxjs';
import type { AuthenticatedRequest } from '../http/caller.js';
import { Problem } from '../http/problem.js';
import { InvalidKey, readIdempotencyKey } from './idempotency-key.js';
import { readPreference } from './prefer.js';
import type { Patience } from './run-operation.js';
import { tell, type Answered } from './tell.js';

interface RequestWithKey extends AuthenticatedRequest {
  idempotencyKey?: string | null;
  patience?: Patience | undefined;
}

/** The caller's idempotency key, for a handler; null where the fingerprint is to serve. The interceptor put it there. */
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
  async intercept(context: ExecutionContext, next: CallHandler<Answered>): Promise<Observable<string>> {
    const http = context.switchToHttp();
    const request = http.getRequest<RequestWithKey>();
    const reply = http.getResponse<FastifyReply>();
    const key = keyOf(request);
    const preference = readPreference(request.headers.prefer);
    request.idempotencyKey = key;
    request.patience = preference?.patience;
    // Awaited here: a stream that outlives the wait for the database would keep each request in memory for long.
    const answered = await lastValueFrom(next.handle());
    if (preference) reply.header('preference-applied', preference.applied);
    const { status, headers, body } = tell(answered);
    void reply.status(status).headers(headers);
    return of(body);
  }
}

/** @returns null where the key is missing, and the caller is known not to send any */
function keyOf(request: RequestWithKey): string | null {
  try {
    const key = readIdempotencyKey(request.raw.rawHeaders);
    if (key !== null) return key;
  } catch (error) {
    if (error instanceof InvalidKey) throw new Problem('idempotency_key_invalid', error.message);
    throw error;
  }
  if (request.caller?.isKeyless) return null;
  throw new Problem(
    'idempotency_key_missing',
    'Send an Idempotency-Key header: one key per intended payment, the same on every retry.',
  );
}
