import { randomUUID } from 'node:crypto';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { Settings } from '../settings.js';
import { OpenApiJson } from './docs.controller.js';
import { openApiOf } from './document.js';
import type { Parameter, Reference } from './openapi-types.js';

/**
 * What the page at /docs may load: its own files, and the styles that Swagger UI writes into the page itself. Its
 * pictures are in its styles. It speaks to this API only.
 */
export const docsPolicy = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

/** Whether a request is for that page; every other answer keeps the policy that allows nothing. */
export function isDocs(url: string): boolean {
  return url.startsWith('/docs') && /^\/docs(\/|\?|$)/.test(url);
}

/** Puts the document together, once, and serves it: for programs at /openapi.json, for people at /docs. */
export function publishDocs(app: NestFastifyApplication, settings: Settings): void {
  const document = openApiOf(app, settings);
  app.get(OpenApiJson).text = JSON.stringify(document);
  SwaggerModule.setup('docs', app, document, {
    raw: false,
    customSiteTitle: 'Pay Sam',
    customCss: '.swagger-ui .topbar { display: none }',
    patchDocumentOnRequest: () => withFreshKeys(document),
    swaggerOptions: {
      // Otherwise Swagger's own server would be asked what it thinks of the document.
      validatorUrl: 'none',
      defaultModelsExpandDepth: 0,
      displayRequestDuration: true,
      onComplete: authorizeInDemo,
    },
  });
}

/**
 * Each visit of the page gets keys of its own, so that trying a call makes a new payment, and trying it again shows
 * the replay. Looking at an operation is offered for the key of the payment.
 */
function withFreshKeys(document: OpenAPIObject): OpenAPIObject {
  const fresh = structuredClone(document);
  const ofPayment = randomUUID();
  for (const operation of Object.values(fresh.paths).flatMap(item => [item.post, item.put, item.get])) {
    if (!operation?.parameters) continue;
    const isForPayment = ['payments_pay', 'operations_show'].includes(operation.operationId ?? '');
    const example = isForPayment ? ofPayment : randomUUID();
    operation.parameters = (operation.parameters as (Parameter | Reference)[])
      .map(parameter => resolved(parameter, fresh))
      .map(parameter => {
        if (parameter.name === 'key') return { ...parameter, example };
        if (parameter.name !== 'Idempotency-Key') return parameter;
        return { ...parameter, example, description: `${parameter.description ?? ''}\n\n${hint}` };
      });
  }
  return fresh;
}

const hint =
  '*This page offers a new one at each visit: execute twice for a replay, reload for another payment.*';

function resolved(parameter: Parameter | Reference, { components }: OpenAPIObject): Parameter {
  if (!('$ref' in parameter)) return parameter;
  return components?.parameters?.[parameter.$ref.split('/').at(-1) ?? ''] as Parameter;
}

/**
 * Runs in the browser, where it is sent as text: it can use nothing of this file. Where the quick start's Alice is
 * known, the page calls as her; elsewhere, people bring their own API key. It is asked rather than configured, so
 * that no setting can be wrong. A key typed in is gone with the page: nothing is kept in the browser.
 */
function authorizeInDemo(): void {
  const page = globalThis as unknown as {
    ui: { preauthorizeApiKey: (scheme: string, apiKey: string) => void };
  };
  const apiKey = 'sk_demo_alice';
  void fetch('/accounts', { headers: { authorization: `Bearer ${apiKey}` } }).then(({ ok }) => {
    if (ok) page.ui.preauthorizeApiKey('apiKey', apiKey);
  });
}
