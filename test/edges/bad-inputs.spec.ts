import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { checkMoney, checkOnePaymentPerKey, countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { exchange, headerOf, type WireAnswer } from '../support/wire.js';

/**
 * A request as bytes, or nearly. `path` and `headers` are Latin-1, one character one byte; `body` is UTF-8, or
 * base64; `raw` is the whole of it in base64, and may be no HTTP at all.
 */
interface BadInput {
  id: string;
  group: string;
  what: string;
  given?: 'first-call-finished' | 'first-call-finished-then-token-revoked';
  request: {
    method?: string;
    path?: string;
    headers?: [string, string][];
    body?: string;
    encoding?: 'utf8' | 'base64';
    raw?: string;
  };
  expect: {
    /** One number, or several of which any is right. */
    status: number | number[];
    code?: string;
    /** False: not one row more than before. True: at most one new key and one new payment. */
    rowAllowed: boolean;
  };
}

/** B123 needs a payment that runs for a while, B124 a rate limit: they come with those features. */
const badInputs = JSON.parse(readFileSync('test/edges/bad-inputs.json', 'utf8')) as BadInput[];

/** Cut off ten times sooner than by default, so that the slow ones do not slow down everybody. */
const requestTimeoutMs = 1_000;

const firstBody = { to: 'sam', amount: 100, currency: 'GBP' };

describe('what arrives broken, ambiguous or hostile is refused, and leaves nothing behind', () => {
  let database: Database;
  let alice: Customer;
  let api: Api;
  let port: number;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 100_000 });
    await database.addCustomer({ name: 'sam' });
    api = await bootApi(database.url, { REQUEST_TIMEOUT_MS: String(requestTimeoutMs) });
    port = Number(new URL(api.url).port);
  });
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  const groups = Object.groupBy(badInputs, ({ group }) => group);
  describe.each(Object.entries(groups))('%s', (_, cases = []) => {
    it.each(cases.map(each => [each.id, each.what, each] as const))('%s: %s', async (_id, _what, input) => {
      const token = await apiKeyOfAlice();
      const key = randomUUID();
      const pay = () =>
        call(`${api.url}/payments`, { apiKey: token, body: firstBody, headers: { 'idempotency-key': key } });
      const first = input.given ? await pay() : undefined;
      if (first) expect(first.status).toBe(200);
      if (input.given === 'first-call-finished-then-token-revoked') await revoke(token);
      const before = await countRows(database.sql);

      const { answers, closedByServer } = await exchange(
        port,
        toBytes(input, { token, key, host: `127.0.0.1:${port}` }),
      );

      expect(answers.length).toBeGreaterThan(0);
      for (const answer of answers) {
        expectAsWritten(answer, input);
        expectWellFormed(answer);
        expectNothingLeaked(answer.body);
        if (first && answer.status === 200) {
          expect(answer.body).toBe(first.text);
          expect(headerOf(answer, 'idempotent-replayed')).toBe('true');
        }
      }
      if (input.group !== 'framing') expect(closedByServer).toBe(true);

      const after = await countRows(database.sql);
      const room = input.expect.rowAllowed ? 1 : 0;
      expect(after.keys - before.keys).toBeLessThanOrEqual(room);
      expect(after.payments - before.payments).toBeLessThanOrEqual(room);
      expect(after.transfers - before.transfers).toBeLessThanOrEqual(room);
      if (answers.every(({ status }) => status >= 400)) expect(after).toEqual(before);
    });
  });

  it('is as healthy after all of them as before, and nobody has taught its objects new members', async () => {
    expect((await call(`${api.url}/health/ready`)).status).toBe(200);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(await checkMoney(database.sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(database.sql)).toEqual([]);
    await expectNoLeaks(database.sql);
  });

  /** One for each case, so that revoking it is nobody else's trouble. */
  async function apiKeyOfAlice(): Promise<string> {
    const apiKey = `sk_test_${randomUUID()}`;
    await database.sql(`INSERT INTO api_keys (hash, customer_id, scopes) VALUES ($1, $2, '{read,pay}')`, [
      createHash('sha256').update(apiKey).digest(),
      alice.id,
    ]);
    return apiKey;
  }

  async function revoke(apiKey: string): Promise<void> {
    const revoked = await database.sql('UPDATE api_keys SET revoked_at = now() WHERE hash = $1 RETURNING 1', [
      createHash('sha256').update(apiKey).digest(),
    ]);
    expect(revoked).toHaveLength(1);
  }
});

function expectAsWritten(answer: WireAnswer, input: BadInput): void {
  expect([input.expect.status].flat()).toContain(answer.status);
  if (input.expect.code !== undefined)
    expect(JSON.parse(answer.body)).toMatchObject({ code: input.expect.code });
}

/** A refusal by the HTTP parser may be empty. Any other answer says who it is, and what to do. */
function expectWellFormed(answer: WireAnswer): void {
  const names = answer.headerLines.map(([name]) => name);
  expect(names).not.toContain('server');
  expect(names).not.toContain('x-powered-by');
  if (answer.body === '' && answer.status >= 400) return;
  expect(headerOf(answer, 'request-id')).toMatch(/^[0-9a-f-]{36}$/);
  if (answer.status < 400) return;
  expect(headerOf(answer, 'content-type')).toMatch(/^application\/problem\+json/);
  expect(headerOf(answer, 'should-retry')).toMatch(/^(true|false)$/);
  expect(JSON.parse(answer.body)).toMatchObject({
    type: expect.stringMatching(/^\/problems\/[a-z_]+$/) as unknown,
    title: expect.any(String) as unknown,
    status: answer.status,
    code: expect.any(String) as unknown,
    detail: expect.any(String) as unknown,
    retryable: expect.any(Boolean) as unknown,
  });
  expect(answer.body.length).toBeLessThan(4_096);
}

/** No stack, no SQL, no file, no library. */
function expectNothingLeaked(body: string): void {
  expect(body).not.toMatch(
    /\n\s+at |node_modules|\.[jt]s\b|\b(select|insert into|update|delete from)\b .*\b(from|set|values|where)\b/i,
  );
  expect(body).not.toMatch(/fastify|nestjs|typeorm|postgres|class-validator|llhttp|HPE_|FST_|ERR_/i);
}

function toBytes({ request }: BadInput, values: { token: string; key: string; host: string }): Buffer {
  const fill = (text: string, length = 0) =>
    text
      .replace(/\{\{repeat:(\d+):([^}]*)\}\}/g, (_, times: string, each: string) =>
        each.repeat(Number(times)),
      )
      .replace(/\{\{members:(\d+)\}\}/g, (_, n: string) =>
        Array.from({ length: Number(n) }, (_, index) => `"m${index}":0`).join(','),
      )
      .replace(/\{\{(host|token|key)\}\}/g, (_, name: 'host' | 'token' | 'key') => values[name])
      .replaceAll('{{length}}', String(length));

  if (request.raw !== undefined) {
    return Buffer.from(fill(Buffer.from(request.raw, 'base64').toString('latin1')), 'latin1');
  }
  const { method = '', path = '', headers = [], body = '', encoding } = request;
  const bodyBytes =
    encoding === 'base64'
      ? Buffer.from(fill(Buffer.from(body, 'base64').toString('latin1')), 'latin1')
      : Buffer.from(fill(body));
  const lines = headers.map(([name, value]) => `${name}: ${fill(value, bodyBytes.length)}`);
  const head = [`${method} ${fill(path)} HTTP/1.1`, ...lines, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), bodyBytes]);
}
