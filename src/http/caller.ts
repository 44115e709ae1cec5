import { applyDecorators, createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import { ApiExtension } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';

/** What an API key allows: `read` looks, `pay` moves money. */
export type Scope = 'read' | 'pay';

/** Who is calling. The customer comes from the credential only, and is part of every key and every query. */
export interface Caller {
  readonly customerId: string;
  readonly scopes: readonly Scope[];
  /** Whether a request without a key is recognised by its fingerprint. Everybody else must send one. */
  readonly isKeyless: boolean;
}

export interface AuthenticatedRequest extends FastifyRequest {
  caller?: Caller;
  /** The customer among whose requests in flight this one is counted. */
  countedFor?: string | undefined;
}

export const scopeNeeded = 'scope-needed';

/** The scope a route needs. A route without one, and not declared open, is closed to everybody. */
export const Needs = (scope: Scope) => needs(scope);

/** A route for everybody: it shows nothing that belongs to a customer. */
export const OpenToAll = () => needs('none');

/** For the guard, and for the docs. */
const needs = (scope: Scope | 'none') =>
  applyDecorators(SetMetadata(scopeNeeded, scope), ApiExtension('x-scope', scope));

/** The caller, for a handler. The guard has put it there. */
export const CallerOf = createParamDecorator((_: unknown, context: ExecutionContext) => {
  return context.switchToHttp().getRequest<AuthenticatedRequest>().caller;
});
