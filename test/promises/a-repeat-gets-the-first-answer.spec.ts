import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from '../support/api.js';
import { watchEngine } from '../support/engine-events.js';
import { call, type Answer } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';
import type { Customer } from '../support/database.js';

describe('a repeat gets the first answer', () => {
  const scene = setUpScene();
  let api: Api;
  let bob: Customer;

  beforeAll(async () => {
    api = await scene.boot({ DUPLICATES_FLUSH_MS: '20' });
    bob = await scene.database.addCustomer({ name: 'bob', balance: 50 });
  });

  const payer = (name: string) => (name === 'bob' ? bob : scene.alice);

  /** The same request as `{"to":"sam","amount":100,"currency":"GBP"}` (F75). */
  const sameRequests: Record<string, (name: string) => string> = {
    'with its members in another order': () => '{"currency":"GBP","amount":100,"to":"sam"}',
    'with other white space': () => '\r\n{ "to" :"sam",\n\t"amount": 100, "currency":"GBP" }  ',
    'with letters as \\u escapes': () => '{"t\\u006f":"\\u0073am","amount":100,"currency":"\\u0047BP"}',
    'with 100.0 for 100': () => '{"to":"sam","amount":100.0,"currency":"GBP"}',
    'with 1e2 for 100': () => '{"to":"sam","amount":1e2,"currency":"GBP"}',
    'with the account to pay from': name => `{"to":"sam","amount":100,"currency":"GBP","from":"${name}"}`,
    'with the rail spelled out': () => '{"to":"sam","amount":100,"currency":"GBP","rail":"ledger"}',
    'with a reference of null': () => '{"to":"sam","amount":100,"currency":"GBP","reference":null}',
    'with another time of the caller': () =>
      '{"to":"sam","amount":100,"currency":"GBP","client_timestamp":"2026-01-01T00:00:00Z"}',
  };

  describe.each([
    ['a payment', 'alice', 200],
    ['a decline', 'bob', 402],
  ])('of %s', (_, name, status) => {
    let first: Answer;

    beforeAll(async () => {
      first = await scene.pay(api, 'first', { client_timestamp: '2025-12-31T23:59:59Z' }, payer(name));
    });

    it.each(Object.keys(sameRequests))('%s', async spelling => {
      const before = await countRows(scene.sql);
      const repeat = await scene.pay(api, 'first', sameRequests[spelling]?.(name), payer(name));
      expectReplayOf(first, repeat);
      expect(await countRows(scene.sql)).toEqual(before);
    });

    it('whether the key is quoted or bare', async () => {
      for (const spelling of ['"first"', 'first', '  first  ', ' "first" ']) {
        const repeat = await call(`${api.url}/payments`, {
          apiKey: payer(name).apiKey,
          headers: { 'idempotency-key': spelling },
          body: { to: 'sam', amount: 100, currency: 'GBP' },
        });
        expectReplayOf(first, repeat);
      }
    });

    it('from the database, from memory, at another instance and after a restart', async () => {
      const { text } = await scene.pay(api, 'everywhere', {}, payer(name));
      const engine = watchEngine();
      const transactionsOf = async (at: Api) => {
        const before = engine.at('committed').length;
        const repeat = await scene.pay(at, 'everywhere', {}, payer(name));
        expect([isReplay(repeat), repeat.text]).toEqual([true, text]);
        return engine.at('committed').length - before;
      };

      const other = await scene.boot();
      expect([await transactionsOf(api), await transactionsOf(api)]).toEqual([1, 0]);
      expect([await transactionsOf(other), await transactionsOf(other)]).toEqual([1, 0]);
      await other.stop();
      expect(await transactionsOf(await scene.boot())).toBe(1);
      engine.stop();
    });

    it('with headers that tell the first answer from a repeat', async () => {
      const fresh = await scene.pay(api, 'headers', {}, payer(name));
      const repeat = await scene.pay(api, 'headers', {}, payer(name));
      const [row] = await scene.sql<{ finished: Date; expires: Date }>(
        'SELECT finished_at AS finished, expires_at AS expires FROM idempotency_keys WHERE key = $1 AND customer_id = $2',
        ['headers', payer(name).id],
      );

      const always = {
        'idempotency-key': 'headers',
        'idempotency-expires': row?.expires.toISOString(),
        'content-type': `application/${status === 200 ? '' : 'problem+'}json; charset=utf-8`,
        'should-retry': status === 200 ? null : 'false',
      };
      expect([fresh.status, headersOf(fresh)]).toEqual([
        status,
        {
          ...always,
          'idempotency-status': 'completed',
          'idempotent-replayed': null,
          'idempotency-original-date': null,
        },
      ]);
      expect([repeat.status, headersOf(repeat)]).toEqual([
        status,
        {
          ...always,
          'idempotency-status': 'already_completed',
          'idempotent-replayed': 'true',
          'idempotency-original-date': row?.finished.toISOString(),
        },
      ]);
      // Which request it was is not what the answer was.
      expect(repeat.headers.get('request-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(repeat.headers.get('request-id')).not.toBe(fresh.headers.get('request-id'));
    });
  });

  it('declined again, after money has come in: a new key is for a new try', async () => {
    const poor = await scene.database.addCustomer({ name: 'poor' });
    const first = await scene.pay(api, 'too-early', {}, poor);
    expect([first.status, first.json]).toMatchObject([
      402,
      { code: 'insufficient_funds', payment: { status: 'declined', amount: 100 } },
    ]);

    expect((await scene.pay(api, 'help', { to: 'poor', amount: 500 })).status).toBe(200);
    expectReplayOf(first, await scene.pay(api, 'too-early', {}, poor));
    expect(isFirstAnswer(await scene.pay(api, 'again', {}, poor))).toBe(true);
    expect(await paymentsOf(poor)).toEqual(['declined', 'succeeded']);
  });

  it('whatever accounts the caller has opened since', async () => {
    const carol = await scene.database.addCustomer({ name: 'carol', balance: 500 });
    const first = await scene.pay(api, 'only-account', {}, carol);
    await scene.sql("INSERT INTO accounts (id, customer_id, currency) VALUES ('carol-2', $1, 'GBP')", [
      carol.id,
    ]);

    expectReplayOf(first, await scene.pay(api, 'only-account', {}, carol));
    expect(await paymentsOf(carol)).toEqual(['succeeded']);
  });

  it('and is counted, whichever instance it came to', async () => {
    const other = await scene.boot({ DUPLICATES_FLUSH_MS: '20' });
    const first = await scene.pay(api, 'counted');
    const operation = async () =>
      (await call(`${api.url}/operations/counted`, { apiKey: scene.alice.apiKey })).json ?? {};

    const once = await operation();
    expect(once).toMatchObject({
      key: 'counted',
      object: 'operation',
      operation: 'payment',
      state: 'completed',
      recovery_point: 'finished',
      attempts: 1,
      duplicates: 0,
      retry_after: null,
      request: { from: 'alice', to: 'sam', amount: 100, currency: 'GBP', rail: 'ledger', reference: null },
      response: { status: 200, body: first.text },
    });
    expect(once.last_seen_at).toBe(once.first_seen_at);
    expect(once.expires_at).toBe(first.headers.get('idempotency-expires'));

    for (const at of [api, api, other, other, other]) expectReplayOf(first, await scene.pay(at, 'counted'));
    for (let looks = 0; looks < 50 && (await operation()).duplicates !== 5; looks += 1) await sleep(20);
    const often = await operation();
    expect(often).toEqual({ ...once, duplicates: 5, last_seen_at: often.last_seen_at });
    expect(Date.parse(String(often.last_seen_at))).toBeGreaterThan(Date.parse(String(once.last_seen_at)));
  });

  const paymentsOf = async ({ id }: Customer) =>
    (
      await scene.sql<{ status: string }>('SELECT status FROM payments WHERE customer_id = $1 ORDER BY id', [
        id,
      ])
    ).map(({ status }) => status);
});

function expectReplayOf(first: Answer, repeat: Answer): void {
  expect(isFirstAnswer(first)).toBe(true);
  expect([repeat.status, repeat.text]).toEqual([first.status, first.text]);
  expect(isReplay(repeat)).toBe(true);
}

function headersOf({ headers }: Answer) {
  const names = [
    'idempotency-key',
    'idempotency-expires',
    'idempotency-status',
    'idempotent-replayed',
    'idempotency-original-date',
    'content-type',
    'should-retry',
  ];
  return Object.fromEntries(names.map(name => [name, headers.get(name)]));
}
