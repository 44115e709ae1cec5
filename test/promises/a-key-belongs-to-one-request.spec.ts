import type { Api } from '../support/api.js';
import type { Customer } from '../support/database.js';
import { call } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { fingerprintOfPaySam, isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

describe('a key belongs to one request', () => {
  const scene = setUpScene();
  let api: Api;
  let carol: Customer;

  /** What nobody may learn who only guessed the key. */
  const first = { from: 'carol', amount: 4_711, reference: 'the rent of Mill Lane' };

  beforeAll(async () => {
    api = await scene.boot();
    carol = await scene.database.addCustomer({ name: 'carol', balance: 100_000 });
    await scene.database.addCustomer({ name: 'dave' });
    await scene.sql("INSERT INTO accounts (id, customer_id, currency) VALUES ('carol-2', $1, 'GBP')", [
      carol.id,
    ]);
  });

  const readKey = (key: string) =>
    call(`${api.url}/operations/${key}`, { apiKey: carol.apiKey }).then(() =>
      scene.sql('SELECT * FROM idempotency_keys WHERE key = $1 AND customer_id = $2', [key, carol.id]),
    );

  it.each([
    ['another amount', { amount: 200 }, ['amount']],
    ['another payee', { to: 'dave' }, ['to']],
    ['another payer', { from: 'carol-2' }, ['from']],
    ['another reference', { reference: 'The rent of Mill Lane' }, ['reference']],
    ['no reference', { reference: null }, ['reference']],
    ['another currency', { currency: 'EUR' }, ['currency']],
    ['much else', { to: 'dave', amount: 1, reference: 'x' }, ['amount', 'reference', 'to']],
    ['a payee that nobody knows', { to: 'nobody' }, ['to']],
    ['more than may be paid', { amount: 100_000_001 }, ['amount']],
  ])(
    'so %s is refused by name, never by value, and what was stored stays (F73)',
    async (what, change, differsIn) => {
      const key = what.replaceAll(' ', '-');
      const paid = await scene.pay(api, key, first, carol);
      const stored = (await readKey(key))[0];
      const before = await countRows(scene.sql);

      const refused = await scene.pay(api, key, { ...first, ...change }, carol);
      expect([refused.status, refused.json]).toMatchObject([
        409,
        {
          code: 'collision_detected',
          type: '/problems/collision_detected',
          differs_in: differsIn,
          retryable: false,
        },
      ]);
      expect(refused.headers.get('idempotency-status')).toBe('collision_detected');
      expect(refused.headers.get('should-retry')).toBe('false');
      expect(refused.headers.get('retry-after')).toBeNull();
      expect(refused.headers.get('idempotent-replayed')).toBeNull();
      expect(refused.text).not.toMatch(/4711|Mill|sam|carol/);

      expect(await readKey(key)).toEqual([
        { ...stored, duplicates: 1, last_duplicate_at: expect.any(Date) as Date },
      ]);
      expect(await countRows(scene.sql)).toEqual(before);
      const repeat = await scene.pay(api, key, first, carol);
      expect([isReplay(repeat), repeat.text]).toEqual([true, paid.text]);
    },
  );

  it('and a decline keeps its key just as well', async () => {
    const declined = await scene.pay(api, 'declined', { from: 'carol-2' }, carol);
    const smaller = await scene.pay(api, 'declined', { from: 'carol-2', amount: 1 }, carol);
    expect([declined.status, smaller.status, smaller.json?.code]).toEqual([402, 409, 'collision_detected']);
    expect((await scene.pay(api, 'declined', { from: 'carol-2' }, carol)).text).toBe(declined.text);
  });

  it('also where the caller leaves out which account pays, and has none in the other currency', async () => {
    await scene.pay(api, 'no-from');
    const refused = await scene.pay(api, 'no-from', { currency: 'EUR' });
    expect([refused.status, refused.json?.code]).toEqual([409, 'collision_detected']);
    expect(refused.json?.differs_in).toContain('currency');
  });

  it('while that request is still running, too', async () => {
    await scene.database.insertKeyRow({
      customerId: scene.alice.id,
      key: 'running',
      params: { amount: 100, currency: 'GBP', from: 'alice', rail: 'ledger', reference: null, to: 'sam' },
      fingerprintOf: fingerprintOfPaySam,
    });
    const before = await countRows(scene.sql);
    const refused = await scene.pay(api, 'running', { amount: 200 });
    expect([refused.status, refused.json]).toMatchObject([
      409,
      { code: 'collision_detected', differs_in: ['amount'] },
    ]);
    expect(await countRows(scene.sql)).toEqual(before);
  });

  it('and to one operation: a key that refunded does not pay', async () => {
    await scene.database.insertKeyRow({
      customerId: scene.alice.id,
      key: 'refund',
      operation: 'refund',
      params: { amount: 100 },
      answer: { status: 200, body: '{"object":"refund"}' },
    });
    const refused = await scene.pay(api, 'refund');
    expect([refused.status, refused.json]).toMatchObject([
      409,
      { code: 'collision_detected', differs_in: ['operation'] },
    ]);
  });

  describe('of one customer', () => {
    it('so another customer with the same key makes a payment of its own, and sees nothing of the first (S01)', async () => {
      const own = await scene.pay(api, 'theirs', { ...first, from: 'alice' });
      const before = await countRows(scene.sql);
      const operationOf = ({ apiKey }: Customer) => call(`${api.url}/operations/theirs`, { apiKey });
      expect((await operationOf(carol)).status).toBe(404);

      const other = await scene.pay(
        api,
        'theirs',
        { amount: 5 },
        await scene.database.addCustomer({ name: 'eve', balance: 10 }),
      );
      expect(isFirstAnswer(other)).toBe(true);
      expect(other.json).toMatchObject({ from: 'eve', amount: 5, reference: null });
      expect(other.text).not.toContain(own.json?.id);
      const after = await countRows(scene.sql);
      expect([after.keys - before.keys, after.payments - before.payments]).toEqual([1, 1]);

      expect((await operationOf(carol)).status).toBe(404);
      expect((await operationOf(scene.alice)).json).toMatchObject({
        duplicates: 0,
        response: { body: own.text },
      });
      expect((await scene.pay(api, 'theirs', { ...first, from: 'alice' })).text).toBe(own.text);
    });
  });
});
