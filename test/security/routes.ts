import { RequestMethod } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { scopeNeeded, type Scope } from '../../src/http/caller.js';
import type { Api } from '../support/api.js';

export interface Route {
  method: string;
  /** As the controller writes it: `/payments/:id`. */
  path: string;
  /** `undefined`: the route does not say, and so is closed. */
  needs: Scope | 'none' | undefined;
}

/** Every route of every controller, from what Nest itself reads: a new one cannot be left out. */
export function routesOf({ app }: Api): Route[] {
  const controllers = [...app.get(ModulesContainer).values()].flatMap(module => [
    ...module.controllers.values(),
  ]);
  return controllers.flatMap(({ metatype }) => {
    const type = metatype as (new () => object) | null;
    if (!type) return [];
    const handlers = Object.getOwnPropertyNames(type.prototype).map(
      name => (type.prototype as Record<string, object>)[name] as object,
    );
    return handlers
      .filter(handler => Reflect.hasMetadata('method', handler))
      .map(handler => ({
        method: RequestMethod[Reflect.getMetadata('method', handler) as number] ?? '',
        path: joined(String(Reflect.getMetadata('path', type)), String(Reflect.getMetadata('path', handler))),
        needs: (Reflect.getMetadata(scopeNeeded, handler) ??
          Reflect.getMetadata(scopeNeeded, type)) as Route['needs'],
      }));
  });
}

function joined(...parts: string[]): string {
  const names = parts.flatMap(part => part.split('/')).filter(name => name !== '');
  return `/${names.join('/')}`;
}
