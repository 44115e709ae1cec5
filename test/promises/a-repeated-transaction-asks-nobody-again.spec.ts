import type { Api } from '../support/api.js';
import { watchEngine } from '../support/engine-events.js';
import { PostgresProxy } from '../support/postgres-proxy.js';
import { isFirstAnswer } from '../support/scene.js';
import { setUpBankScene } from './bank-scene.js';

/** The transactions of a payment through the bank, each by what only it writes. */
const transactions = [
  ['T1', 'funds_reserved', /insert into payments/i],
  ['T2', 'transfer_sent', /set recovery_point = reached\.recovery_point/i],
  ['T3', 'finished', /set recovery_point = 'finished'/i],
] as const;

/**
 * Between two transactions the bank is asked, and what it said is in memory. A transaction that has to be repeated, or
 * whose COMMIT was lost, is our database's trouble: it takes the same answer again, and asks for no other.
 */
describe('a repeated transaction asks nobody again', () => {
  const scene = setUpBankScene();
  let proxy: PostgresProxy;
  let api: Api;

  beforeAll(async () => {
    proxy = await PostgresProxy.start(scene.database.url);
    // Nobody else is to take these payments up, or ask about them.
    api = await scene.boot({ WORKERS: 'elsewhere', DATABASE_URL: proxy.url });
    await scene.sql(`
      CREATE SEQUENCE tries;
      CREATE FUNCTION complain_once() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.recovery_point = TG_ARGV[0] AND nextval('tries') = 1 THEN
          RAISE EXCEPTION 'not now' USING ERRCODE = '40001';
        END IF;
        RETURN NEW;
      END $$`);
  });
  beforeEach(() => {
    proxy.cuts = 0;
  });
  afterEach(() => proxy.heal());
  afterAll(() => {
    proxy.stop();
  });

  const sides = [
    ['before it reached the server', 'before'],
    ['after the server had done it', 'after'],
  ] as const;
  const lost = sides.flatMap(([where, side]) =>
    transactions.map(([name, , writes]) => [`${where}, in ${name}`, side, writes] as const),
  );

  it.each(lost)(
    'whose COMMIT was lost %s: the caller gets its first answer, and the bank no other request',
    async (where, side, writes) => {
      proxy.cutCommit(side, { which: statements => statements.some(each => writes.test(each)) });
      await expectAskedOnce(where.replaceAll(/\W+/g, '-'));
      expect(proxy.cuts).toBe(1);
    },
  );

  it.each(transactions)(
    'that came to nothing in %s, because another one came first (F42): neither',
    async (name, point) => {
      await scene.sql("SELECT setval('tries', 1, false)");
      // One of the three recovery points above.
      await scene.sql(
        'CREATE TRIGGER complain BEFORE UPDATE ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION complain_once(' +
          `'${point}')`,
      );
      try {
        await expectAskedOnce(`complained-in-${name}`);
      } finally {
        await scene.sql('DROP TRIGGER complain ON idempotency_keys');
      }
    },
  );

  /** One call to pay, one to ask whether it has settled, and a transaction that was made twice. */
  async function expectAskedOnce(key: string): Promise<void> {
    const engine = watchEngine();
    const answer = await scene.pay(api, key);
    engine.stop();
    expect(engine.at('batch_repeated')).toHaveLength(1);
    expect([answer.status, isFirstAnswer(answer)]).toEqual([200, true]);
    expect(engine.at('call_begins').map(({ attempts }) => attempts[0]?.recoveryPoint)).toEqual([
      'funds_reserved',
      'transfer_sent',
    ]);
    const { id } = await scene.paymentOf(key);
    expect((await scene.conversation(id)).filter(line => line.startsWith('PUT'))).toEqual(['PUT 201']);
  }
});
