import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { bootApi, type Api } from '../support/api.js';
import { openBankInside, type BankInside } from '../support/bank-inside.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call, type Answer } from '../support/http.js';
import { checkMoney, checkOnePaymentPerKey, countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { memoryInUse } from '../support/memory.js';
import { exchange, headerOf, type Exchange, type WireAnswer } from '../support/wire.js';

/**
 * A request as bytes, or nearly. `path` and `headers` are Latin-1, one character one byte; `body` is UTF-8, or
 * base64; `raw` is the whole of it in base64, and may be no HTTP at all.
 */
interface BadInput {
  id: string;
  group: string;
  what: string;
  given?:
    | 'first-call-finished'
    | 'first-call-finished-then-token-revoked'
    | 'first-call-running'
    | 'rate-limit-reached';
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

/** What was brought about before the request of a case, and to whom it is then sent. */
interface Scenery {
  port: number;
  /** What the first call was answered, where it has been. */
  first?: Answer;
  /** The first call, still on its way. */
  running?: Promise<Exchange>;
}

const badInputs = JSON.parse(readFileSync('test/edges/bad-inputs.json', 'utf8')) as BadInput[];

/** Cut off ten times sooner than by default, so that the slow ones do not slow down everybody. */
const requestTimeoutMs = 1_000;

/** Eight times all of them are 5 MB: what is kept is the answers to the good ones, and room to breathe. */
const memoryGrowthMax = 2_000_000;

const firstBody = { to: 'sam', amount: 100, currency: 'GBP' };

/** Bob's, and nobody else's business. */
const secret = 'canary-of-bob';

describe('what arrives broken, ambiguous or hostile is refused, and leaves nothing behind', () => {
  let database: Database;
  let alice: Customer;
  let bob: Customer;
  let bank: BankInside;
  let api: Api;
  /** Takes one request a second from each customer. */
  let slowApi: Api;

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), openBankInside()]);
    alice = await database.addCustomer({ name: 'alice', balance: 100_000 });
    bob = await database.addCustomer({ name: 'bob', balance: 100 });
    await database.addCustomer({ name: 'sam' });
    api = await bootApi(database.url, { ...bank.env, REQUEST_TIMEOUT_MS: String(requestTimeoutMs) });
    slowApi = await bootApi(database.url, { ...bank.env, REQUESTS_PER_SECOND_MAX: '1' });
    const paid = await call(`${api.url}/payments`, {
      apiKey: bob.apiKey,
      key: `${secret}-key`,
      body: { ...firstBody, reference: secret },
    });
    expect(paid.status).toBe(200);
  });
  afterAll(async () => {
    await Promise.all([api.stop(), slowApi.stop()]);
    await bank.stop();
    await database.drop();
  });

  const groups = Object.groupBy(badInputs, ({ group }) => group);
  describe.each(Object.entries(groups))('%s', (_, cases = []) => {
    it.each(cases.map(each => [each.id, each.what, each] as const))('%s: %s', async (_id, _what, input) => {
      const token = await apiKeyOfAlice();
      const key = randomUUID();
      const { port, first, running } = await bringAbout(input, token, key);
      const before = await countEffects();

      const { answers, closedByServer } = await exchange(port, toBytes(input, { token, key, port }));
      const after = await countEffects();

      expect(answers.length).toBeGreaterThan(0);
      for (const answer of answers) {
        expectAsWritten(answer, input);
        expectWellFormed(answer);
        expectNothingLeaked(answer);
        if (first && answer.status === 200) {
          expect(answer.body).toBe(first.text);
          expect(headerOf(answer, 'idempotent-replayed')).toBe('true');
        }
      }
      if (input.group !== 'framing') expect(closedByServer).toBe(true);

      const room = input.expect.rowAllowed ? 1 : 0;
      expect(after.keys - before.keys).toBeLessThanOrEqual(room);
      expect(after.payments - before.payments).toBeLessThanOrEqual(room);
      expect(after.transfers - before.transfers).toBeLessThanOrEqual(room);
      expect(after.bankCalls - before.bankCalls).toBeLessThanOrEqual(room);
      if (answers.every(({ status }) => status >= 400)) expect(after).toEqual(before);
      // Whoever was asked about in vain comes to its end all the same.
      if (running) expect((await running).answers).toEqual([expect.objectContaining({ status: 200 })]);
    });
  });

  it('is as healthy after all of them as before, and nobody has taught its objects new members', async () => {
    expect((await call(`${api.url}/health/ready`)).status).toBe(200);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(await checkMoney(database.sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(database.sql)).toEqual([]);
    await expectNoLeaks(database.sql);
  });

  it('keeps nothing of them in memory, however often they come', async () => {
    const token = await apiKeyOfAlice();
    const port = portOf(api);
    // Those of the other group are cut off after a second, and so hold no more than a second's worth.
    const again = badInputs.filter(({ given, group }) => given === undefined && group !== 'framing');
    const sendAll = async (times: number) => {
      for (let sent = 0; sent < times; sent += 1) {
        await Promise.all(
          again.map(input => exchange(port, toBytes(input, { token, key: randomUUID(), port }))),
        );
      }
      await sleep(100);
      return memoryInUse();
    };
    // The first times, code is compiled, statements are prepared and buffers grow to their size.
    let before = await sendAll(6);
    const growth: number[] = [];
    for (let time = 0; time < 3; time += 1) {
      const after = await sendAll(8);
      growth.push(after - before);
      before = after;
    }
    // What is kept is kept every time; what the engine sets aside for itself comes once, at any time.
    expect(Math.min(...growth)).toBeLessThan(memoryGrowthMax);
    expect(await checkMoney(database.sql)).toEqual([]);
  });

  /** Rows, and what the bank was asked: what a refusal must not add to. */
  async function countEffects() {
    return { ...(await countRows(database.sql)), bankCalls: (await bank.requests()).length };
  }

  async function bringAbout(input: BadInput, token: string, key: string): Promise<Scenery> {
    const port = portOf(api);
    const { given } = input;
    if (given === undefined) return { port };
    switch (given) {
      case 'rate-limit-reached':
        expect((await call(`${slowApi.url}/accounts`, { apiKey: token })).status).toBe(200);
        return { port: portOf(slowApi) };
      case 'first-call-running': {
        const asked = (await bank.requests()).length;
        const running = exchange(port, toBytes(input, { token, key, port }));
        // Tim's bank has the transfer, and keeps its answer: what comes next comes in the middle of it.
        while ((await bank.requests()).length === asked) await sleep(10);
        return { port, running };
      }
      case 'first-call-finished':
      case 'first-call-finished-then-token-revoked': {
        const headers = { 'idempotency-key': key };
        const first = await call(`${api.url}/payments`, { apiKey: token, body: firstBody, headers });
        expect(first.status).toBe(200);
        if (given === 'first-call-finished-then-token-revoked') await revoke(token);
        return { port, first };
      }
    }
  }

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

/** No stack, no SQL, no file, no library, nothing of somebody else's request. */
function expectNothingLeaked({ body, headerLines }: WireAnswer): void {
  expect(body + headerLines.join('\n')).not.toContain(secret);
  expect(body).not.toMatch(
    /\n\s+at |node_modules|\.[jt]s\b|\b(select|insert into|update|delete from)\b .*\b(from|set|values|where)\b/i,
  );
  expect(body).not.toMatch(/fastify|nestjs|typeorm|postgres|class-validator|llhttp|HPE_|FST_|ERR_/i);
}

function portOf({ url }: Api): number {
  return Number(new URL(url).port);
}

function toBytes(
  { request }: BadInput,
  { port, ...named }: { token: string; key: string; port: number },
): Buffer {
  const values = { ...named, host: `127.0.0.1:${port}` };
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
