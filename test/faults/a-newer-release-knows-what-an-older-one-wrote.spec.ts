import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createDataSource } from '../../src/data-source.js';
import { hasEnded, setUpBankScene } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import { isReplay } from '../support/scene.js';
import { abandonPayments } from './abandoned.js';

/** The schema of the release before customers without keys: what that one wrote, it wrote into these columns. */
const lastMigrationThen = 'BankStatement0000000000007';

const paidThen = '0190a5b1-7d2c-7000-8000-000000000000';

/** As that release spelled it, by hand, and as this one would not: a replay that was made again would show itself. */
const oldAnswer = `{"object":"payment","id":"${paidThen}","status":"succeeded","spelled":"as it was then"}`;

/**
 * Between two releases, rows stay. What was claimed, half done or finished by the older one is recognised, completed
 * and replayed by the newer one, from the parameters and the state as they were stored then (F95).
 */
describe('a newer release knows what an older one wrote', () => {
  const scene = setUpBankScene();
  let api: Api;
  let abandoned: Map<string, string>;

  beforeAll(async () => {
    const dataSource = await createDataSource({ databaseUrl: scene.database.url }).initialize();
    for (;;) {
      const [last] = await scene.sql<{ name: string }>(
        'SELECT name FROM migrations ORDER BY id DESC LIMIT 1',
      );
      if (last?.name === lastMigrationThen) break;
      await dataSource.undoLastMigration();
    }
    await dataSource.destroy();

    abandoned = await abandonPayments(scene.sql, scene.alice, ['half-done', 'for-a-caller']);
    await payThen('finished');

    const { status, stdout } = spawnSync(process.execPath, ['dist/src/migrate.js'], {
      env: { ...process.env, DATABASE_URL: scene.database.url },
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([0, expect.stringContaining('KeylessCustomers') as string]);
    api = await scene.boot({ WORKERS: 'elsewhere' });
  }, 60_000);

  it('F95: what was half done is finished, by its caller or the completer, under the reference of then', async () => {
    const answer = await scene.payUntilAnswered(api, 'for-a-caller');
    const [asked = '', left = ''] = ['for-a-caller', 'half-done'].map(key => abandoned.get(key));
    expect([answer.status, answer.json]).toMatchObject([
      200,
      { id: asked, amount: 100, to: 'sam', reference: null },
    ]);
    expect((await scene.pay(api, 'for-a-caller', { amount: 7 })).json?.differs_in).toEqual(['amount']);

    await scene.boot();
    await scene.untilRow('half-done', hasEnded);
    const replay = await scene.pay(api, 'half-done');
    expect([replay.status, isReplay(replay), replay.json?.id]).toEqual([200, true, left]);
    for (const id of [asked, left]) expect(await scene.bank.charges(id)).toHaveLength(1);
  }, 60_000);

  it('F95: a stored answer is replayed by the byte, and another request is a collision', async () => {
    const replay = await scene.pay(api, 'finished', { rail: 'ledger' });
    expect([replay.status, isReplay(replay), replay.text]).toEqual([200, true, oldAnswer]);
    const collision = await scene.pay(api, 'finished', { rail: 'ledger', amount: 7 });
    expect([collision.status, collision.json?.differs_in]).toEqual([409, ['amount']]);
  });

  /**
   * A fingerprint taken by a rule that this release does not know, a newer one's perhaps. Not promised: that the same
   * request is recognised. It is refused, so nothing is paid twice, and what was stored is as it was.
   */
  it('F95: under a rule that is not known here, nothing is paid and nothing is changed', async () => {
    await scene.database.insertKeyRow({
      customerId: scene.alice.id,
      key: 'another-rule',
      params: { amount: 100, currency: 'GBP', from: 'alice', rail: 'ledger', reference: null, to: 'sam' },
      fingerprintOf: ledgerDocument(2),
      fingerprintVersion: 2,
      answer: { status: 200, body: oldAnswer },
    });
    const refused = await scene.pay(api, 'another-rule', { rail: 'ledger' });
    expect([refused.status, refused.json?.code]).toEqual([409, 'collision_detected']);
    expect(await scene.sql("SELECT FROM payments WHERE idempotency_key = 'another-rule'")).toEqual([]);
    const [row] = await scene.sql<{ fingerprint: Buffer }>(
      "SELECT fingerprint FROM idempotency_keys WHERE key = 'another-rule'",
    );
    expect(row?.fingerprint.equals(createHash('sha256').update(ledgerDocument(2)).digest())).toBe(true);
    await scene.sql("DELETE FROM idempotency_keys WHERE key = 'another-rule'");
  });

  /** £1.00 to Sam, in alice's books and his, with the answer that she was given. */
  async function payThen(key: string): Promise<void> {
    await scene.sql(
      `WITH
         payment AS (
           INSERT INTO payments (customer_id, id, idempotency_key, from_account_id, to_account_id, currency, amount,
                                 rail, status, created_at, completed_at)
           VALUES ($1, $2, $3, 'alice', 'sam', 'GBP', 100, 'ledger', 'succeeded', now(), now())),
         payer AS (UPDATE accounts SET debits_posted = debits_posted + 100 WHERE id = 'alice'),
         payee AS (UPDATE accounts SET credits_posted = credits_posted + 100 WHERE id = 'sam')
       INSERT INTO transfers (id, customer_id, payment_id, debit_account_id, credit_account_id, currency, amount,
                              state, created_at)
       VALUES (gen_random_uuid(), $1, $2, 'alice', 'sam', 'GBP', 100, 'posted', now())`,
      [scene.alice.id, paidThen, key],
    );
    await scene.database.insertKeyRow({
      customerId: scene.alice.id,
      key,
      params: { amount: 100, currency: 'GBP', from: 'alice', rail: 'ledger', reference: null, to: 'sam' },
      fingerprintOf: ledgerDocument(1),
      answer: { status: 200, body: oldAnswer },
    });
  }
});

/** The canonical document, written out by hand. */
function ledgerDocument(version: number): string {
  return `[${version},"payment",{"amount":100,"currency":"GBP","from":"alice","rail":"ledger","reference":null,"to":"sam"}]`;
}
