import { setTimeout as sleep } from 'node:timers/promises';
import { escapeIdentifier } from 'pg';
import { Rail } from '../crashes/rail.js';
import type { ApiProcess } from '../support/api-process.js';
import { connect, type Sql } from '../support/database.js';
import { untilWaiting } from '../support/foreign-lock.js';
import { historyOf } from '../support/key-history.js';
import { PostgresProxy } from '../support/postgres-proxy.js';
import { isFirstAnswer } from '../support/scene.js';
import { abandonPayments } from './abandoned.js';

/**
 * A server does not look whether its client is still there while a statement waits for a lock. So what a dead process
 * had asked for is carried out later, when somebody else may have gone on. Nothing of it may count: no statement of
 * ours is committed by anybody but a client who has seen what it did.
 *
 * The server of these tests can look, and is told not to.
 */
describe('a vanished client changes nothing', () => {
  let rail: Rail;
  let other: ApiProcess;
  let foreign: Awaited<ReturnType<typeof connect>>;
  /** A statement waits for as long as the test likes: it is the client that goes first. */
  const patient = { LOCK_TIMEOUT_MS: '20000', STATEMENT_TIMEOUT_MS: '25000', QUERY_TIMEOUT_MS: '30000' };

  beforeAll(async () => {
    rail = await Rail.open();
    await lookForClientsEvery(0);
    other = await rail.startApi();
  });

  beforeEach(async () => {
    foreign = await connect(rail.place.url);
    await foreign.sql('BEGIN');
  });

  afterEach(async () => {
    await foreign.end();
    await rail.untilAllHaveEnded();
    expect(await rail.quietViolations()).toEqual([]);
  });

  afterAll(() => rail.close());

  it('F44: what a holder had asked for before it was killed is carried out late, and undone', async () => {
    const { holder, first } = await holdUpRecording('holder-killed');
    await holder.kill();
    await expect(first).rejects.toThrow('fetch failed');
    await untilLeaseIsOver('holder-killed');
    const before = await historyOf(rail.sql, 'holder-killed');
    // Nobody else can go on yet: the dead process still has the key's row in hand, and it is passed over.
    const repeat = await rail.pay(other, 'holder-killed');
    expect([repeat.status, repeat.json?.code]).toEqual([409, 'in_progress']);
    expect(await countWaiting(rail.sql)).toBe(1);

    await foreign.sql('COMMIT');
    await untilNobodyWaits();
    expect(await historyOf(rail.sql, 'holder-killed')).toEqual(before);
    expect((await rail.payUntilFinal([other], 'holder-killed')).status).toBe(200);
    expect(await chargesOf('holder-killed')).toBe(1);
  }, 90_000);

  it('F44: and a server that looks for its clients lets go of what they had in hand by itself', async () => {
    await lookForClientsEvery(100);
    const { holder, first } = await holdUpRecording('server-looks');
    await holder.kill();
    await expect(first).rejects.toThrow('fetch failed');
    await untilNobodyWaits();
    // The key is free, and only the payment is not: somebody takes it over before that.
    const goingOn = rail.payUntilFinal([other], 'server-looks');
    await rail.untilRow('server-looks', ({ epoch }) => epoch === 2);
    await foreign.sql('COMMIT');
    expect((await goingOn).status).toBe(200);
    expect(await chargesOf('server-looks')).toBe(1);
    await lookForClientsEvery(0);
  }, 90_000);

  it('F44: a holder that lives, and has lost its connection there, records its step once', async () => {
    const proxy = await PostgresProxy.start(rail.place.url);
    const { first } = await holdUpRecording('connection-lost', proxy.url);
    proxy.resetAll();
    // Its second try waits behind its first one, which nobody is left to hear of.
    await untilWaiting(rail.sql, 2);
    await foreign.sql('COMMIT');

    expect(isFirstAnswer(await first)).toBe(true);
    const steps = await historyOf(rail.sql, 'connection-lost');
    expect(steps.map(({ recovery_point: point, epoch }) => `${point} ${epoch}`)).toEqual([
      'started 1',
      'funds_reserved 1',
      'transfer_sent 1',
      'finished 1',
    ]);
    expect(await chargesOf('connection-lost')).toBe(1);
    proxy.stop();
  }, 90_000);

  it('F44: a claim that comes late is no claim: nothing is left of it, and the key is free at once', async () => {
    const doomed = await rail.startApi({ env: patient });
    await foreign.sql(
      `INSERT INTO idempotency_keys (customer_id, key, recovery_point, attempt_id, created_at, expires_at)
       VALUES ($1, 'late-claim', 'cancelled', gen_random_uuid(), now(), 'infinity')`,
      [rail.alice.id],
    );
    const first = rail.pay(doomed, 'late-claim', { rail: 'ledger' });
    first.catch(() => undefined);
    await untilWaiting(rail.sql);
    await doomed.kill();
    await expect(first).rejects.toThrow('fetch failed');

    // Now the way is free for the claim, and nobody is there to see it.
    await foreign.sql('ROLLBACK');
    await untilNobodyWaits();
    expect(await rail.sql("SELECT FROM idempotency_keys WHERE key = 'late-claim'")).toEqual([]);
    expect(isFirstAnswer(await rail.pay(other, 'late-claim', { rail: 'ledger' }))).toBe(true);
  }, 90_000);

  it('F44: nor is a completer’s that died while it took a payment over: the epoch is as it was', async () => {
    const [id] = (await abandonPayments(rail.sql, rail.alice, ['late-take-over'])).values();
    await foreign.sql('LOCK TABLE idempotency_keys IN EXCLUSIVE MODE');
    const victim = rail.startWorker(['completer'], { env: patient });
    await untilWaiting(rail.sql);
    await victim.kill();
    expect(await countWaiting(rail.sql)).toBe(1);
    await foreign.sql('COMMIT');
    await untilNobodyWaits();
    expect(await rail.row('late-take-over')).toMatchObject({ epoch: 1, recovery_point: 'funds_reserved' });

    const heir = rail.startWorker(['completer']);
    await rail.untilAllHaveEnded();
    await heir.kill();
    expect(await rail.row('late-take-over')).toMatchObject({ epoch: 2, recovery_point: 'finished' });
    expect((await rail.charges()).get(id ?? '')).toBe(1);
  }, 90_000);

  /** A holder that has the bank's yes in memory, and waits for its payment's row to write it down. */
  async function holdUpRecording(key: string, databaseUrl = rail.place.url) {
    const holder = await rail.startApi({ databaseUrl, env: patient });
    const barrier = await rail.barrier('after');
    const first = rail.pay(holder, key);
    first.catch(() => undefined);
    await barrier.holds(1);
    await foreign.sql('SELECT FROM payments WHERE idempotency_key = $1 FOR UPDATE', [key]);
    await barrier.release();
    await untilWaiting(rail.sql);
    return { holder, first };
  }

  async function lookForClientsEvery(intervalMs: number): Promise<void> {
    // For connections made from now on.
    const name = new URL(rail.place.url).pathname.slice(1);
    await rail.sql(
      'ALTER DATABASE ' +
        escapeIdentifier(name) +
        ' SET client_connection_check_interval TO ' +
        String(intervalMs),
    );
  }

  async function countWaiting(sql: Sql): Promise<number> {
    const [row] = await sql<{ waiting: number }>(`
      SELECT count(*) AS waiting FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`);
    return row?.waiting ?? NaN;
  }

  async function untilNobodyWaits(): Promise<void> {
    // Sooner than whoever waits gives up by itself.
    const until = performance.now() + Number(patient.LOCK_TIMEOUT_MS) / 2;
    while ((await countWaiting(rail.sql)) > 0) {
      if (performance.now() > until) throw new Error('somebody still waits for a lock');
      await sleep(25);
    }
    // And has seen that there is nobody to hear of it.
    await sleep(100);
  }

  async function untilLeaseIsOver(key: string): Promise<void> {
    const { locked_until: until, read_at: now } = await rail.row(key);
    await sleep(Math.max(0, Number(until) - Number(now)) + 50);
  }

  async function chargesOf(key: string): Promise<number | undefined> {
    return (await rail.charges()).get((await rail.row(key)).payment_id);
  }
});
