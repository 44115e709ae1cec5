import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { escapeIdentifier } from 'pg';
import { startApi, type ApiProcess } from '../support/api-process.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { createApiLogin, type ApiLogin } from './api-login.js';
import { tapStatements } from './statement-tap.js';

/** Words that occur nowhere else: where one of them turns up, somebody has written down what was sent. */
const canaryOf = (what: string) => `canary${what}${randomBytes(6).toString('hex')}`;

describe('nothing secret is written down', () => {
  let database: Database;
  let login: ApiLogin;
  let bank: BankProcess;
  let alice: Customer;

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), startBank()]);
    login = await createApiLogin(database);
    alice = await database.addCustomer({ name: 'alice', balance: 1_000_000 });
    await database.addCustomer({ name: 'sam' });
  });
  afterAll(async () => {
    await bank.stop();
    await database.drop();
    await login.drop();
  });

  const start = (url = login.url, env: Record<string, string> = {}) =>
    startApi({ databaseUrl: url, env: { ...bank.env, LOG_LEVEL: 'trace', BANK_BACKOFF_MS: '10', ...env } });

  /** Where in the database a word is: `table.column`. */
  async function placesOf(word: string): Promise<string[]> {
    const columns = await database.sql<{ table: string; column: string }>(
      `SELECT table_name AS table, column_name AS column FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY 1, 2`,
    );
    const places: string[] = [];
    for (const { table, column } of columns) {
      const has =
        'SELECT FROM ' +
        escapeIdentifier(table) +
        ' WHERE position($1 IN ' +
        escapeIdentifier(column) +
        '::text) > 0 LIMIT 1';
      if ((await database.sql(has, [word])).length > 0) places.push(`${table}.${column}`);
    }
    return places;
  }

  /** What the process has said, line by line; the first line of all is for people. */
  function linesOf(api: ApiProcess): string[] {
    const lines = `${api.stdout()}\n${api.stderr()}`.split('\n').filter(line => line !== '');
    return lines.filter(line => !line.startsWith('Pay Sam listens on '));
  }

  it('canaries sent wherever a caller can write turn up where the docs say, and in no log (S32, S33)', async () => {
    const canaries = {
      key: canaryOf('Key'),
      reference: canaryOf('Reference'),
      timestamp: canaryOf('Timestamp'),
      member: canaryOf('Member'),
      apiKey: canaryOf('ApiKey'),
      wrongApiKey: canaryOf('WrongApiKey'),
      header: canaryOf('Header'),
      path: canaryOf('Path'),
      body: canaryOf('Body'),
    };
    await database.sql("INSERT INTO api_keys (hash, customer_id, scopes) VALUES ($1, $2, '{read,pay}')", [
      createHash('sha256').update(canaries.apiKey).digest(),
      alice.id,
    ]);
    const api = await start();
    const headers = {
      'user-agent': canaries.header,
      cookie: canaries.header,
      'x-request-id': canaries.header,
    };
    const { apiKey } = canaries;
    const pay = (key: string, body: object | string, more = {}) =>
      call(`${api.url}/payments`, { apiKey, key, body, headers: { ...headers, ...more } });
    const order = {
      to: 'sam',
      amount: 100,
      currency: 'GBP',
      reference: canaries.reference,
      client_timestamp: canaries.timestamp,
    };
    const statuses: number[] = [];
    const note = async (answer: ReturnType<typeof call>) => statuses.push((await answer).status);
    const repeats = [
      order,
      order,
      { ...order, amount: 5 },
      { ...order, [canaries.member]: 1 },
      `{"${canaries.body}`,
    ];
    for (const body of repeats) await note(pay(canaries.key, body));
    await note(pay(`${canaries.key}-poor`, { ...order, amount: 99_000_000 }));
    await note(pay(`${canaries.key}-bank`, { ...order, rail: 'bank' }));
    await note(
      pay(`${canaries.key}-tim`, { ...order, rail: 'bank', to: 'tim' }, { prefer: 'respond-async' }),
    );
    await note(
      call(`${api.url}/payments`, { apiKey: canaries.wrongApiKey, key: canaries.key, body: order, headers }),
    );
    await note(call(`${api.url}/operations/${canaries.key}`, { apiKey, headers }));
    await note(call(`${api.url}/accounts/${canaries.path}?x=${canaries.path}`, { apiKey, headers }));

    // What the database says of a row it refuses names every value in it; and a bug of ours is logged in full.
    const rule = canaries.reference.replace('canary', 'c');
    await database.sql(
      'ALTER TABLE payments ADD CONSTRAINT ' +
        escapeIdentifier(rule) +
        " CHECK (status = 'impossible') NOT VALID",
    );
    await note(pay(`${canaries.key}-bug`, order));
    await database.sql('ALTER TABLE payments DROP CONSTRAINT ' + escapeIdentifier(rule));
    expect(statuses).toEqual([200, 200, 409, 400, 400, 402, 200, 202, 401, 200, 404, 500]);

    const { text: metrics } = await call(`${api.url}/metrics`);
    await api.kill('SIGTERM');
    const lines = linesOf(api);
    expect(lines.length).toBeGreaterThan(0);
    const secrets = { ...canaries, bankKey: bank.env.BANK_API_KEY, password: new URL(login.url).password };
    for (const [what, canary] of Object.entries(secrets)) {
      expect([what, lines.filter(line => line.includes(canary))]).toEqual([what, []]);
      expect([what, metrics.includes(canary)]).toEqual([what, false]);
    }

    expect(
      Object.fromEntries(
        await Promise.all(
          Object.entries(secrets).map(async ([what, canary]) => [what, await placesOf(canary)] as const),
        ),
      ),
    ).toEqual({
      key: ['idempotency_keys.key', 'idempotency_keys.response_body', 'payments.idempotency_key'],
      reference: ['idempotency_keys.params', 'idempotency_keys.response_body', 'payments.reference'],
      timestamp: [],
      member: [],
      apiKey: [],
      wrongApiKey: [],
      header: [],
      path: [],
      body: [],
      bankKey: [],
      password: [],
    });
  });

  it('whatever is sent, each line of the log is one event, and JSON (S32, 16.4.1)', async () => {
    const api = await start();
    const forged = '{"level":60,"event":"forged"}';
    const breaks = ['\n', '\r\n', '\u2028', '\u0000', '\u001b[31m', '\u0085'];
    for (const each of breaks) {
      const text = `x${each}${forged}`;
      const key = encodeURIComponent(text);
      for (const path of [`/operations/${key}`, `/accounts/${key}`, `/payments?after=${key}`, `/${key}`]) {
        await call(api.url + path, { apiKey: alice.apiKey });
      }
      await call(`${api.url}/payments`, {
        apiKey: alice.apiKey,
        key: randomUUID(),
        body: { to: text.slice(0, 64), amount: 1, currency: 'GBP', reference: text, [text]: text },
      });
    }
    await api.kill('SIGTERM');
    for (const line of linesOf(api)) {
      const event = JSON.parse(line) as Record<string, unknown>;
      expect(event['event']).not.toBe('forged');
      expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028]/);
    }
    expect(api.stdout() + api.stderr()).not.toContain('forged');
  });

  it('the statements are always the same: what callers send is never a part of one (S38, 1.2.4)', async () => {
    const tap = await tapStatements(login.url);
    // What the reaper and the reconciler ask by the clock is no answer to a caller.
    const api = await start(tap.url, { REAP_EVERY_MS: '3600000', RECONCILE_EVERY_MS: '3600000' });
    const { apiKey } = alice;

    /** Every route, with the text in every place that takes one. */
    async function everything(text: string, run: number): Promise<void> {
      const inKey = `${run}${text.replace(/[^!-+\--~]/g, '')}`;
      const inPath = encodeURIComponent(text);
      const order = { to: 'sam', amount: 1, currency: 'GBP', reference: text };
      const paid = await call(`${api.url}/payments`, {
        apiKey,
        body: order,
        headers: { 'idempotency-key': inKey },
      });
      expect([text, paid.status, paid.json?.['reference']]).toEqual([text, 200, text]);
      for (const body of [order, { ...order, amount: 2 }, { ...order, to: text }, { ...order, from: text }]) {
        await call(`${api.url}/payments`, { apiKey, body, headers: { 'idempotency-key': inKey } });
        await call(`${api.url}/payments`, { apiKey, body, headers: { 'idempotency-key': `${inKey}.` } });
      }
      await call(`${api.url}/payments`, { apiKey, body: { ...order, rail: 'bank' }, key: `bank-${run}` });
      await call(`${api.url}/payments/${String(paid.json?.['id'])}/refunds`, {
        apiKey,
        body: { amount: 1 },
        key: `r-${run}`,
      });
      const path = encodeURIComponent(inKey);
      await call(`${api.url}/operations/${path}p`, {
        method: 'PUT',
        apiKey,
        body: { operation: 'payment', params: order },
      });
      await call(`${api.url}/operations/${path}c/cancel`, { method: 'POST', apiKey });
      for (const each of [
        `/payments?limit=7&after=${inPath}`,
        '/payments?limit=7',
        `/payments?limit=7&after=${String(paid.json?.['id'])}`,
        `/payments/${inPath}`,
        `/payments/${String(paid.json?.['id'])}`,
        '/accounts',
        `/accounts/${inPath}`,
        '/accounts/alice',
        `/accounts/${inPath}/transfers`,
        '/accounts/alice/transfers?limit=7',
        `/operations/${path}`,
        `/operations/${inPath}`,
        '/health/ready',
        '/metrics',
      ]) {
        await call(api.url + each, { apiKey });
      }
      await call(`${api.url}/accounts`, { apiKey: text.replace(/[^ -~]/g, '') });
      // The repeats that were counted are written down after a while.
      await new Promise(resolve => setTimeout(resolve, 600));
    }

    await everything('plain', 0);
    const known = new Set(tap.statements);
    expect(known.size).toBeGreaterThan(15);
    const metacharacters = [
      `'; DROP TABLE payments; --x`,
      `" OR 1=1 /*x`,
      `$1 $$x$$ E'\\x27' \\`,
      `%_{}[]ʼ＇x`,
      `1) UNION SELECT hash FROM api_keys --`,
    ];
    for (const [index, text] of metacharacters.entries()) await everything(text, index + 1);
    expect([...tap.statements].filter(statement => !known.has(statement))).toEqual([]);
    expect([...known].filter(statement => /plain|DROP|api_keys --/.test(statement))).toEqual([]);
    expect(await database.sql("SELECT FROM pg_tables WHERE tablename = 'payments'")).toHaveLength(1);
    await api.kill('SIGTERM');
    tap.stop();
  }, 60_000);
});
