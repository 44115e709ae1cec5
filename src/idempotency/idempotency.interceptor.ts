import {
  createParamDecorator,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { lastValueFrom, of, type Observable } from 'rxjs';
import { Bug } from '../bug.js';
import type { AuthenticatedRequest, Caller } from '../http/caller.js';
import { Problem } from '../http/problem.js';
import { InvalidKey, readIdempotencyKey } from './idempotency-key.js';
import { readPreference } from './prefer.js';
import type { Patience } from './run-operation.js';
import { tell, type Answered } from './tell.js';

/** Who asks, under which key, and how long they would wait. */
export interface Asking {
  readonly customerId: string;
  /** `null`: the caller cannot send any, and is recognised by what it asks for. */
  readonly key: string | null;
  /** `undefined`: it did not say. */
  readonly patience?: Patience | undefined;
}

interface AskingRequest extends AuthenticatedRequest {
  asking?: Asking;
}

/** For a handler. The interceptor has put it there. */
export const AskingOf = createParamDecorator((_: unknown, context: ExecutionContext) => {
  return context.switchToHttp().getRequest<AskingRequest>().asking;
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
    const request = http.getRequest<AskingRequest>();
    const reply = http.getResponse<FastifyReply>();
    const { caller } = request;
    if (!caller) throw new Bug('PS-111', 'a key was read before its caller was known');
    const key = keyOf(request.raw.rawHeaders, caller);
    const preference = readPreference(request.headers.prefer);
    request.asking = { customerId: caller.customerId, key, patience: preference?.patience };
    // Awaited here: a stream that outlives the wait for the database would keep each request in memory for long.
    const answered = await lastValueFrom(next.handle());
    if (preference) reply.header('preference-applied', preference.applied);
    const { status, headers, body } = tell(answered);
    void reply.status(status).headers(headers);
    return of(body);
  }
}

/** @returns null where the key is missing, and the caller is known not to send any */
function keyOf(rawHeaders: readonly string[], { isKeyless }: Caller): string | null {
  try {
    const key = readIdempotencyKey(rawHeaders);
    if (key !== null) return key;
  } catch (error) {
    if (error instanceof InvalidKey) throw new Problem('idempotency_key_invalid', error.message);
    throw error;
  }
  if (isKeyless) return null;
  throw new Problem(
    'idempotency_key_missing',
    'Send an Idempotency-Key header: one key per intended payment, the same on every retry.',
  );
}
