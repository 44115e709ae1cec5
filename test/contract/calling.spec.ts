import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createDataSource } from '../../src/data-source.js';
import { demoKeys, seedDemo } from '../../start/seed.js';
import { fingerprintOfOrder, orderToSam, patient, quick } from '../promises/bank-scene.js';
import { bootApi, type Api } from '../support/api.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Database } from '../support/database.js';
import { call, type Answer } from '../support/http.js';
import { checkMoney } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';

/** Who is calling, with the customers and keys that the docs promise, put there as the quick start does. */
describe('the demo', () => {
  let database: Database;
  let bank: BankProcess;
  let api: Api;

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), startBank()]);
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    await dataSource.transaction(seedDemo);
    await dataSource.destroy();
    api = await bootApi(database.url, { ...quick, ...patient, ...bank.env });
  });
  afterEach(async () => {
    await expectNoLeaks(database.sql);
    expect(await checkMoney(database.sql)).toEqual([]);
  });
  afterAll(async () => {
    await api.stop();
    await bank.stop();
    await database.drop();
  });

  const pay = (apiKey: string, body: object, headers: Record<string, string> = {}) =>
    call(`${api.url}/payments`, { apiKey, body, headers: { 'idempotency-key': randomUUID(), ...headers } });
  const accountsOf = async (apiKey: string) => {
    const { json } = await call(`${api.url}/accounts`, { apiKey });
    return (json?.data as { id: string; currency: string; balance: { available: number } }[]).map(
      ({ id, currency, balance }) => `${id} ${currency} ${balance.available}`,
    );
  };

  it('the demo has the keys, the scopes and the balances of the docs', async () => {
    const docs = readFileSync('docs/contract.md', 'utf8');
    for (const [apiKey, account] of [
      ['sk_demo_alice', 'alice GBP 1000000'],
      ['sk_demo_bob', 'bob GBP 5000'],
      ['sk_demo_sam', 'sam GBP 0'],
      ['sk_demo_legacy', 'legacy GBP 100000'],
      ['sk_demo_readonly', 'alice GBP 1000000'],
    ] as const) {
      expect(docs).toContain(`\`${apiKey}\``);
      expect([apiKey, await accountsOf(apiKey)]).toEqual([apiKey, [account]]);
    }
    expect(demoKeys).toHaveLength(5);
    const order = { to: 'sam', amount: 1, currency: 'GBP' };
    const codeOf = ({ status, json }: Answer) => `${status} ${String(json?.code)}`;
    expect(codeOf(await pay('sk_demo_readonly', order))).toBe('403 forbidden');
    // Only legacy may do without a key.
    const without = (apiKey: string) => call(`${api.url}/payments`, { apiKey, body: order });
    expect(codeOf(await without('sk_demo_alice'))).toBe('400 idempotency_key_missing');
    const keyless = await without('sk_demo_legacy');
    expect([keyless.status, keyless.headers.get('idempotency-key')?.slice(0, 3)]).toEqual([200, 'fp_']);
  });

  it('of an API key only its SHA-256 is stored', async () => {
    const rows = await database.sql<{ hash: Buffer; row: string }>(
      'SELECT hash, api_keys::text AS row FROM api_keys',
    );
    const expected = demoKeys.map(({ key }) => createHash('sha256').update(key).digest('hex'));
    expect(rows.map(({ hash }) => hash.toString('hex')).sort()).toEqual(expected.sort());
    for (const { row } of rows) expect(row).not.toContain('sk_demo');
  });

  it('on rail ledger the test payees are accounts like any other, and bob cannot pay £100', async () => {
    for (const to of ['sam', 'dee', 'tim', 'nia', 'flo', 'rex']) {
      const { status, json } = await pay('sk_demo_alice', { to, amount: 1, currency: 'GBP' });
      expect([to, status, json?.status]).toEqual([to, 200, 'succeeded']);
    }
    const declined = await pay('sk_demo_bob', { to: 'sam', amount: 10_000, currency: 'GBP' });
    expect([declined.status, declined.json?.code]).toEqual([402, 'insufficient_funds']);
  });

  it('the fingerprint is stored with the key at the claim, before anything has come of it', async () => {
    const key = randomUUID();
    const { id } = (await bank.control('POST', '/barriers', { at: 'before' })) as { id: string };
    const headers = { 'idempotency-key': key, prefer: 'respond-async' };
    expect((await pay('sk_demo_alice', orderToSam, headers)).status).toBe(202);
    const [row] = await database.sql<{ fingerprint: Buffer; recovery_point: string }>(
      'SELECT fingerprint, recovery_point FROM idempotency_keys WHERE key = $1',
      [key],
    );
    expect(row?.recovery_point).toBe('funds_reserved');
    expect(row?.fingerprint.toString('hex')).toBe(
      createHash('sha256').update(fingerprintOfOrder).digest('hex'),
    );
    await bank.control('DELETE', `/barriers/${id}`);
    const end = await pay('sk_demo_alice', orderToSam, { 'idempotency-key': key, prefer: 'wait=20' });
    expect(end.status).toBe(200);
  });

  it('a stored answer has 64 KiB at most: the database says so too', async () => {
    const [alice] = await database.sql<{ id: string }>("SELECT id FROM customers WHERE name = 'alice'");
    const store = (bytes: number) =>
      database.insertKeyRow({
        customerId: alice?.id ?? '',
        key: randomUUID(),
        answer: { status: 200, body: 'x'.repeat(bytes) },
      });
    await store(64 * 1024);
    await expect(store(64 * 1024 + 1)).rejects.toThrow('response_body');
  });
});
