/** What the fuzzer needs to know of a route: how to reach it, what it takes, and what it says it may answer. */
export interface Route {
  method: string;
  /** As the document writes it: `/payments/{id}`. */
  path: string;
  parameters: Parameter[];
  body: Schema | null;
  statuses: ReadonlySet<number>;
}

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  schema: Schema;
}

/** The part of JSON Schema that a value can be made from. Its references have been followed. */
export interface Schema {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
}

/** An OpenAPI document, as far as it is looked at. Anything in it may be `{ $ref }` instead. */
export interface Document {
  paths: Record<string, Record<string, unknown>>;
}

interface Operation {
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, unknown>;
}

const methods = ['get', 'post', 'put', 'patch', 'delete'];

/** Every route of an OpenAPI document: what is added to the API is fuzzed without a word here. */
export function routesOf(document: Document): Route[] {
  const { paths } = followed(document, document) as Document;
  return Object.entries(paths).flatMap(([path, item]) =>
    methods
      .filter(method => item[method] !== undefined)
      .map(method => {
        const { parameters = [], requestBody, responses } = item[method] as Operation;
        const shared = (item['parameters'] ?? []) as Parameter[];
        return {
          method: method.toUpperCase(),
          path,
          parameters: [...shared, ...parameters],
          body: requestBody?.content['application/json']?.schema ?? null,
          statuses: new Set(Object.keys(responses).map(Number)),
        };
      }),
  );
}

/** A copy in which each reference has become what it refers to. Deep enough for any request. */
function followed(node: unknown, document: Document, depth = 0): unknown {
  if (depth > 24 || typeof node !== 'object' || node === null) return node;
  if (Array.isArray(node)) return node.map(each => followed(each, document, depth + 1));
  const { $ref: reference } = node as { $ref?: unknown };
  if (typeof reference === 'string') return followed(resolve(reference, document), document, depth + 1);
  return Object.fromEntries(
    Object.entries(node).map(([name, each]) => [name, followed(each, document, depth + 1)]),
  );
}

/** `#/components/schemas/Payment`: a way down from the top. */
function resolve(reference: string, document: Document): unknown {
  const steps = reference
    .split('/')
    .slice(1)
    .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document);
}
