import type { Api } from '../support/api.js';
import { watchEngine } from '../support/engine-events.js';
import { inOneBatch } from '../support/foreign-lock.js';
import { countRows } from '../support/invariants.js';
import { isFirstAnswer, setUpScene } from '../support/scene.js';

/**
 * A poison payment is one that the database refuses for a reason nobody has thought of. Here it does for the
 * reference "poison": as the payment is written, or, in the second case, only at COMMIT.
 */
describe('one bad payment harms no other (F107)', () => {
  const scene = setUpScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot();
    await scene.sql(`
      CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.reference LIKE 'poison%' THEN RAISE EXCEPTION 'a secret of the database'; END IF;
        RETURN NEW;
      END $$`);
  });
  afterEach(() => scene.sql('DROP TRIGGER IF EXISTS poison ON payments'));

  const triggers = {
    'as it is written':
      'CREATE TRIGGER poison BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION refuse_poison()',
    'at COMMIT': `CREATE CONSTRAINT TRIGGER poison AFTER INSERT ON payments DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION refuse_poison()`,
  };

  it.each(Object.entries(triggers))('that fails %s, alone', async (when, trigger) => {
    await scene.sql(trigger);
    const key = `${when.replaceAll(' ', '-')}-alone`;
    const before = await countRows(scene.sql);
    const failed = await scene.pay(api, key, { reference: 'poison' });
    expect([failed.status, failed.json]).toMatchObject([500, { code: 'internal', retryable: true }]);
    expect(failed.headers.get('should-retry')).toBe('true');
    expect(failed.text).not.toMatch(/secret|poison|trigger|SQL/i);
    expect(await countRows(scene.sql)).toEqual(before);
  });

  it('that meets a mistake of ours is not repeated as if the database had failed', async () => {
    // The claimed row cannot be finished, and no error says so: only our own count does.
    await scene.sql(`
      CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER swallow BEFORE UPDATE ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION swallow()`);
    const engine = watchEngine();
    const before = await countRows(scene.sql);
    const failed = await scene.pay(api, 'swallowed');
    engine.stop();
    await scene.sql('DROP TRIGGER swallow ON idempotency_keys');

    expect([failed.status, failed.json?.code]).toEqual([500, 'internal']);
    expect(engine.repeatedBecauseOf()).toEqual([]);
    expect(await countRows(scene.sql)).toEqual(before);
    expect(isFirstAnswer(await scene.pay(api, 'swallowed'))).toBe(true);
  });

  it.each(Object.entries(triggers))(
    'that fails %s, among 50 that share a transaction',
    async (when, trigger) => {
      await scene.sql(trigger);
      const { url } = scene.database;
      const name = when.replaceAll(' ', '-');
      const pay = (index: number) =>
        scene.pay(api, `${name}-${index}`, { reference: index === 31 ? 'poison' : 'fine' });

      const engine = watchEngine();
      const before = await countRows(scene.sql);
      const answers = await inOneBatch({ url, sql: scene.sql }, 51, pay);
      engine.stop();

      expect(engine.largestBatch('boarding')).toBe(50);
      expect(engine.largestBatch('batch_split')).toBe(50);
      // Halves of halves, not fifty transactions.
      expect(engine.at('boarding').length).toBeLessThan(20);
      expect(answers.filter(isFirstAnswer)).toHaveLength(50);
      expect(answers[31]?.json).toMatchObject({ status: 500, code: 'internal' });
      expect(answers[31]?.headers.get('should-retry')).toBe('true');
      const after = await countRows(scene.sql);
      expect([after.keys - before.keys, after.payments - before.payments]).toEqual([50, 50]);
      expect(await scene.sql('SELECT key FROM idempotency_keys WHERE key = $1', [`${name}-31`])).toEqual([]);

      // Once the reason is gone, the same key pays.
      await scene.sql('DROP TRIGGER poison ON payments');
      expect(isFirstAnswer(await pay(31))).toBe(true);
    },
  );

  it('nor do several in one transaction', async () => {
    await scene.sql(triggers['as it is written']);
    const { url } = scene.database;
    const answers = await inOneBatch({ url, sql: scene.sql }, 41, index =>
      scene.pay(api, `several-${index}`, { reference: index % 13 === 1 ? `poison ${index}` : 'fine' }),
    );
    expect(answers.map(answer => answer.status)).toEqual(
      answers.map((_, index) => (index % 13 === 1 ? 500 : 200)),
    );
  });
});
