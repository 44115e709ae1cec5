import { randomUUID } from 'node:crypto';
import { METHODS } from 'node:http';
import { problems } from '../../src/http/problems.js';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { countRows } from '../support/invariants.js';
import { exchange, headerOf, type WireAnswer } from '../support/wire.js';
import { routesOf } from './routes.js';

/** What a browser is told of every answer, so that none of it is ever taken for a page, a script or a frame. */
const careful: Record<string, RegExp> = {
  'x-content-type-options': /^nosniff$/,
  'content-security-policy': /^default-src 'none'/,
  'x-frame-options': /^(DENY|SAMEORIGIN)$/,
  'referrer-policy': /^no-referrer$/,
  'cache-control': /\bno-store\b/,
  'request-id': /^[0-9a-f-]{36}$/,
};

/** Pages are the same for everybody, and may be kept. */
const mayBeKept = ['a page'];

/** What would help nobody but an attacker. */
const banners = ['server', 'x-powered-by', 'via'];

describe('every answer is careful', () => {
  let database: Database;
  let api: Api;
  let port: number;
  let alice: Customer;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 100_000 });
    await database.addCustomer({ name: 'sam' });
    api = await bootApi(database.url);
    port = Number(new URL(api.url).port);
  });
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  async function ask(line: string, { headers = [], body = '' }: { headers?: string[]; body?: string } = {}) {
    const lines = [
      `${line} HTTP/1.1`,
      'Host: x',
      ...headers,
      ...(body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
      'Connection: close',
    ];
    const { answers } = await exchange(port, `${lines.join('\r\n')}\r\n\r\n${body}`, {
      isHead: line.startsWith('HEAD'),
      lingerMs: 50,
    });
    return answers[0] as WireAnswer;
  }

  const known = () => [`Authorization: Bearer ${alice.apiKey}`, 'Content-Type: application/json'];
  const order = JSON.stringify({ to: 'sam', amount: 1, currency: 'GBP' });

  const kinds: [string, number, () => Promise<WireAnswer>][] = [
    [
      'a payment',
      200,
      () => ask('POST /payments', { headers: [...known(), `Idempotency-Key: ${randomUUID()}`], body: order }),
    ],
    ['a list', 200, () => ask('GET /payments', { headers: known() })],
    [
      'an operation',
      200,
      () =>
        ask('PUT /operations/careful', {
          headers: known(),
          body: `{"operation":"payment","params":${order}}`,
        }),
    ],
    ['a probe', 200, () => ask('GET /health/live')],
    ['the metrics', 200, () => ask('GET /metrics')],
    ['a page', 200, () => ask('GET /problems/internal')],
    ['HEAD', 200, () => ask('HEAD /payments', { headers: known() })],
    ['no credentials', 401, () => ask('GET /payments')],
    ['no such thing', 404, () => ask('GET /payments/1', { headers: known() })],
    ['no such path', 404, () => ask('GET /nowhere')],
    ['a path that cannot be decoded', 400, () => ask('GET /payments/%zz', { headers: known() })],
    ['a NUL in the path', 404, () => ask('GET /payments/%00', { headers: known() })],
    ['another method', 405, () => ask('DELETE /payments')],
    ['TRACE', 405, () => ask('TRACE /payments')],
    ['a long body', 413, () => ask('POST /payments', { headers: known(), body: ' '.repeat(70_000) })],
    [
      'another content type',
      415,
      () =>
        ask('POST /payments', {
          headers: [`Authorization: Bearer ${alice.apiKey}`, 'Content-Type: text/plain'],
          body: 'x',
        }),
    ],
    [
      'many fields',
      431,
      () => ask('GET /payments', { headers: Array.from({ length: 120 }, (_, index) => `X-${index}: 1`) }),
    ],
    ['two credentials', 400, () => ask('GET /payments', { headers: [...known(), ...known()] })],
    [
      'a broken body',
      400,
      () => ask('POST /payments', { headers: [...known(), 'Idempotency-Key: x'], body: '{' }),
    ],
  ];

  it.each(kinds)(
    '%s: says to browsers what they need, and to nobody what runs here (S43, 14.3.2)',
    async (what, status, visit) => {
      const answer = await visit();
      expect(answer.status).toBe(status);
      const missing = Object.entries(careful)
        .filter(([name]) => name !== 'cache-control' || !mayBeKept.includes(what))
        .filter(([name, is]) => !is.test(headerOf(answer, name) ?? ''));
      expect(missing.map(([name]) => `${name}: ${headerOf(answer, name)}`)).toEqual([]);
      expect(banners.filter(name => headerOf(answer, name) !== undefined)).toEqual([]);
      expect(answer.body).not.toMatch(/node_modules|\.[jt]s:\d|fastify|postgres|SELECT /i);
    },
  );

  it.each([
    ['bytes that are no HTTP', 'hello\r\n\r\n'],
    ['a header block that is too long', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
  ])('%s: refused by the parser, without a banner, and not for a cache', async (_, bytes) => {
    const { answers } = await exchange(port, bytes);
    const [answer] = answers;
    expect(answer?.status).toBeGreaterThanOrEqual(400);
    expect(banners.filter(name => answer && headerOf(answer, name) !== undefined)).toEqual([]);
    expect(answer && headerOf(answer, 'cache-control')).toBe('no-store');
    expect(answer && headerOf(answer, 'x-content-type-options')).toBe('nosniff');
  });

  it('an answer in JSON says that it is JSON, in UTF-8 (4.1.1)', async () => {
    for (const [what, , visit] of kinds.filter(([name]) => !['a page', 'the metrics'].includes(name))) {
      const answer = await visit();
      expect([what, headerOf(answer, 'content-type')]).toEqual([
        what,
        expect.stringMatching(/^application\/(problem\+)?json; charset=utf-8$/),
      ]);
    }
  });

  it('a page of a problem loads nothing and runs nothing', async () => {
    for (const code of Object.keys(problems)) {
      const page = await ask(`GET /problems/${code}`);
      const policy = headerOf(page, 'content-security-policy') ?? '';
      expect([code, policy]).toEqual([code, expect.stringMatching(/^default-src 'none'/)]);
      expect(policy).toContain("frame-ancestors 'none'");
      expect(page.body).not.toMatch(/<script|src=|href="?http/i);
    }
  });

  it('plain HTTP is answered, never redirected (4.1.2)', async () => {
    for (const [, , visit] of kinds) expect(headerOf(await visit(), 'location')).toBeUndefined();
  });

  it('TRACE is refused on every path, and echoes nothing (13.4.4)', async () => {
    for (const { path } of routesOf(api)) {
      const answer = await ask(`TRACE ${path.replace(/:\w+/g, 'x')}`, { headers: ['X-Canary: echo-me'] });
      expect([path, answer.status]).toEqual([path, 405]);
      expect(JSON.stringify(answer)).not.toContain('echo-me');
    }
  });

  it('no route is reached without credentials, however its path is written, by whatever method (S14)', async () => {
    const before = await countRows(database.sql);
    const spellings = (path: string) => [
      path,
      `${path}/`,
      `${path}//`,
      `/${path}`,
      `/.${path}`,
      `/x/..${path}`,
      `${path}/.`,
      `${path};x=1`,
      `${path}%20`,
      `${path}%00`,
      `${path}%2f`,
      `${path}?x=1`,
      `${path}#x`,
      `${path}.json`,
      path.toUpperCase(),
      path.replace(/[a-z](?=[^/]*$)/, letter => `%${letter.charCodeAt(0).toString(16)}`),
      path.replaceAll('/', '%2f').replace('%2f', '/'),
      `http://127.0.0.1${path}`,
    ];
    const closed = routesOf(api).filter(({ needs }) => needs !== 'none');
    const paths = [...new Set(closed.map(({ path }) => path.replace(/:\w+/g, 'careful')))];
    const methods = METHODS.filter(method => !['CONNECT', 'QUERY'].includes(method));
    const through: string[] = [];
    for (const path of paths.flatMap(spellings)) {
      const few = paths.includes(path) ? methods : ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE'];
      await Promise.all(
        few.map(async method => {
          const answer = await ask(`${method} ${path}`, { headers: ['Content-Type: application/json'] });
          if (![400, 401, 404, 405].includes(answer.status))
            through.push(`${answer.status} ${method} ${path}`);
        }),
      );
    }
    expect(through).toEqual([]);
    expect(await countRows(database.sql)).toEqual(before);
  }, 60_000);
});
