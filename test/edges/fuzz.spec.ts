import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { bootApi, type Api } from '../support/api.js';
import { openBankInside, type BankInside } from '../support/bank-inside.js';
import { createDatabase, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { checkMoney, checkOnePaymentPerKey } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { memoryInUse } from '../support/memory.js';
import { exchange, headerOf, type WireAnswer } from '../support/wire.js';
import { apiKeys, requestTo, toBytes, type Filling, type FuzzRequest } from './fuzz-requests.js';
import { routesOf, type Document, type Route } from './fuzz-routes.js';

/**
 * Another one each time, so that CI looks somewhere else each time. `FUZZ_SEED` repeats a run that failed; with the
 * `FUZZ_PATH` that was printed, only its last request.
 */
const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const requestsMin = Number(process.env['FUZZ_REQUESTS'] ?? 10_000);
const path = process.env['FUZZ_PATH'];
/** Sent at once, each on a connection of its own. */
const batchMax = 24;

/** Requests beyond those of `npm test`. */
const requestsMore = Math.max(0, requestsMin - 10_000);

/** What the second half of the run may add: answers to the good ones, and what fast-check remembers of each request. */
const memoryGrowthMax = 20_000_000 + 50 * requestsMore;

/** In milliseconds. On two cores a request takes two or three, and more as the tables grow. */
const takesAtMostMs = 280_000 + 20 * requestsMore;

/** What so many requests are sure to be told, each at least once. */
const statusesOfEachRun = [200, 202, 400, 401, 402, 403, 404, 405, 409, 415, 422];

/** Whatever the path: what a request may be told that was bent until no route has to know it. */
const refusalsOfAnyPath = [400, 404, 405, 431];

/** What an outage costs is tested elsewhere; here nothing waits long, and nobody is turned away. */
const settings = {
  REQUESTS_PER_SECOND_MAX: '1000000',
  IN_FLIGHT_PER_CUSTOMER_MAX: '1000',
  EVENT_LOOP_DELAY_MAX_MS: '60000',
  CALLER_WAIT_MS: '500',
  BANK_REQUEST_TIMEOUT_MS: '500',
  BANK_BACKOFF_MS: '10',
  BANK_RETRY_TOKENS: '1000000',
  SWEEP_MS: '50',
  LOG_LEVEL: process.env['FUZZ_LOG'] ?? 'silent',
  RECOVERY_BACKOFF_MS: '50',
};

describe(`whatever is sent to whatever route (FUZZ_SEED=${seed})`, () => {
  let database: Database;
  let bank: BankInside;
  let api: Api;
  let port: number;
  let routes: Route[];
  let filling: Filling;
  /** What callers were told has been done, and hence may be found in the books. */
  const told = { keys: new Set<string>(), payments: new Set<string>() };
  const statuses = new Set<number>();
  let sent = 0;
  let silent = 0;

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), openBankInside()]);
    await database.addCustomer({ name: 'alice', balance: 1_000_000_000 });
    await database.addCustomer({ name: 'bob', balance: 5_000 });
    await database.addCustomer({ name: 'keyless', balance: 100_000 });
    await database.addCustomer({ name: 'readonly', scopes: ['read'] });
    await database.addCustomer({ name: 'sam' });
    await database.sql(`UPDATE customers SET keyless = 'fingerprint' WHERE name = 'keyless'`);
    for (const [name, apiKey] of Object.entries(apiKeys)) {
      await database.sql(
        `INSERT INTO api_keys (hash, customer_id, scopes)
         SELECT $2, customers.id, scopes FROM customers JOIN api_keys ON customer_id = customers.id WHERE name = $1`,
        [name, createHash('sha256').update(apiKey).digest()],
      );
    }
    // Looked through after every batch, however many rows there are by then.
    for (const table of ['idempotency_keys', 'payments', 'refunds']) {
      await database.sql(`CREATE INDEX ON ${table} (created_at)`);
    }
    api = await bootApi(database.url, { ...bank.env, ...settings });
    port = Number(new URL(api.url).port);
    routes = routesOf((await call(`${api.url}/openapi.json`)).json as unknown as Document);

    const paid = await call(`${api.url}/payments`, {
      apiKey: apiKeys.alice,
      key: 'the-first',
      body: { to: 'sam', amount: 1_000_000, currency: 'GBP' },
    });
    filling = { host: `127.0.0.1:${port}`, payment: String(paid.json?.['id']) };
    told.keys.add('the-first');
    told.payments.add(filling.payment);
  });
  afterAll(async () => {
    await api.stop();
    await bank.stop();
    await database.drop();
  });

  it(
    'is answered in the words of the document, and does nothing unless it says so',
    async () => {
      const batches = fc.array(requestTo(routes), { minLength: 1, maxLength: batchMax, size: 'max' });
      let memoryAtHalf = 0;
      await fc.assert(
        fc.asyncProperty(batches, async batch => {
          const answers = await Promise.all(batch.map(request => send(request)));
          for (const answer of answers) if (answer) note(answer);
          const untold = await findUntold();
          batch.forEach((request, index) => {
            const answer = answers[index];
            if (answer) expectAnswer(request, answer);
          });
          expect(untold).toEqual([]);
          if (memoryAtHalf === 0 && sent > requestsMin / 2) memoryAtHalf = memoryInUse();
        }),
        {
          seed,
          numRuns: Math.ceil(requestsMin / 11),
          endOnFailure: false,
          interruptAfterTimeLimit: takesAtMostMs,
          ...(path && { path }),
        },
      );
      expect(sent).toBeGreaterThanOrEqual(requestsMin);
      expect(silent).toBeLessThan(sent / 50);
      if (requestsMin < 10_000) return;
      // It did get past the door: payments were made, declined, repeated, and refused for every reason.
      expect([...statuses]).toEqual(expect.arrayContaining(statusesOfEachRun));
      expect(await memoryOnceQuiet(memoryAtHalf + memoryGrowthMax)).toBeLessThan(
        memoryAtHalf + memoryGrowthMax,
      );
    },
    takesAtMostMs + 20_000,
  );

  it('leaves the process as healthy as it was, and the books in order', async () => {
    await untilAllHaveEnded();
    expect((await call(`${api.url}/health/ready`)).status).toBe(200);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(await checkMoney(database.sql)).toEqual([]);
    const broken = await checkOnePaymentPerKey(database.sql);
    // A fingerprint is remembered with the time at which its window opened, and that check looks for the bare one.
    expect(broken.filter(({ row }) => !JSON.stringify(row).includes('"fp_'))).toEqual([]);
    await expectNoLeaks(database.sql);
  });

  /** @returns null for silence: what follows a whole request cannot be read, and a refusal would be taken for its answer */
  async function send(request: FuzzRequest): Promise<WireAnswer | null> {
    const isHead = request.method === 'HEAD';
    const bytes = toBytes(request, filling);
    const { answers } = await exchange(port, bytes, { lingerMs: 0, isHead });
    expect(answers.length).toBeLessThanOrEqual(1);
    sent += 1;
    const [answer = null] = answers;
    if (answer) {
      statuses.add(answer.status);
    } else {
      silent += 1;
      noteSilence(bytes);
    }
    return answer;
  }

  function expectAnswer(request: FuzzRequest, answer: WireAnswer): void {
    const { status } = answer;
    expect(status).toBeLessThan(500);
    const allowed = request.route
      ? [...request.route.statuses]
      : [...refusalsOfAnyPath, ...routes.flatMap(each => [...each.statuses])];
    expect(allowed).toContain(status);
    if (status >= 400) expectProblem(request, answer);
    expectNothingLeaked(answer);
  }

  /** Nobody was told anything: it may have happened or not. */
  function noteSilence(bytes: Buffer): void {
    const text = bytes.toString('latin1');
    for (const [, key = ''] of text.matchAll(/^idempotency-key:[ \t]*"?([!-~]{1,255}?)"?[ \t]*\r$/gim)) {
      // A copy: a part of a string keeps all of it in memory.
      told.keys.add(Buffer.from(key).toString());
    }
    const [, inPath] = /^PUT \/operations\/([^/?# ]{1,765})/.exec(text) ?? [];
    if (inPath !== undefined) told.keys.add(decodeURIComponent(inPath));
  }

  /** Remembers what an answer says has been done: its key, and the payment or refund in it. */
  function note(answer: WireAnswer): void {
    const isDone = answer.status === 200 || answer.status === 202 || answer.status === 402;
    if (!isDone || !headerOf(answer, 'content-type')?.includes('json') || answer.body === '') return;
    const json = JSON.parse(answer.body) as Record<string, unknown>;
    const key = headerOf(answer, 'idempotency-key') ?? (json['object'] === 'operation' ? json['key'] : null);
    if (typeof key === 'string') told.keys.add(key);
  }

  /** Rows and requests to the bank that belong to no key whose caller was told of it. Each is found once. */
  async function findUntold(): Promise<object[]> {
    const rows = await database.sql<{ kind: string; key: string; id: string | null }>(
      `SELECT 'key' AS kind, key, NULL AS id FROM idempotency_keys WHERE created_at > now() - interval '10 s'
        UNION ALL
       SELECT 'payment', idempotency_key, id::text FROM payments WHERE created_at > now() - interval '10 s'
        UNION ALL
       SELECT 'refund', idempotency_key, id::text FROM refunds WHERE created_at > now() - interval '10 s'`,
    );
    // A fingerprint is remembered with the time at which its window opened.
    const isTold = ({ key }: { key: string }) =>
      told.keys.has(key) || told.keys.has(key.replace(/^(fp_.{43})_\d+$/, '$1'));
    const untold = rows.filter(row => !isTold(row));
    for (const { kind, id } of rows) if (kind === 'payment' && id !== null) told.payments.add(id);
    const calls = (await bank.requests()).filter(({ reference }) => !told.payments.has(reference));
    await bank.forget();
    // What fast-check tries next, to find the request that did it, must not be blamed for what is there now.
    for (const { key } of untold) told.keys.add(key);
    return [...untold, ...calls];
  }

  /** Connections that are going down still hold their buffers: what stays above `enough` for five seconds is a leak. */
  async function memoryOnceQuiet(enough: number): Promise<number> {
    await untilAllHaveEnded();
    for (let looks = 0; looks < 10 && memoryInUse() >= enough; looks += 1) await sleep(500);
    return memoryInUse();
  }

  async function untilAllHaveEnded(): Promise<void> {
    for (let looks = 0; looks < 200; looks += 1) {
      const unfinished = await database.sql(
        `SELECT FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled')`,
      );
      if (unfinished.length === 0) return;
      await sleep(50);
    }
    throw new Error('something never came to an end');
  }
});

