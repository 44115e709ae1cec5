import { together } from '../support/http.js';
import { isFirstAnswer } from '../support/scene.js';
import { hasEnded, patient, setUpBankScene } from './bank-scene.js';

/** While another company takes its time, no transaction is open, nothing is locked, and no connection is taken. */
describe('nothing is held during a call', () => {
  const scene = setUpBankScene();

  /** What any connection but the test's own has in hand. */
  const inHand = () =>
    scene.sql(`
      SELECT pid, state, xact_start, backend_xid, query FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()
         AND (state <> 'idle' OR xact_start IS NOT NULL OR backend_xid IS NOT NULL)
       UNION ALL
      SELECT pid, mode, NULL, NULL, relation::regclass::text FROM pg_locks
       WHERE pid <> pg_backend_pid() AND locktype = 'relation'
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);

  it.each([
    ['is asked to pay', 'PUT', 'funds_reserved'],
    ['is asked whether it has settled', 'GET', 'transfer_sent'],
  ] as const)('while the bank %s', async (_, method, point) => {
    const api = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
    const held = await scene.barrier('before', { method, times: 0 });
    const paying = together(30, index => scene.pay(api, `${method}-${index}`));
    await held.holds(30);

    expect(
      await scene.sql(`SELECT count(*) FROM idempotency_keys WHERE recovery_point = '${point}'`),
    ).toEqual([{ count: 30 }]);
    for (let looks = 0; looks < 20; looks += 1) expect(await inHand()).toEqual([]);
    await held.release();
    expect((await paying).map(({ status }) => status)).toEqual(Array(30).fill(200));
  });

  it('so that a slow bank slows nobody else, on two connections either (F35)', async () => {
    const api = await scene.boot({ ...patient, DATABASE_CONNECTIONS_MAX: '2' });
    const held = await scene.barrier('before', { times: 0 });
    const slow = together(50, index => scene.pay(api, `slow-${index}`, {}, { prefer: 'wait=20' }));
    await held.holds(50);

    // Two of them are hers too: what is promised to the bank stands in nobody's way.
    const began = performance.now();
    const answers = await together(40, index => scene.pay(api, `quick-${index}`, { rail: 'ledger' }));
    const list = await scene.operation(api, 'slow-7');
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(answers.every(isFirstAnswer)).toBe(true);
    expect(list.json).toMatchObject({ state: 'in_progress' });
    const connections = await scene.metric(api, 'paysam_database_connections{state="in_use"}');
    expect(connections).toBeLessThanOrEqual(2);

    await held.release();
    expect((await slow).map(({ status }) => status)).toEqual(Array(50).fill(200));
    await scene.untilRow('slow-49', hasEnded);
  });

  it('and a busy database does not keep the bank’s answers waiting for a connection of their own', async () => {
    const api = await scene.boot({ ...patient, DATABASE_CONNECTIONS_MAX: '2' });
    const answers = await together(100, index =>
      scene.pay(api, `busy-${index}`, index % 2 ? {} : { rail: 'ledger' }),
    );
    expect(answers.every(isFirstAnswer)).toBe(true);
  });
});
