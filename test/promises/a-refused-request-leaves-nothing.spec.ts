import type { Api } from '../support/api.js';
import { watchEngine } from '../support/engine-events.js';
import { inOneBatch } from '../support/foreign-lock.js';
import { call, together } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

describe('a refused request leaves nothing', () => {
  const scene = setUpScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot();
    await scene.database.addCustomer({ name: 'bob', balance: 50 });
    await scene.database.addCustomer({ name: 'emma', balance: 50, currency: 'EUR' });
  });

  const allRows = () =>
    scene.sql(`
      SELECT (SELECT jsonb_agg(to_jsonb(k) ORDER BY key) FROM idempotency_keys AS k) AS keys,
             (SELECT jsonb_agg(to_jsonb(p) ORDER BY id) FROM payments AS p) AS payments,
             (SELECT jsonb_agg(to_jsonb(t) ORDER BY id) FROM transfers AS t) AS transfers,
             (SELECT jsonb_agg(to_jsonb(a) ORDER BY id) FROM accounts AS a) AS accounts`);

  it.each([
    ['to a payee that nobody knows', { to: 'nobody' }, 422, 'unknown_payee'],
    ['to the payer himself', { to: 'alice' }, 422, 'unknown_payee'],
    ['to the world outside the books', { to: 'bank:GBP' }, 422, 'unknown_payee'],
    ['from somebody else’s account (S40)', { from: 'bob' }, 404, 'not_found'],
    ['from an account that is not there', { from: 'nobody' }, 404, 'not_found'],
    ['in a currency that the payer has no account in', { currency: 'EUR' }, 422, 'currency_mismatch'],
    [
      'in a currency that the payer’s account does not hold',
      { currency: 'EUR', from: 'alice', to: 'emma' },
      422,
      'currency_mismatch',
    ],
    ['to a payee with another currency', { to: 'emma' }, 422, 'currency_mismatch'],
    ['above the limit', { amount: 100_000_001 }, 422, 'amount_above_limit'],
    ['with an amount of nothing', { amount: 0 }, 400, 'invalid_request'],
  ])('%s: the key may be used again, once the mistake is corrected', async (what, mistake, status, code) => {
    const key = what.replaceAll(/[^a-z]/g, '-');
    const before = await allRows();
    for (let times = 0; times < 2; times += 1) {
      const refused = await scene.pay(api, key, mistake);
      expect([refused.status, refused.json]).toMatchObject([status, { code, retryable: false }]);
      expect(refused.headers.get('should-retry')).toBe('false');
      expect(refused.headers.get('idempotent-replayed')).toBeNull();
    }
    expect(await allRows()).toEqual(before);
    const operation = await call(`${api.url}/operations/${key}`, { apiKey: scene.alice.apiKey });
    expect(operation.status).toBe(404);

    expect(isFirstAnswer(await scene.pay(api, key))).toBe(true);
  });

  it('and does not tell whether somebody else’s account exists (S40)', async () => {
    const [others, nobodys] = [
      await scene.pay(api, 'whose', { from: 'bob' }),
      await scene.pay(api, 'whose', { from: 'nobody' }),
    ];
    expect([others.status, others.text]).toEqual([nobodys.status, nobodys.text]);
  });

  it('nor do 100 equal ones together, and all are told the same', async () => {
    const before = await allRows();
    const answers = await together(100, () => scene.pay(api, 'herd', { to: 'nobody' }));
    expect(new Set(answers.map(answer => answer.status))).toEqual(new Set([422]));
    expect(new Set(answers.map(answer => answer.text)).size).toBe(1);
    expect(await allRows()).toEqual(before);
    expect(isFirstAnswer(await scene.pay(api, 'herd'))).toBe(true);
  });

  it('nor do refused ones that share a transaction with paid and declined ones', async () => {
    const engine = watchEngine();
    const before = await countRows(scene.sql);
    const { url } = scene.database;
    const bodies = [{}, { to: 'nobody' }, { amount: 99_000_000 }];
    const answers = await inOneBatch({ url, sql: scene.sql }, 61, index =>
      scene.pay(api, `mixed-${index}`, bodies[index % 3]),
    );
    engine.stop();

    expect(engine.largestBatch('committed')).toBe(60);
    expect(answers.map(answer => answer.status)).toEqual(
      answers.map((_, index) => [200, 422, 402][index % 3]),
    );
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 41, payments: 41, transfers: 21 });
    const leftOvers = await scene.sql(
      `SELECT key FROM idempotency_keys WHERE key LIKE 'mixed-%' AND split_part(key, '-', 2)::int % 3 = 1`,
    );
    expect(leftOvers).toEqual([]);
  });

  it('nor does it stand in the way of a valid one with its key, however they meet', async () => {
    const before = await countRows(scene.sql);
    const answers = await together(40, index =>
      scene.pay(api, 'both', index % 2 ? {} : { to: `nobody-${index % 4}` }),
    );
    const valid = answers.filter((_, index) => index % 2);
    const mistaken = answers.filter((_, index) => index % 2 === 0);
    expect(valid.filter(isFirstAnswer)).toHaveLength(1);
    expect(valid.filter(isReplay)).toHaveLength(19);
    // Before the valid one a mistake is refused for what it is, after it for its key.
    for (const { status, json } of mistaken) {
      expect([
        [422, 'unknown_payee'],
        [409, 'collision_detected'],
      ]).toContainEqual([status, json?.code]);
    }
    const after = await countRows(scene.sql);
    expect([after.keys - before.keys, after.payments - before.payments]).toEqual([1, 1]);
  });
});
