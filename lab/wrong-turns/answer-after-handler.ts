import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { hash } from 'node:crypto';
import { catchError, concatMap, of, type Observable } from 'rxjs';
import type { AuthenticatedRequest } from '../../src/http/caller.js';
import { readIdempotencyKey } from '../../src/idempotency/idempotency-key.js';
import {
  replay,
  type Answer,
  type Design,
  type KeptAnswer,
  type Order,
  type Tools,
} from '../compare/design.js';

/**
 * Wrong turn: an interceptor that claims the key before the handler, and stores the answer after it.
 *
 * It looks like the clean way: one decorator, no handler knows of it, and the claim is unique, so that of two requests
 * at once one is told to come back. If the handler fails, the claim is deleted and the caller may try again.
 *
 * What breaks it: a crash after the handler has committed and before the answer is stored. The payment is made, and its
 * key says "in progress" for ever: the caller never learns that it has paid. (Let such claims run out, and it pays
 * twice.) And a handler that fails may have paid: at the bank, whose answer did not come in time.
 *
 * The right turn: key, payment and answer in the same transaction, written by the engine and not at the HTTP edge;
 * src/idempotency/run-operation.ts, and what src/idempotency/idempotency.interceptor.ts leaves alone.
 */
export class AnswerAfterHandler implements Design, NestInterceptor<Answer, Answer> {
  readonly schema = `
    CREATE TABLE IF NOT EXISTS lab_keys (
      customer_id uuid NOT NULL,
      key         text NOT NULL,
      fingerprint text NOT NULL,
      status      integer,
      body        text,
      PRIMARY KEY (customer_id, key)
    )`;

  constructor(private readonly tools: Tools) {}

  pay(order: Order): Promise<Answer> {
    return this.tools.till.pay(order);
  }

  async intercept(context: ExecutionContext, next: CallHandler<Answer>): Promise<Observable<Answer>> {
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const owner = [request.caller?.customerId, readIdempotencyKey(request.raw.rawHeaders)];
    const print = hash('sha256', request.body as Buffer);
    const { dataSource } = this.tools;
    const [claim] = await dataSource.query<object[]>(
      `INSERT INTO lab_keys (customer_id, key, fingerprint) VALUES ($1, $2, $3)
       ON CONFLICT (customer_id, key) DO NOTHING RETURNING key`,
      [...owner, print],
    );
    if (!claim) {
      const [row] = await dataSource.query<[KeptAnswer]>(
        'SELECT fingerprint, status, body FROM lab_keys WHERE customer_id = $1 AND key = $2',
        owner,
      );
      return of(replay(row, print));
    }
    return next.handle().pipe(
      concatMap(async answer => {
        await dataSource.query(
          'UPDATE lab_keys SET status = $3, body = $4 WHERE customer_id = $1 AND key = $2',
          [...owner, answer.status, answer.body],
        );
        return answer;
      }),
      catchError(async (error: unknown) => {
        await dataSource.query('DELETE FROM lab_keys WHERE customer_id = $1 AND key = $2', owner);
        throw error;
      }),
    );
  }
}
