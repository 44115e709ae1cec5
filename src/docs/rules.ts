import { ApiProperty } from '@nestjs/swagger';
import { getMetadataStorage } from 'class-validator';
import type { Schema } from './openapi-types.js';

/** What the rules of a member cannot tell: what it is for, and what it looks like. */
export type Words = Omit<Schema, 'required' | 'type'> & { description: string };

/**
 * Tells the document what a body or query is made of: its members by the rules that check it, so that no rule is
 * written twice, and `words` for people. A member without words does not compile.
 */
export function describeRules<B extends object>(
  body: new () => B,
  words: Readonly<Record<keyof B & string, Words>>,
): void {
  for (const [member, told] of Object.entries<Words>(words)) {
    const options = { ...byRules(body, member), ...told } as Parameters<typeof ApiProperty>[0];
    ApiProperty(options)(body.prototype as object, member);
  }
}

function byRules(body: new () => object, member: string): object {
  const schema: { required: boolean; nullable?: boolean; enum?: unknown[] } = { required: true };
  for (const { name, propertyName, constraints } of getMetadataStorage().getTargetValidationMetadatas(
    body,
    '',
    false,
    false,
  )) {
    if (propertyName !== member) continue;
    const says = meanings[name ?? ''];
    if (!says) throw new Error(`src/docs/rules.ts does not know the rule "${name ?? ''}" of ${member}.`);
    Object.assign(schema, says((constraints as unknown[] | undefined) ?? []));
  }
  // OpenAPI 3.0 wants both.
  if (schema.nullable && schema.enum) schema.enum = [...schema.enum, null];
  return schema;
}

/** What each rule in use means, in the words of OpenAPI 3.0. */
const meanings: Record<string, (constraints: unknown[]) => object> = {
  isString: () => ({ type: 'string' }),
  isInt: () => ({ type: 'integer' }),
  isObject: () => ({ type: 'object' }),
  min: ([minimum]) => ({ minimum }),
  max: ([maximum]) => ({ maximum }),
  characters: ([minLength, maxLength]) => ({ minLength, maxLength }),
  matches: ([pattern]) => ({ pattern: (pattern as RegExp).source }),
  isIn: ([values]) => ({ type: 'string', enum: values }),
  isUuid: () => ({ type: 'string', format: 'uuid' }),
  // Its pattern says what it looks like; which of those exist is ISO's list.
  isISO4217CurrencyCode: () => ({}),
  // Null is taken for absence.
  isOptional: () => ({ required: false, nullable: true }),
};
