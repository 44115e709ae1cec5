import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from '../support/api.js';
import { watchEngine } from '../support/engine-events.js';
import { lockAccounts, untilWaiting } from '../support/foreign-lock.js';
import { together } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

/** What fails through nobody's fault is repeated as a whole: claim, decision and record. */
describe('a busy database only delays a payment', () => {
  const scene = setUpScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot();
  });

  it('in a deadlock with somebody who locks accounts in another order (F41)', async () => {
    const engine = watchEngine();
    const sam = await lockAccounts(scene.database.url, 'sam');
    const answers = together(5, index => scene.pay(api, `deadlock-${index}`));
    await untilWaiting(scene.sql);
    // The payment holds alice and waits for sam; now whoever holds sam waits for alice. One has to give way.
    await sam.sql("SELECT FROM accounts WHERE id = 'alice' FOR UPDATE");
    await sam.release();

    expect((await answers).every(isFirstAnswer)).toBe(true);
    engine.stop();
    expect(engine.repeatedBecauseOf()).toEqual(['40P01']);
  });

  describe('when somebody holds an account for longer than a payment waits', () => {
    it.each([
      ['for a lock (F38)', '55P03', { LOCK_TIMEOUT_MS: '100' }],
      ['for a statement (F37)', '57014', { STATEMENT_TIMEOUT_MS: '100', LOCK_TIMEOUT_MS: '5000' }],
    ])('%s: it is paid as soon as they let go', async (_, code, patience) => {
      const impatient = await scene.boot(patience);
      const engine = watchEngine();
      const lock = await lockAccounts(scene.database.url, 'sam');
      const answers = together(5, index => scene.pay(impatient, `${code}-${index}`));
      await untilWaiting(scene.sql);
      await sleep(250);
      await lock.release();

      expect((await answers).every(isFirstAnswer)).toBe(true);
      engine.stop();
      expect(new Set(engine.repeatedBecauseOf())).toEqual(new Set([code]));
    });

    it('and never lets go: in bounded time the caller is told to come back, and the key is as it was', async () => {
      const impatient = await scene.boot({ LOCK_TIMEOUT_MS: '50', BATCH_REPEATS_MAX: '3' });
      const before = await countRows(scene.sql);
      const engine = watchEngine();
      const lock = await lockAccounts(scene.database.url, 'sam');
      const began = performance.now();
      const told = await scene.pay(impatient, 'never');
      engine.stop();

      // Four waits of 50 ms and three pauses of at most 20, 40 and 80 ms, and this machine's own pace.
      expect(performance.now() - began).toBeLessThan(2_000);
      expect(engine.repeatedBecauseOf()).toEqual(['55P03', '55P03', '55P03']);
      expectUnavailable(told);
      expect(await countRows(scene.sql)).toEqual(before);
      await lock.release();
      expect(isFirstAnswer(await scene.pay(impatient, 'never'))).toBe(true);
    });
  });

  it('when somebody else has the same key in hand, and does not finish (F38)', async () => {
    const impatient = await scene.boot({ LOCK_TIMEOUT_MS: '50' });
    const lock = await lockAccounts(scene.database.url, 'sam');
    const held = scene.pay(api, 'in-hand');
    await untilWaiting(scene.sql);
    const repeat = scene.pay(impatient, 'in-hand');
    await untilWaiting(scene.sql, 2);
    await sleep(200);
    await lock.release();

    expect([isFirstAnswer(await held), isReplay(await repeat)]).toEqual([true, true]);
    expect((await held).text).toBe((await repeat).text);
  });

  describe('whatever the server complains of, if it may pass', () => {
    /** The first payment after this is refused with `code` once; a sequence is not rolled back. */
    const complainOnce = async (code: string) => {
      await scene.sql(`
        CREATE SEQUENCE tries;
        CREATE FUNCTION complain_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('tries') = 1 THEN RAISE EXCEPTION 'not now' USING ERRCODE = TG_ARGV[0]; END IF;
          RETURN NEW;
        END $$`);
      // A code of five letters and digits, from the table below.
      await scene.sql(
        `CREATE TRIGGER complain BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION complain_once(` +
          `'${code}')`,
      );
    };
    afterEach(() =>
      scene.sql('DROP TRIGGER complain ON accounts; DROP FUNCTION complain_once; DROP SEQUENCE tries'),
    );

    it.each([
      ['40001', 'another transaction came first (F42)'],
      ['40P01', 'a deadlock'],
      ['55P03', 'a lock time-out'],
      ['57014', 'a statement time-out'],
      ['25006', 'a server that may not write'],
      ['53100', 'a full disk'],
      ['53200', 'no memory'],
      ['53300', 'too many connections'],
      ['57P01', 'a shutdown'],
      ['57P03', 'a start'],
      ['08006', 'a lost connection'],
    ])('%s, %s: everything is repeated, the payment is made once', async code => {
      const before = await countRows(scene.sql);
      await complainOnce(code);
      const engine = watchEngine();
      const answer = await scene.pay(api, `complaint-${code}`);
      engine.stop();
      expect(isFirstAnswer(answer)).toBe(true);
      expect(engine.repeatedBecauseOf()).toEqual([code]);
      expect(engine.at('boarding')).toHaveLength(2);
      const after = await countRows(scene.sql);
      expect([after.keys - before.keys, after.payments - before.payments]).toEqual([1, 1]);
    });

    it.each(['22003', '23514', '42501', 'P0001', 'XX000'])(
      '%s does not pass: it is told at once, and the key is as it was',
      async code => {
        const before = await countRows(scene.sql);
        await complainOnce(code);
        const engine = watchEngine();
        const answer = await scene.pay(api, `complaint-${code}`);
        engine.stop();
        expect([answer.status, answer.json?.code]).toEqual([500, 'internal']);
        expect(engine.at('boarding')).toHaveLength(1);
        expect(await countRows(scene.sql)).toEqual(before);
        expect(isFirstAnswer(await scene.pay(api, `complaint-${code}`))).toBe(true);
      },
    );
  });

  it('whose default is another isolation: payments run in READ COMMITTED all the same (F42)', async () => {
    await scene.sql(`
      CREATE TABLE isolations (isolation text);
      CREATE FUNCTION note_isolation() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO isolations VALUES (current_setting('transaction_isolation'));
        RETURN NEW;
      END $$;
      CREATE TRIGGER note_isolation BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION note_isolation()`);
    const setDefault = (value: string) =>
      scene.sql(
        `ALTER DATABASE "${scene.database.name}" SET default_transaction_isolation = ` + `'${value}'`,
      );
    await setDefault('serializable');
    const [first, second] = [await scene.boot(), await scene.boot()];
    const before = await countRows(scene.sql);

    const answers = await together(200, index =>
      scene.pay(index % 2 ? first : second, `strict-${index % 120}`, { amount: 1 }),
    );
    await scene.sql(`ALTER DATABASE "${scene.database.name}" RESET default_transaction_isolation`);
    await scene.sql('DROP TRIGGER note_isolation ON payments');

    expect(answers.filter(isFirstAnswer)).toHaveLength(120);
    expect(answers.filter(isReplay)).toHaveLength(80);
    expect((await countRows(scene.sql)).payments - before.payments).toBe(120);
    expect(await scene.sql('SELECT isolation, count(*) AS n FROM isolations GROUP BY isolation')).toEqual([
      { isolation: 'read committed', n: 120 },
    ]);
  });
});

function expectUnavailable({
  status,
  headers,
  json,
}: Awaited<ReturnType<ReturnType<typeof setUpScene>['pay']>>) {
  expect([status, json]).toMatchObject([503, { code: 'unavailable', retryable: true }]);
  expect(headers.get('should-retry')).toBe('true');
  expect(Number(headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
}
