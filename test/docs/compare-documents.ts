import type { OpenAPIObject } from '@nestjs/swagger';
import type { Operation, Parameter, Reference, Response, Schema } from '../../src/docs/openapi-types.js';

/** Which way something travels: what callers send may be refused in fewer cases, what they get may only grow. */
type Way = 'sent' | 'answered';

interface Both<T> {
  readonly before: T;
  readonly after: T;
}

/**
 * What a caller who was right by the document `before` would stumble over in `after`: a sentence for each. Words,
 * examples and whatever was added for callers to use or ignore do not count.
 */
export function breakingChanges(before: OpenAPIObject, after: OpenAPIObject): string[] {
  const found: string[] = [];
  for (const [path, item] of Object.entries(before.paths)) {
    for (const method of methods) {
      const operation = item[method];
      if (!operation) continue;
      const where = `${method.toUpperCase()} ${path}`;
      const now = after.paths[path]?.[method];
      if (now) new Comparison(before, after, found).operations(where, { before: operation, after: now });
      else found.push(`${where} is gone.`);
    }
  }
  return [...new Set(found)];
}

const methods = ['get', 'put', 'post', 'delete', 'patch'] as const;

class Comparison {
  constructor(
    private readonly old: OpenAPIObject,
    private readonly fresh: OpenAPIObject,
    private readonly found: string[],
  ) {}

  operations(where: string, { before, after }: Both<Operation>): void {
    const scopes = { before: scopeOf(before), after: scopeOf(after) };
    if (scopes.before !== scopes.after) this.say(where, `needs the scope "${String(scopes.after)}".`);

    const parameters = {
      before: this.parametersOf(before, 'before'),
      after: this.parametersOf(after, 'after'),
    };
    for (const [name, parameter] of parameters.before) {
      const now = parameters.after.get(name);
      if (!now) this.say(where, `takes no ${name} any more.`);
      else this.schemas(`${where}, ${name}`, 'sent', { before: parameter.schema, after: now.schema });
    }
    for (const [name, { required }] of parameters.after) {
      if (required && !parameters.before.get(name)?.required) this.say(where, `now requires ${name}.`);
    }

    const bodies = { before: schemaIn(before.requestBody), after: schemaIn(after.requestBody) };
    if (bodies.after && !bodies.before) this.say(where, 'now requires a body.');
    this.schemas(`${where}, body`, 'sent', bodies);

    for (const [status, answer] of Object.entries(before.responses)) {
      const now = after.responses[status];
      if (!now) this.say(where, `does not answer ${status} any more.`);
      else if (answer) {
        this.answers(`${where}, ${status}`, {
          before: resolve<Response>(answer, this.old),
          after: resolve<Response>(now, this.fresh),
        });
      }
    }
  }

  private answers(where: string, { before, after }: Both<Response>): void {
    for (const name of Object.keys(before.headers ?? {})) {
      if (!after.headers?.[name]) this.say(where, `does not carry ${name} any more.`);
    }
    for (const [type, media] of Object.entries(before.content ?? {})) {
      const now = after.content?.[type];
      if (now) this.schemas(where, 'answered', { before: media.schema, after: now.schema });
      else this.say(where, `is not ${type} any more.`);
    }
  }

  private schemas(where: string, way: Way, schemas: Both<Schema | Reference | undefined>): void {
    if (!schemas.before || !schemas.after) return;
    const before = resolve<Schema>(schemas.before, this.old);
    const after = resolve<Schema>(schemas.after, this.fresh);
    for (const rule of ['type', 'format', 'pattern'] as const) {
      const isLooser = way === 'sent' && after[rule] === undefined;
      if (before[rule] !== after[rule] && !isLooser)
        this.say(where, `has another ${rule}: ${String(after[rule])}.`);
    }
    const taken = (before.enum ?? []).filter(value => !(after.enum ?? [value]).includes(value));
    for (const value of taken) this.say(where, `cannot be ${String(value)} any more.`);
    if (way === 'sent') this.narrowed(where, { before, after });
    if (way === 'answered' && after.nullable && !before.nullable) this.say(where, 'can now be null.');

    const required = { before: new Set(before.required), after: new Set(after.required) };
    for (const [name, member] of Object.entries(before.properties ?? {})) {
      const now = after.properties?.[name];
      if (!now) this.say(where, `has no member "${name}" any more.`);
      else this.schemas(`${where}, ${name}`, way, { before: member, after: now });
    }
    for (const name of required[way === 'sent' ? 'after' : 'before']) {
      const isNew = way === 'sent' && !required.before.has(name);
      const isLost = way === 'answered' && !required.after.has(name) && after.properties?.[name];
      if (isNew) this.say(where, `now requires the member "${name}".`);
      if (isLost) this.say(where, `may now lack the member "${name}".`);
    }
    this.schemas(`${where}[]`, way, { before: before.items, after: after.items });
    for (const [index, one] of (before.oneOf ?? []).entries()) {
      const now = after.oneOf?.[index];
      if (now) this.schemas(where, way, { before: one, after: now });
      else this.say(where, 'has fewer alternatives.');
    }
  }

  /** What was taken before, and would be refused now. */
  private narrowed(where: string, { before, after }: Both<Schema>): void {
    if (after.enum && !before.enum) this.say(where, 'takes only some values now.');
    if (before.nullable && !after.nullable) this.say(where, 'cannot be null any more.');
    if (after.additionalProperties === false && before.additionalProperties !== false) {
      this.say(where, 'takes no other members any more.');
    }
    for (const rule of ['maximum', 'maxLength', 'maxItems'] as const) {
      if ((after[rule] ?? Infinity) < (before[rule] ?? Infinity)) this.say(where, `has a lower ${rule}.`);
    }
    for (const rule of ['minimum', 'minLength', 'minItems'] as const) {
      if ((after[rule] ?? -Infinity) > (before[rule] ?? -Infinity)) this.say(where, `has a higher ${rule}.`);
    }
  }

  private parametersOf({ parameters = [] }: Operation, side: 'before' | 'after'): Map<string, Parameter> {
    const document = side === 'before' ? this.old : this.fresh;
    const all = (parameters as (Parameter | Reference)[]).map(one => resolve<Parameter>(one, document));
    return new Map(all.map(one => [`${one.in} parameter ${one.name}`, one]));
  }

  private say(where: string, what: string): void {
    this.found.push(`${where} ${what}`);
  }
}

/** Follows a reference into its own document. */
export function resolve<T extends object>(part: T | Reference, document: OpenAPIObject): T {
  if (!('$ref' in part)) return part;
  const [, , kind = '', name = ''] = part.$ref.split('/');
  const components = document.components as Record<string, Record<string, T | Reference>>;
  const found = components[kind]?.[name];
  if (!found) throw new Error(`the document has no ${part.$ref}`);
  return resolve(found, document);
}

function schemaIn(body: Operation['requestBody']): Schema | Reference | undefined {
  return body && 'content' in body ? body.content['application/json']?.schema : undefined;
}

function scopeOf(operation: Operation): unknown {
  return (operation as { 'x-scope'?: unknown })['x-scope'];
}
