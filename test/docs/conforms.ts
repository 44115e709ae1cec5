import type { OpenAPIObject } from '@nestjs/swagger';
import type { Reference, Schema } from '../../src/docs/openapi-types.js';
import { resolve } from './compare-documents.js';

/**
 * Whether a value is as a schema of `document` says: a sentence for each way in which it is not. Stricter than JSON
 * Schema: a member that is not listed is a mistake, since nobody could know of it.
 */
export function mistakesIn(
  value: unknown,
  schema: Schema | Reference,
  document: OpenAPIObject,
  where = 'it',
): string[] {
  const rules = resolve<Schema>(schema, document);
  if (value === null) return rules.nullable ? [] : [`${where} is null`];
  if (rules.enum && !rules.enum.includes(value)) return [`${where} is ${JSON.stringify(value)}`];
  switch (String(rules.type)) {
    case 'object':
      return typeof value === 'object' && !Array.isArray(value)
        ? mistakesInMembers(value as Record<string, unknown>, rules, document, where)
        : [`${where} is no object`];
    case 'array':
      return Array.isArray(value)
        ? value.flatMap((entry, index) =>
            mistakesIn(entry, rules.items ?? {}, document, `${where}[${index}]`),
          )
        : [`${where} is no array`];
    case 'integer':
      return Number.isInteger(value) && Number(value) >= (rules.minimum ?? -Infinity)
        ? []
        : [`${where} is ${JSON.stringify(value)}`];
    case 'string':
      return typeof value === 'string' && formats[rules.format ?? 'any']?.test(value)
        ? []
        : [`${where} is ${JSON.stringify(value)}`];
    default:
      return typeof value === rules.type ? [] : [`${where} is ${JSON.stringify(value)}`];
  }
}

function mistakesInMembers(
  value: Record<string, unknown>,
  { properties, required = [], additionalProperties }: Schema,
  document: OpenAPIObject,
  where: string,
): string[] {
  // Nothing is said of what is inside.
  if (!properties && !additionalProperties) return [];
  const missing = required.filter(name => !Object.hasOwn(value, name));
  return [
    ...missing.map(name => `${where} has no ${name}`),
    ...Object.entries(value).flatMap(([name, member]) => {
      const rules = properties?.[name] ?? additionalProperties;
      if (typeof rules !== 'object') return [`${where} has ${name}, which is not documented`];
      return mistakesIn(member, rules, document, `${where}.${name}`);
    }),
  ];
}

const formats: Record<string, RegExp> = {
  any: /^/,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  'uri-reference': /^\/\S+$/,
};
