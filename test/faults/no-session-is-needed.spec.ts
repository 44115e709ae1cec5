import { setTimeout as sleep } from 'node:timers/promises';
import { hasEnded, setUpBankScene } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import { connect } from '../support/database.js';
import { call, together } from '../support/http.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';
import { abandonPayments, numbered } from './abandoned.js';
import { TransactionPooler } from './transaction-pooler.js';

/** What needs the session it was begun in: settings that outlive a transaction, locks of a session, news, cursors. */
const sessionState =
  /^\s*(set\s+(?!local\b|transaction\b)|listen\b|declare\b|create\s+temp)|advisory_lock|set_config\([^()]*false/i;

/** Between us and PostgreSQL there may be a pooler that gives each transaction another connection (F48). */
describe('no session is needed', () => {
  const scene = setUpBankScene();
  let pooler: TransactionPooler;
  let api: Api;

  beforeAll(async () => {
    pooler = await TransactionPooler.start(scene.database.url);
    // All of it: requests, completer, reaper and reconciler.
    api = await scene.boot({
      DATABASE_URL: pooler.url,
      REAP_EVERY_MS: '200',
      RECONCILE_EVERY_MS: '200',
    });
  });

  afterEach(() => {
    expect([...pooler.statements].filter(text => sessionState.test(text))).toEqual([]);
  });

  afterAll(async () => {
    await scene.stopApis();
    pooler.stop();
  });

  it('F48: the pooler keeps nothing of a session, but all of a transaction', async () => {
    const { sql, end } = await connect(pooler.url);
    const backend = async () => (await sql<{ pid: number }>('SELECT pg_backend_pid() AS pid'))[0]?.pid;
    await sql("SET lock_timeout = '7s'");
    expect(await sql('SHOW lock_timeout')).toEqual([{ lock_timeout: '0' }]);
    expect(await backend()).not.toBe(await backend());
    await sql('BEGIN');
    const pids = [await backend(), await backend()];
    await sql('COMMIT');
    expect(pids[0]).toBe(pids[1]);
    await end();
    pooler.statements.clear();
  }, 90_000);

  it('F48: keys that are hammered over it are paid once each', async () => {
    const lent = pooler.lent;
    const answers = await together(120, index =>
      scene.pay(api, `hammered-${index % 12}`, { rail: 'ledger' }),
    );
    expect(answers.filter(isFirstAnswer)).toHaveLength(12);
    expect(answers.filter(isReplay)).toHaveLength(108);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(12);
    expect(pooler.lent).toBeGreaterThan(lent + 2);

    const different = await together(10, index =>
      scene.pay(api, 'different', { rail: 'ledger', amount: 1 + index }),
    );
    expect(different.filter(({ status }) => status === 409)).toHaveLength(9);
  }, 90_000);

  it('F48: payments through the bank come to every end there is', async () => {
    await scene.fault({ kind: 'timeout_after', creditor: 'tina' });
    const [paid, declined, unknown] = await Promise.all([
      scene.payUntilAnswered(api, 'paid'),
      scene.payUntilAnswered(api, 'declined', { to: 'dee' }),
      scene.payUntilAnswered(api, 'unknown', { to: 'tina' }),
    ]);
    expect([paid.status, declined.status, unknown.status]).toEqual([200, 402, 200]);
    const { id } = await scene.paymentOf('unknown');
    expect(await scene.bank.charges(id)).toHaveLength(1);

    const refund = await call(`${api.url}/payments/${String(paid.json?.id)}/refunds`, {
      apiKey: scene.alice.apiKey,
      key: 'refund',
      body: { amount: 40 },
    });
    expect(refund.status).toBe(200);
    expect((await scene.cancel(api, 'never-used')).json?.state).toBe('cancelled');
    expect((await scene.operation(api, 'declined')).json?.state).toBe('completed');
  }, 90_000);

  it('F48: the workers do their work: abandoned payments end, expired answers go, both books agree', async () => {
    const keys = numbered('abandoned', 30);
    await abandonPayments(scene.sql, scene.alice, keys);
    const answer = { status: 200 as const, body: '{}' };
    await scene.database.insertKeyRow({
      customerId: scene.alice.id,
      key: 'expired',
      answer,
      ageMs: 9_000,
      expiresInMs: -1,
    });
    for (const key of keys) await scene.untilRow(key, hasEnded);
    for (let looks = 0; (await scene.row('expired')) && looks < 200; looks += 1) await sleep(25);
    expect(await scene.row('expired')).toBeUndefined();
    expect(await scene.metric(api, 'paysam_reconciler_differences')).toBe(0);
  }, 90_000);
});
