import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { map, type Observable } from 'rxjs';
import type { Answer } from './design.js';

/** Sends what a design has answered, as it is. */
export class Rendering implements NestInterceptor<Answer, string> {
  intercept(context: ExecutionContext, next: CallHandler<Answer>): Observable<string> {
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      map(({ status, body }) => {
        void reply.status(status).header('content-type', 'application/json; charset=utf-8');
        return body;
      }),
    );
  }
}
