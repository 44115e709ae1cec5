import { randomUUID } from 'node:crypto';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { Conversation, exchange, headerOf, type WireAnswer } from '../support/wire.js';

const bodyBytesMax = 64 * 1024;
const headerBytesMax = 16 * 1024;
const headerFieldsMax = 100;
const requestTimeoutMs = 1_000;

describe('each limit holds to the byte, and whoever meets it is told', () => {
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
  afterEach(() => expectNoLeaks(database.sql));
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  /** A payment as bytes. White space in front of the document makes its body as long as wanted. */
  function payment({ bodyBytes = 0, fields = [] as string[], close = true, json = body() } = {}): string {
    const padded = json.padStart(bodyBytes);
    return head(fields, close, `Content-Length: ${Buffer.byteLength(padded)}`) + padded;
  }

  function head(fields: string[], close: boolean, framing: string): string {
    const lines = [
      'POST /payments HTTP/1.1',
      `Host: 127.0.0.1:${port}`,
      `Authorization: Bearer ${alice.apiKey}`,
      `Idempotency-Key: ${randomUUID()}`,
      'Content-Type: application/json',
      framing,
      ...(close ? ['Connection: close'] : []),
    ];
    return [...lines, ...fields, '', ''].join('\r\n');
  }

  async function only(bytes: string): Promise<WireAnswer> {
    const { answers } = await exchange(port, bytes);
    expect(answers).toHaveLength(1);
    return answers[0] as WireAnswer;
  }

  it('takes a body of 64 KiB, and not one byte more', async () => {
    expect((await only(payment({ bodyBytes: bodyBytesMax }))).status).toBe(200);
    const before = await countRows(database.sql);
    expectProblem(await only(payment({ bodyBytes: bodyBytesMax + 1 })), 413, 'body_too_large', '65536');
    expect(await countRows(database.sql)).toEqual(before);
  });

  it('counts the bytes of a chunked body, whose length nobody announced', async () => {
    const chunked = (bytes: number) => {
      const padded = body().padStart(bytes);
      const chunks = padded.match(/.{1,8000}/gs) ?? [];
      return (
        head([], true, 'Transfer-Encoding: chunked') +
        [...chunks, ''].map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
      );
    };
    expect((await only(chunked(bodyBytesMax))).status).toBe(200);
    const before = await countRows(database.sql);
    expectProblem(await only(chunked(bodyBytesMax + 1)), 413, 'body_too_large', '65536');
    expect(await countRows(database.sql)).toEqual(before);
  });

  it('refuses a long chunked body at the limit, without waiting for its end', async () => {
    const endless =
      head([], true, 'Transfer-Encoding: chunked') + `10000\r\n${' '.repeat(0x10000)}\r\n`.repeat(20);
    const { answers, tookMs } = await exchange(port, endless);
    expect(answers.map(({ status }) => status)).toEqual([413]);
    expect(tookMs).toBeLessThan(requestTimeoutMs);
  });

  it('takes 100 header fields, and not one more', async () => {
    const fields = (n: number) => Array.from({ length: n - 7 + 1 }, (_, index) => `X-${index}: 1`);
    expect((await only(payment({ fields: fields(headerFieldsMax) }))).status).toBe(200);
    const before = await countRows(database.sql);
    expectProblem(
      await only(payment({ fields: fields(headerFieldsMax + 1) })),
      431,
      'headers_too_large',
      '100',
    );
    expect(await countRows(database.sql)).toEqual(before);
  });

  it('takes a header block of nearly 16 KiB, and none that is longer', async () => {
    const filled = (bytes: number) => {
      const bare = payment({ fields: ['X-Long: '] });
      return payment({ fields: [`X-Long: ${'x'.repeat(bytes - (bare.length - body().length))}`] });
    };
    expect((await only(filled(headerBytesMax - 200))).status).toBe(200);
    const before = await countRows(database.sql);
    expect((await only(filled(headerBytesMax + 100))).status).toBe(431);
    expect(await countRows(database.sql)).toEqual(before);
  });

  it.each([
    ['whose body never comes to an end', () => payment({ close: false }).slice(0, -1)],
    ['whose header never comes to an end', () => 'POST /payments HTTP/1.1\r\nHost: x\r\nX-Slow:'],
    ['that stops within a chunk', () => head([], false, 'Transfer-Encoding: chunked') + '2a\r\n{"to"'],
  ])('cuts off a request %s', async (_, bytes) => {
    const before = await countRows(database.sql);
    const { answers, closedByServer, tookMs } = await exchange(port, bytes());
    expect(answers.map(({ status }) => status)).toEqual([408]);
    expect(closedByServer).toBe(true);
    expect(tookMs).toBeGreaterThanOrEqual(requestTimeoutMs * 0.9);
    expect(tookMs).toBeLessThan(requestTimeoutMs * 2);
    expect(await countRows(database.sql)).toEqual(before);
  });

  it('says nothing to a caller who connects and never says anything, and lets go of it', async () => {
    const { closedByServer, tookMs } = await exchange(port, '', { giveUpMs: 3 * requestTimeoutMs });
    expect(closedByServer).toBe(true);
    expect(tookMs).toBeLessThan(2 * requestTimeoutMs);
  });

  it.each([
    ['a body that is no JSON', () => payment({ close: false, json: '{' }), 400],
    ['a body that is not valid', () => payment({ close: false, json: '{"to":1}' }), 400],
    ['a path that leads nowhere', () => 'GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n', 404],
    ['a method the path does not take', () => 'DELETE /payments HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    ['no credentials', () => 'GET /payments HTTP/1.1\r\nHost: x\r\n\r\n', 401],
    [
      'another content type, with a body that must not be taken for the next request',
      () => payment({ close: false }).replace('application/json', 'text/plain'),
      415,
    ],
    [
      'too many fields, with a body that must not be taken for the next request',
      () => payment({ close: false, fields: Array.from({ length: 100 }, () => 'X: 1') }),
      431,
    ],
  ])('goes on with the same connection after refusing %s', async (_, refused, status) => {
    const conversation = new Conversation(port);
    expect((await conversation.say(refused()))?.status).toBe(status);
    const next = await conversation.say(payment({ close: false }));
    // A server may close after a refusal; what it must not do is misread what comes next.
    if (next) expect(next.status).toBe(200);
    conversation.close();
  });

  it('answers requests that were sent without waiting, each and in their order', async () => {
    const { answers } = await exchange(
      port,
      payment({ close: false }) + payment({ close: false, json: '{' }) + payment(),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 400, 200]);
  });

  it.each([
    ['nesting', { reference: nested(40) }, 400, '32'],
    ['the length of `reference`', { reference: 'r'.repeat(141) }, 400, '140'],
    ['the length of `to`', { to: 't'.repeat(65) }, 400, '64'],
    ['the amount', { amount: 100_000_001 }, 422, '100000000'],
    ['the amount, from below', { amount: 0 }, 400, '1'],
  ])('names the limit of %s', async (_, members, status, limit) => {
    const answer = await only(payment({ json: body(members) }));
    expect(answer.status).toBe(status);
    expect(answer.body.replaceAll(',', '')).toContain(limit);
  });

  it('takes each value at its limit', async () => {
    const rich = await database.addCustomer({ name: 'r'.repeat(64), balance: 100_000_000 });
    const answer = await only(
      payment({ json: body({ reference: 'r'.repeat(140), amount: 100_000_000 }) }).replace(
        alice.apiKey,
        rich.apiKey,
      ),
    );
    expect(answer.status).toBe(200);
  });

  it.each([
    ['140 emoji', '💷'.repeat(140), 200],
    ['141 emoji', '💷'.repeat(141), 400],
    ['140 letters and a variation selector', 'r'.repeat(140) + '\ufe0f', 400],
    ['variation selectors only', '\ufe0f'.repeat(1_000), 400],
    ['140 decomposed letters', 'e\u0301'.repeat(70), 200],
  ])('counts the characters of a reference as the database does: %s', async (_, reference, status) => {
    expect((await only(payment({ json: body({ reference }) }))).status).toBe(status);
  });
});

function body(members: object = {}): string {
  return JSON.stringify({ to: 'sam', amount: 100, currency: 'GBP', ...members });
}

function nested(depth: number): unknown {
  return depth === 0 ? 'x' : [nested(depth - 1)];
}

function expectProblem(answer: WireAnswer, status: number, code: string, limit: string): void {
  expect(answer.status).toBe(status);
  expect(headerOf(answer, 'content-type')).toMatch(/^application\/problem\+json/);
  expect(JSON.parse(answer.body)).toMatchObject({ status, code, retryable: false });
  expect(answer.body.replaceAll(',', '')).toContain(limit);
}
