import type { Api } from '../support/api.js';
import { watchEngine } from '../support/engine-events.js';
import { inOneBatch } from '../support/foreign-lock.js';
import type { Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { PostgresProxy } from '../support/postgres-proxy.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

/**
 * The connection is lost around COMMIT: the server has it and its answer is lost, or it never arrived. Both
 * look the same from here. What was lost is the proxy's to say: it sits between the API and its database.
 */
describe('a lost COMMIT is not a lost payment', () => {
  const scene = setUpScene();
  let proxy: PostgresProxy;
  let api: Api;

  beforeAll(async () => {
    proxy = await PostgresProxy.start(scene.database.url);
    api = await scene.boot({}, proxy.url);
  });
  beforeEach(() => {
    proxy.cuts = 0;
  });
  afterEach(() => proxy.heal());
  afterAll(() => {
    proxy.stop();
  });

  /** Other transactions write as well: repeats are counted. */
  const pays = (statements: string[]) => statements.some(each => /insert into payments/i.test(each));

  const sides = [
    ['before it reached the server (F30)', 'before'],
    ['after the server had done it (F31)', 'after'],
  ] as const;

  it.each(sides)('%s: the caller gets a first answer, and Sam one payment', async (_, side) => {
    const engine = watchEngine();
    const before = await countRows(scene.sql);
    proxy.cutCommit(side, { which: pays });
    const answer = await scene.pay(api, side);
    engine.stop();

    expect([proxy.cuts, engine.at('batch_repeated').length]).toEqual([1, 1]);
    expect([answer.status, isFirstAnswer(answer)]).toEqual([200, true]);
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
    const repeat = await scene.pay(api, side);
    expect([isReplay(repeat), repeat.text]).toEqual([true, answer.text]);
  });

  it.each(sides)('%s: neither is it for any of 50 that shared it (F108)', async (_, side) => {
    const engine = watchEngine();
    const before = await countRows(scene.sql);
    proxy.cutCommit(side, { nth: 2, which: pays });
    const { url } = scene.database;
    const answers = await inOneBatch({ url, sql: scene.sql }, 51, index =>
      scene.pay(api, `${side}-${index}`, { reference: `number ${index}` }),
    );
    engine.stop();

    expect([proxy.cuts, engine.largestBatch('batch_repeated')]).toEqual([1, 50]);
    expect(answers.every(isFirstAnswer)).toBe(true);
    expect(answers.map(answer => answer.json?.reference)).toEqual(
      answers.map((_, index) => `number ${index}`),
    );
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 51, payments: 51, transfers: 51 });
  });

  it.each(sides)('%s: repeats, declines and refusals that shared it end as ever', async (_, side) => {
    const before = await countRows(scene.sql);
    proxy.cutCommit(side, { nth: 2, which: pays });
    const { url } = scene.database;
    const [, ...answers] = await inOneBatch({ url, sql: scene.sql }, 51, index => {
      const key = `${side}-mixed-${Math.floor((index - 1) / 5)}`;
      // The first five share a key, the next five another, and so on.
      const bodies = [{}, {}, { amount: 99_000_000 }, { amount: 99_000_000 }, { to: 'nobody' }];
      return scene.pay(api, index === 0 ? `${side}-alone` : key, bodies[Math.floor((index - 1) / 10)]);
    });

    expect(proxy.cuts).toBe(1);
    const groups = Array.from({ length: 10 }, (_, group) => answers.slice(5 * group, 5 * group + 5));
    for (const [group, equal] of groups.entries()) {
      expect(new Set(equal.map(answer => answer.text)).size).toBe(1);
      expect(equal[0]?.status).toBe(group < 4 ? 200 : group < 8 ? 402 : 422);
      expect(equal.filter(isFirstAnswer)).toHaveLength(group < 8 ? 1 : 0);
    }
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 9, payments: 9, transfers: 5 });
  });

  it.each(sides)('%s: nor for another instance that has the key in hand as well', async (_, side) => {
    const other = await scene.boot();
    const before = await countRows(scene.sql);
    proxy.cutCommit(side, { which: pays });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => scene.pay(index % 2 ? api : other, `${side}-race`)),
    );
    expect(new Set(answers.map(answer => answer.text)).size).toBe(1);
    expect(answers.filter(isFirstAnswer)).toHaveLength(1);
    expect(answers.filter(isReplay)).toHaveLength(19);
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
  });

  it('nor is it for those who shared it with a late repeat, whose rebuilt answer was lost', async () => {
    const { text } = await scene.pay(api, 'late');
    await scene.sql("DELETE FROM idempotency_keys WHERE key = 'late'");
    const before = await countRows(scene.sql);
    // The answer of a reaped key is read in a transaction of its own: the one that reads payments by their keys.
    const byKey = /from payments as p[^]*using \(customer_id, idempotency_key\)/i;
    const rebuilds = (statements: string[]) => statements.some(each => byKey.test(each));
    proxy.cutCommit('before', { which: rebuilds });
    const { url } = scene.database;
    const answers = await inOneBatch({ url, sql: scene.sql }, 41, index =>
      scene.pay(api, index === 30 ? 'late' : `punctual-${index}`),
    );

    expect(proxy.cuts).toBe(1);
    const [late] = answers.splice(30, 1);
    expect(answers.map(answer => answer.status)).toEqual(Array<number>(40).fill(200));
    expect(answers.every(isFirstAnswer)).toBe(true);
    expectReplayOrLater(late);
    expect((await scene.pay(api, 'late')).text).toBe(text);
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 40, payments: 40, transfers: 40 });
  });

  describe('and a connection reset at any message (F29)', () => {
    /** Tries with the connection reset at message 1, 2, 3 … until there is none left to reset. */
    async function atEachMessage(attempt: (n: number) => Promise<void>): Promise<number> {
      for (let n = 1; n < 200; n += 1) {
        const { cuts } = proxy;
        proxy.resetAtMessage(n);
        await attempt(n);
        await proxy.heal();
        if (proxy.cuts === cuts) return n - 1;
      }
      throw new Error('no end of messages');
    }

    it('costs no first caller the answer', async () => {
      const before = await countRows(scene.sql);
      const messages = await atEachMessage(async n => {
        expect([n, isFirstAnswer(await scene.pay(api, `reset-${n}`))]).toEqual([n, true]);
      });
      expect(messages).toBeGreaterThan(20);
      const paid = messages + 1;
      expect(await countNewRows(scene.sql, before)).toEqual({ keys: paid, payments: paid, transfers: paid });
    });

    it('costs no repeat its replay', async () => {
      const other = await scene.boot();
      const messages = await atEachMessage(async n => {
        const { text } = await scene.pay(other, `repeat-${n}`);
        const repeat = await scene.pay(api, `repeat-${n}`);
        expect([n, isReplay(repeat), repeat.text]).toEqual([n, true, text]);
      });
      expect(messages).toBeGreaterThan(10);
    });

    it('costs no late repeat its rebuilt answer, though it may have to ask twice', async () => {
      const other = await scene.boot();
      const messages = await atEachMessage(async n => {
        const { text } = await scene.pay(other, `late-${n}`);
        await scene.sql('DELETE FROM idempotency_keys WHERE key = $1', [`late-${n}`]);
        const late = await scene.pay(api, `late-${n}`);
        expectReplayOrLater(late);
        const again = late.status === 200 ? late : await scene.pay(api, `late-${n}`);
        expect([n, isReplay(again), again.text]).toEqual([n, true, text]);
      });
      expect(messages).toBeGreaterThan(20);
    });
  });
});

function expectReplayOrLater(answer: Answer | undefined): void {
  expect([
    ['already_completed', undefined],
    [null, 'unavailable'],
  ]).toContainEqual([answer?.headers.get('idempotency-status'), answer?.json?.code]);
}
