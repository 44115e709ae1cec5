import type { OpenAPIObject } from '@nestjs/swagger';

/** Nest exports the whole document's type and none of its parts: so they are taken out of it here. */
type Components = NonNullable<OpenAPIObject['components']>;
type Part<Name extends keyof Components> = Exclude<NonNullable<Components[Name]>[string], Reference>;

export interface Reference {
  $ref: string;
}
export type Schema = Part<'schemas'>;
export type Response = Part<'responses'>;
export type Header = Part<'headers'>;
export type Parameter = Part<'parameters'>;
export type Example = Part<'examples'>;
export type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

export type Kind = 'schemas' | 'responses' | 'headers' | 'parameters' | 'examples';

export function reference(kind: Kind, name: string): Reference {
  return { $ref: `#/components/${kind}/${name}` };
}
