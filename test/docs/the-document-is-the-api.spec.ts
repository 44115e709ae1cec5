import { randomUUID } from 'node:crypto';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import type { OpenAPIObject } from '@nestjs/swagger';
import { createDataSource } from '../../src/data-source.js';
import { openApiOf } from '../../src/docs/document.js';
import type { Operation, Response } from '../../src/docs/openapi-types.js';
import { Settings } from '../../src/settings.js';
import { seedDemo } from '../../start/seed.js';
import { quick } from '../promises/bank-scene.js';
import { bootApi, type Api } from '../support/api.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Database } from '../support/database.js';
import { call, type Answer, type Call } from '../support/http.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { resolve } from './compare-documents.js';
import { mistakesIn } from './conforms.js';

const toSam = { to: 'sam', amount: 100, currency: 'GBP' };

/** What no test here provokes: it takes patience, or something broken. */
const rare = ['request_timeout', 'headers_too_large', 'internal', 'overloaded', 'unavailable'];

describe('the document at /openapi.json', () => {
  let database: Database;
  let bank: BankProcess;
  let api: Api;
  let document: OpenAPIObject;
  /** `POST /payments 400 malformed_json`, for each kind of answer that was seen. */
  const seen = new Set<string>();

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), startBank()]);
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    await dataSource.transaction(seedDemo);
    await dataSource.destroy();
    await database.addCustomer({ name: 'euro', currency: 'EUR' });
    api = await bootApi(database.url, { ...bank.env, ...quick });
    document = (await call(`${api.url}/openapi.json`)).json as unknown as OpenAPIObject;
  });
  afterEach(() => expectNoLeaks(database.sql));
  afterAll(async () => {
    await api.stop();
    await bank.stop();
    await database.drop();
  });

  const operationOf = (method: string, path: string) =>
    document.paths[path]?.[method.toLowerCase() as 'get'] as Operation;

  /** Sends a request as Alice, and compares the answer with what the document says of `template`. */
  async function ask(
    method: string,
    template: string,
    request: Call & { in?: string } = {},
  ): Promise<Answer> {
    const path =
      template.replace(/\{\w+\}/, request.in ?? '') + (template.includes('{') ? '' : (request.in ?? ''));
    const answer = await call(api.url + path, { apiKey: 'sk_demo_alice', ...request, method });
    expect(mistakesOf(answer, method, template)).toEqual([]);
    const code = answer.status < 400 ? '' : ` ${String(answer.json?.['code'])}`;
    seen.add(`${method} ${template} ${answer.status}${code}`);
    return answer;
  }

  function mistakesOf({ status, headers, json, text }: Answer, method: string, template: string): string[] {
    const listed = operationOf(method, template).responses[String(status)];
    if (!listed) return [`${status} is not documented: ${text}`];
    const answer = resolve<Response>(listed, document);
    const carried = Object.keys(document.components?.headers ?? {}).filter(name => headers.has(name));
    const [type = ''] = (headers.get('content-type') ?? '').split(';');
    const media = answer.content?.[type];
    if (!media) return [`${type} is not documented`];
    const code = json?.['code'];
    return [
      ...carried.filter(name => !answer.headers?.[name]).map(name => `${name} is not documented`),
      ...(status >= 400 && !media.examples?.[String(code)] ? [`${String(code)} is not documented`] : []),
      ...(type.endsWith('json') ? mistakesIn(json, media.schema ?? {}, document) : []),
    ];
  }

  it('lists the routes of the router, and no others', () => {
    const server = api.app.getHttpAdapter().getInstance();
    const documented = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map(method => `${method.toUpperCase()} ${path}`),
    );
    // The page that shows the document, with its files, is for people.
    const routes = routesOf(server).filter(route => !/ \/docs(\/|$)/.test(route));
    expect(routes.sort()).toEqual(documented.sort());
  });

  it('does not do without words for a handler', async () => {
    @Controller('surprise')
    class SurpriseController {
      @Get()
      show() {
        return {};
      }
    }
    @Module({ controllers: [SurpriseController] })
    class SurpriseModule {}
    const surprise = await NestFactory.create(SurpriseModule, new FastifyAdapter(), {
      preview: true,
      logger: false,
    });
    expect(() => openApiOf(surprise, new Settings())).toThrow('no words for surprise_show');
  });

  it('tells what paying answers, in every way it can', async () => {
    const pay = (request: Call = {}) =>
      ask('POST', '/payments', { key: randomUUID(), body: toSam, ...request });
    const key = randomUUID();
    expect((await pay({ key })).status).toBe(200);
    expect((await pay({ key })).headers.get('idempotent-replayed')).toBe('true');
    await pay({ key, body: { ...toSam, amount: 101 } });
    await pay({ apiKey: 'sk_demo_bob', body: { ...toSam, amount: 10_000 } });
    await pay({ body: { ...toSam, to: 'dee', rail: 'bank' }, headers: { prefer: 'wait=5' } });

    const slow = { key: randomUUID(), body: { ...toSam, to: 'tim', rail: 'bank' } };
    expect((await pay({ ...slow, headers: { prefer: 'respond-async' } })).status).toBe(202);
    await pay(slow);
    expect((await pay({ ...slow, headers: { prefer: 'wait=20' } })).status).toBe(200);

    const closed = randomUUID();
    await ask('POST', '/operations/{key}/cancel', { in: closed });
    await pay({ key: closed });

    await pay({ body: '{' });
    await pay({ body: { ...toSam, memo: '' } });
    await ask('POST', '/payments', { body: toSam });
    await pay({ headers: { 'idempotency-key': 'a b' } });
    await pay({ apiKey: 'sk_nobody' });
    await pay({ apiKey: 'sk_demo_readonly' });
    await pay({ body: { ...toSam, from: 'bob' } });
    await pay({ body: ' '.repeat(70_000) });
    await pay({ headers: { 'content-type': 'text/plain' } });
    await pay({ body: { ...toSam, to: 'nobody' } });
    await pay({ body: { ...toSam, to: 'euro' } });
    await pay({ body: { ...toSam, amount: 100_000_001 } });
    expect(unseen('POST', '/payments')).toEqual(['rate_limited']);
  });

  it('tells what a refund answers', async () => {
    const payment = (await ask('POST', '/payments', { key: randomUUID(), body: toSam })).json?.[
      'id'
    ] as string;
    const refund = (request: Call & { in?: string } = {}) =>
      ask('POST', '/payments/{id}/refunds', {
        key: randomUUID(),
        body: { amount: 10 },
        in: payment,
        ...request,
      });
    const key = randomUUID();
    await refund({ key });
    await refund({ key });
    await refund({ key, body: { amount: 11 } });
    await refund({ body: { amount: 91 } });
    await refund({ in: randomUUID() });
    await refund({ body: {} });
  });

  it('tells what an operation answers, put, looked at and cancelled', async () => {
    const key = randomUUID();
    const order = { operation: 'payment', params: toSam };
    const put = (body: object, headers = {}, named: string = randomUUID()) =>
      ask('PUT', '/operations/{key}', { in: named, body, headers });
    await put(order, {}, key);
    await put(order, {}, key);
    await put({ operation: 'payment', params: { ...toSam, amount: 101 } }, {}, key);
    const slow = { operation: 'payment', params: { ...toSam, to: 'tim', rail: 'bank' } };
    expect((await put(slow, { prefer: 'respond-async' })).status).toBe(202);
    await put({ operation: 'payment', params: { ...toSam, to: 'dee', rail: 'bank' } });
    await put({ operation: 'refund', params: { payment_id: randomUUID(), amount: 1 } });
    await put({ operation: 'payment', params: { ...toSam, amount: '1' } });
    await put(order, {}, 'a,b');
    await ask('GET', '/operations/{key}', { in: key });
    await ask('GET', '/operations/{key}', { in: randomUUID() });
    await ask('POST', '/operations/{key}/cancel', { in: key });
    const closed = randomUUID();
    await ask('POST', '/operations/{key}/cancel', { in: closed });
    await ask('GET', '/operations/{key}', { in: closed });
    await put(order, {}, closed);
    expect(seen).toContain('POST /operations/{key}/cancel 409 already_completed');
    expect(seen).toContain('PUT /operations/{key} 409 operation_cancelled');
  });

  it('tells what everything else answers', async () => {
    await ask('GET', '/payments');
    await ask('GET', '/payments', { in: '?limit=1' });
    await ask('GET', '/payments', { in: '?limit=0' });
    await ask('GET', '/payments', { apiKey: 'sk_nobody' });
    await ask('GET', '/payments/{id}', { in: randomUUID() });
    await ask('GET', '/accounts');
    await ask('GET', '/accounts/{id}', { in: 'alice' });
    await ask('GET', '/accounts/{id}', { in: 'bob' });
    await ask('GET', '/accounts/{id}/transfers', { in: 'alice' });
    await ask('GET', '/problems/{code}', { in: 'collision_detected' });
    await ask('GET', '/problems/{code}', { in: 'nonsense' });
    for (const path of ['/health/live', '/health/ready', '/metrics', '/openapi.json']) {
      expect((await ask('GET', path, { headers: { authorization: '' } })).status).toBe(200);
    }
  });

  it('tells how often one may call', async () => {
    const narrow = await bootApi(database.url, { REQUESTS_PER_SECOND_MAX: '1' });
    try {
      const asked = await Promise.all(
        [1, 2].map(() => call(`${narrow.url}/accounts`, { apiKey: 'sk_demo_alice' })),
      );
      expect(asked.map(({ status }) => status).sort()).toEqual([200, 429]);
      for (const answer of asked) expect(mistakesOf(answer, 'GET', '/accounts')).toEqual([]);
      const told = (await call(`${narrow.url}/openapi.json`)).json as unknown as OpenAPIObject;
      expect(told.info.description).toContain('| Requests of a customer | 1 a second');
    } finally {
      await narrow.stop();
    }
  });

  it('says 422 for a collision where the draft’s profile is chosen', async () => {
    const profile = await bootApi(database.url, { COLLISION_STATUS: '422' });
    try {
      const told = (await call(`${profile.url}/openapi.json`)).json as unknown as OpenAPIObject;
      const answer = told.paths['/payments']?.post?.responses['422'];
      expect(resolve<Response>(answer ?? { $ref: '' }, told).description).toContain('collision_detected');
    } finally {
      await profile.stop();
    }
  });

  /** Which documented refusals no test has met. */
  function unseen(method: string, path: string): string[] {
    return Object.entries(operationOf(method, path).responses).flatMap(([status, listed]) => {
      const media = listed && resolve<Response>(listed, document).content?.['application/problem+json'];
      const codes = Object.keys(media?.examples ?? {}).filter(code => !rare.includes(code));
      return codes.filter(code => !seen.has(`${method} ${path} ${status} ${code}`));
    });
  }
});

/** Every route as Fastify knows it; a HEAD is part of its GET. */
function routesOf(server: FastifyInstance): string[] {
  const parents: string[] = [];
  return server
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap(line => {
      const [, indent = '', part = '', methods = ''] = /^([^\w/*:]*)(\S+)(?: \((.*)\))?$/.exec(line) ?? [];
      if (part === '') return [];
      parents.splice(indent.length / 4 - 1, Infinity, part);
      const path = parents.join('').replace(/:(\w+)/g, '{$1}');
      return methods
        .split(', ')
        .filter(method => !['', 'HEAD'].includes(method))
        .map(method => `${method} ${path}`);
    });
}