/** A refusal by the HTTP parser may be empty: there was no request yet. */
function expectProblem({ route, method }: FuzzRequest, answer: WireAnswer): void {
  if (answer.body === '' && (method === 'HEAD' || route === null)) return;
  expect(headerOf(answer, 'request-id')).toMatch(/^[0-9a-f-]{36}$/);
  expect(headerOf(answer, 'content-type')).toMatch(/^application\/problem\+json/);
  expect(headerOf(answer, 'should-retry')).toMatch(/^(true|false)$/);
  const json = JSON.parse(answer.body) as { code: string; retryable: boolean };
  expect(json).toMatchObject({
    type: `/problems/${json.code}`,
    title: expect.any(String) as unknown,
    status: answer.status,
    code: expect.stringMatching(/^[a-z_]+$/) as unknown,
    detail: expect.any(String) as unknown,
    retryable: headerOf(answer, 'should-retry') === 'true',
  });
}

/** Words of ours that no caller sends here: a stack, a file, a library, a table, the database's own complaints. */
const internals =
  /\n\s+at |node_modules|\.[cm]?[jt]s:\d|fastify|nestjs|typeorm|postgres|class-validator|HPE_|FST_|QueryFailed|(Type|Syntax|Range|Reference)Error|is not a function|Cannot (read|convert|set)|idempotency_keys|\bpg_|syntax error|invalid (byte sequence|input syntax)|out of range for/i;

function expectNothingLeaked({ status, body, headerLines }: WireAnswer): void {
  const names = headerLines.map(([name]) => name);
  expect(names).not.toContain('server');
  expect(names).not.toContain('x-powered-by');
  expect(names).not.toContain('x-evil');
  if (status >= 400) expect(body + headerLines.join('\n')).not.toMatch(internals);
}
