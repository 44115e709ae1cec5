import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply } from 'fastify';
import { ApiKeys, unknownCaller } from './api-keys.js';
import { scopeNeeded, type AuthenticatedRequest, type Scope } from './caller.js';
import { Problem } from './problem.js';
import { Traffic } from './traffic.js';

/** RFC 6750. */
const bearer = /^Bearer +([!-~]+) *$/i;

/**
 * Authentication and authorisation, before anything looks at the idempotency key and on replays alike: a
 * revoked API key gets 401, never a stored answer. A route that does not say what it needs is closed.
 */
@Injectable()
export class AuthenticationGuard implements CanActivate {
  constructor(
    @Inject(ApiKeys) private readonly apiKeys: ApiKeys,
    @Inject(Reflector) private readonly reflector: Reflector,
    @Inject(Traffic) private readonly traffic: Traffic,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const needed = this.reflector.getAllAndOverride<Scope | 'none' | undefined>(scopeNeeded, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (needed === 'none') return true;

    const http = context.switchToHttp();
    const request = http.getRequest<AuthenticatedRequest>();
    const [, apiKey] = bearer.exec(request.headers.authorization ?? '') ?? [];
    if (apiKey === undefined) throw unauthenticated('Send Authorization: Bearer and an API key.');
    const caller = await this.apiKeys.callerOf(apiKey);
    if (caller === unknownCaller) throw unauthenticated('This API key is unknown or has been revoked.');
    if (needed === undefined || !caller.scopes.includes(needed)) {
      throw new Problem(
        'forbidden',
        `This call needs an API key with the scope "${needed ?? 'none given'}".`,
      );
    }
    request.caller = caller;
    await this.traffic.admit(request, http.getResponse<FastifyReply>(), caller);
    return true;
  }
}

function unauthenticated(detail: string): Problem {
  return new Problem('unauthenticated', detail, { headers: { 'www-authenticate': 'Bearer' } });
}
