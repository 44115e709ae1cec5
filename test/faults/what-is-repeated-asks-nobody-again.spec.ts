import { setUpBankScene, patient } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import { connect } from '../support/database.js';
import { watchEngine } from '../support/engine-events.js';
import { untilWaiting } from '../support/foreign-lock.js';
import { isFirstAnswer } from '../support/scene.js';

/** What the bank has said, and what is then recorded: in T2 that it has the order, in T3 that it has paid. */
const recordings = [
  ['T2', 'PUT', 'transfer_sent'],
  ['T3', 'GET', 'finished'],
] as const;

/** The bank's answer is in memory. The transaction that records it fails, and would work the next time. */
describe('what is repeated asks nobody again', () => {
  const scene = setUpBankScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
  });

  it.each(recordings)(
    'F41: %s in a deadlock: all of it is repeated, and the bank hears nothing of it',
    async (what, method) => {
      const key = `deadlock-${what}`;
      const engine = watchEngine();
      const held = await scene.barrier('after', { method });
      const paying = scene.pay(api, key);
      await held.reached();
      const foreign = await connect(scene.database.url);
      await foreign.sql('BEGIN');
      // It is the other one that is told to give way.
      await foreign.sql("SET LOCAL deadlock_timeout = '20s'");
      await foreign.sql("SELECT FROM accounts WHERE id = 'alice' FOR UPDATE");
      await held.release();
      await untilWaiting(scene.sql);
      await foreign.sql('SELECT FROM idempotency_keys WHERE key = $1 FOR UPDATE', [key]);
      await foreign.sql('COMMIT');
      await foreign.end();

      expect(isFirstAnswer(await paying)).toBe(true);
      engine.stop();
      expect(engine.repeatedBecauseOf()).toContain('40P01');
      await expectTwoCalls(key, engine.at('call_begins').length);
    },
  );

  it.each(recordings)(
    'F42: %s in a serialization failure: all of it is repeated, and the bank hears nothing of it',
    async (what, _, point) => {
      const key = `serialization-${what}`;
      await complainOnce('40001', point);
      const engine = watchEngine();
      const answer = await scene.pay(api, key);
      engine.stop();
      expect(isFirstAnswer(answer)).toBe(true);
      expect(engine.repeatedBecauseOf()).toEqual(['40001']);
      await expectTwoCalls(key, engine.at('call_begins').length);
      await scene.sql(
        'DROP TRIGGER complain ON idempotency_keys; DROP FUNCTION complain_once; DROP SEQUENCE tries',
      );
    },
  );

  /** To pay, and whether it has settled: however often what came of them is recorded. One order, and one charge. */
  async function expectTwoCalls(key: string, calls: number): Promise<void> {
    expect(calls).toBe(2);
    const { id } = await scene.paymentOf(key);
    expect((await scene.conversation(id)).filter(line => line.startsWith('PUT'))).toHaveLength(1);
    expect(await scene.bank.charges(id)).toHaveLength(1);
  }

  /** The next transaction that would bring a key to `point` is refused once; a sequence is not rolled back. */
  async function complainOnce(code: string, point: string): Promise<void> {
    await scene.sql(`
      CREATE SEQUENCE tries;
      CREATE FUNCTION complain_once() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF nextval('tries') = 1 THEN RAISE EXCEPTION 'not now' USING ERRCODE = TG_ARGV[0]; END IF;
        RETURN NEW;
      END $$`);
    await scene.sql(
      `CREATE TRIGGER complain BEFORE UPDATE ON idempotency_keys FOR EACH ROW
         WHEN (NEW.recovery_point = '${point}' AND OLD.recovery_point <> '${point}')
         EXECUTE FUNCTION complain_once('${code}')`,
    );
  }
});
