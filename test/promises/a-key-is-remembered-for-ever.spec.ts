import { execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Api } from '../support/api.js';
import type { Customer } from '../support/database.js';
import { inOneBatch } from '../support/foreign-lock.js';
import { together } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

describe('a key is remembered for ever, also after its stored answer has expired (F77)', () => {
  const scene = setUpScene();
  let apis: Api[];
  let api: Api;
  let bob: Customer;

  beforeAll(async () => {
    apis = [await scene.boot(), await scene.boot()];
    api = apis[0] as Api;
    bob = await scene.database.addCustomer({ name: 'bob', balance: 50 });
  });

  /** What the reaper does, once the time of `Idempotency-Expires` is over. */
  const reap = async (key: string) => {
    const gone = await scene.sql('DELETE FROM idempotency_keys WHERE key = $1 RETURNING key', [key]);
    expect(gone).toEqual([{ key }]);
  };
  const reference = 'für Sam – “£1” 🎂 \\ "\u2028';

  it.each([
    ['paid', 200],
    ['declined', 402],
  ])('a late repeat gets the first answer, byte for byte (%s)', async (key, status) => {
    const payer = status === 200 ? scene.alice : bob;
    const first = await scene.pay(api, key, { reference }, payer);
    expect([first.status, isFirstAnswer(first)]).toEqual([status, true]);
    await reap(key);
    const reaped = await countRows(scene.sql);

    for (const at of [...apis, api]) {
      const late = await scene.pay(at, key, { reference }, payer);
      expect([late.status, late.text]).toEqual([first.status, first.text]);
      expect(isReplay(late)).toBe(true);
      expect(late.headers.get('content-type')).toBe(first.headers.get('content-type'));
      expect(late.headers.get('idempotency-expires')).toBe(first.headers.get('idempotency-expires'));
      const payment = (first.json?.payment ?? first.json) as { completed_at: string };
      expect(late.headers.get('idempotency-original-date')).toBe(payment.completed_at);
    }
    expect(await countRows(scene.sql)).toEqual(reaped);
  });

  it('also when the payment has been refunded since', async () => {
    const first = await scene.pay(api, 'refunded');
    await reap('refunded');
    await scene.sql("UPDATE payments SET refunded = 40 WHERE idempotency_key = 'refunded'");
    expect((await scene.pay(api, 'refunded')).text).toBe(first.text);
  });

  it.each([
    ['another amount', { amount: 200 }, ['amount']],
    ['another payee and reference', { to: 'bob', reference: 'x' }, ['reference', 'to']],
    ['more than she has', { amount: 99_000_000 }, ['amount']],
    ['a payee that nobody knows', { to: 'nobody' }, ['to']],
    ['her own account', { to: 'alice' }, ['to']],
    ['more than may be paid', { amount: 100_000_001 }, ['amount']],
  ])('another request still meets a collision (%s)', async (what, change, differsIn) => {
    const key = what.replaceAll(' ', '-');
    const first = await scene.pay(api, key);
    await reap(key);
    const reaped = await countRows(scene.sql);

    const refused = await scene.pay(api, key, change);
    expect([refused.status, refused.json]).toMatchObject([
      409,
      { code: 'collision_detected', differs_in: differsIn },
    ]);
    expect(await countRows(scene.sql)).toEqual(reaped);
    expect((await scene.pay(api, key)).text).toBe(first.text);
  });

  it('100 late repeats at two instances pay nothing and agree', async () => {
    const first = await scene.pay(api, 'herd');
    await reap('herd');
    const reaped = await countRows(scene.sql);
    const answers = await together(100, index => scene.pay(apis[index % 2] as Api, 'herd'));
    expect(new Set(answers.map(answer => answer.text))).toEqual(new Set([first.text]));
    expect(answers.every(isReplay)).toBe(true);
    expect(await countRows(scene.sql)).toEqual(reaped);
  });

  it('a late repeat disturbs nobody who shares its transaction', async () => {
    const first = await scene.pay(api, 'late-1');
    await scene.pay(api, 'late-2');
    await reap('late-1');
    await reap('late-2');
    const before = await countRows(scene.sql);
    const { url } = scene.database;
    const answers = await inOneBatch({ url, sql: scene.sql }, 40, index => {
      if (index === 17) return scene.pay(api, 'late-1');
      if (index === 33) return scene.pay(api, 'late-2', { amount: 7 });
      return scene.pay(api, `punctual-${index}`);
    });

    expect([answers[17]?.text, answers[33]?.json?.code]).toEqual([first.text, 'collision_detected']);
    expect(answers.filter(isFirstAnswer)).toHaveLength(38);
    const after = await countRows(scene.sql);
    expect([after.keys - before.keys, after.payments - before.payments]).toEqual([38, 38]);
  });

  it('also when the answer expires at the very moment of the repeat (F110)', async () => {
    const first = await scene.pay(api, 'this-moment');
    // The engine says that the key was taken, and waits until another process has deleted the row.
    const reapMeanwhile = (event: unknown) => {
      if ((event as { point: string }).point !== 'keys_claimed') return;
      unsubscribe('paysam.engine', reapMeanwhile);
      execFileSync(process.execPath, ['--input-type=module', '--eval', reaper, scene.database.url]);
    };
    subscribe('paysam.engine', reapMeanwhile);

    const repeat = await scene.pay(api, 'this-moment');
    expect([isReplay(repeat), repeat.text]).toEqual([true, first.text]);
    expect(await scene.sql("SELECT key FROM idempotency_keys WHERE key = 'this-moment'")).toEqual([]);
  });
});

const reaper = `
  import pg from 'pg';
  const client = new pg.Client({ connectionString: process.argv[1] });
  await client.connect();
  await client.query("DELETE FROM idempotency_keys WHERE key = 'this-moment'");
  await client.end();`;
