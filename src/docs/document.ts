import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { Settings } from '../settings.js';
import { answersOf, problemsAsExamples } from './answers.js';
import { bodies } from './bodies.js';
import { calls, type Call } from './calls.js';
import { headers, parameters } from './headers.js';
import { introduction, tags } from './introduction.js';
import { reference, type Operation, type Parameter, type Response, type Schema } from './openapi-types.js';
import { schemas } from './schemas.js';

/**
 * The whole API as an OpenAPI 3.0 document. Paths, methods, scopes and bodies are read off the controllers, what
 * may be refused off the catalogue of problems, figures off the settings; the words are in this folder.
 *
 * @throws Error when a handler has no words, or words have no handler
 */
export function openApiOf(app: INestApplication, settings: Settings): OpenAPIObject {
  const document = SwaggerModule.createDocument(app, frame(settings), {
    operationIdFactory: (controller, handler) =>
      `${controller.replace('Controller', '').toLowerCase()}_${handler}`,
    extraModels: bodies,
  });

  const shared: Record<string, Response> = {};
  const unused = new Set(Object.keys(calls));
  for (const item of Object.values(document.paths)) {
    for (const method of ['get', 'put', 'post', 'delete', 'patch'] as const) {
      const operation = item[method];
      if (!operation) continue;
      const call = calls[operation.operationId ?? ''];
      if (!call) throw new Error(`src/docs/calls.ts has no words for ${operation.operationId}.`);
      unused.delete(operation.operationId ?? '');
      putIntoWords(operation, call);
      const kind = {
        isOpen: scopeOf(operation) === 'none',
        isGet: method === 'get',
        hasBody: operation.requestBody !== undefined,
      };
      if (kind.isOpen) operation.security = [];
      operation.responses = answersOf(call, kind, { settings, shared });
    }
  }
  if (unused.size > 0) throw new Error(`src/docs/calls.ts: no handler is called ${[...unused].join(', ')}.`);

  const read = document.components?.schemas as Record<string, Schema>;
  // Unknown members are refused.
  const closed = bodies.map(({ name }) => [name, { ...read[name], additionalProperties: false }] as const);
  document.components = {
    ...document.components,
    schemas: { ...Object.fromEntries(closed), ...schemas },
    responses: shared,
    headers,
    parameters,
    examples: problemsAsExamples(settings),
  };
  return document;
}

const apiKeys =
  'An API key, in the quick start `sk_demo_alice`. The scope that a call needs is in its `x-scope`: `read` or `pay`; ' +
  'calls with `none` are open to all.';

/** What there is to say before any path. */
function frame(settings: Settings): Omit<OpenAPIObject, 'paths'> {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.0.3')
    .setTitle('Pay Sam')
    .setVersion('0.1.0')
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .setDescription(introduction(settings))
    .addServer('/')
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: apiKeys }, 'apiKey')
    .addSecurityRequirements('apiKey');
  for (const [name, description] of Object.entries(tags)) builder.addTag(name, description);
  return builder.build();
}

/** Adds what the controller could not tell to what Nest has read off it. */
function putIntoWords(operation: Operation, call: Call): void {
  operation.summary = call.summary;
  if (call.description) operation.description = call.description;

  const read = (operation.parameters ?? []) as Parameter[];
  operation.parameters = [
    ...read.map(parameter => ({ ...parameter, ...call.path?.[parameter.name] })),
    ...(call.takes ?? []).map(name => reference('parameters', name)),
  ];

  const body = operation.requestBody as { content: Record<string, { examples?: object }> } | undefined;
  for (const media of Object.values(body?.content ?? {})) if (call.bodies) media.examples = call.bodies;
}

/** Written by `Needs` and `OpenToAll`. */
function scopeOf(operation: Operation): unknown {
  return (operation as { 'x-scope'?: unknown })['x-scope'];
}
