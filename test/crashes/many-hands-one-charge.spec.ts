import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess, RealProcess } from '../support/api-process.js';
import { together } from '../support/http.js';
import { watchRail } from '../support/rail-invariants.js';
import { Rail } from './rail.js';

/** Several processes on one database, and none knows of the others. All that they share are the rows. */
describe('many hands, one charge', () => {
  let rail: Rail;
  let apis: ApiProcess[];

  beforeAll(async () => {
    rail = await Rail.open({ RECOVERIES_AT_ONCE_MAX: '20' });
    apis = await together(2, () => rail.startApi());
  });

  afterAll(() => rail.close());

  it('two instances get the same 50 keys at once: each is one payment, one charge and one answer', async () => {
    const watcher = await watchRail(rail.place.url, rail.bank.env);
    const keys = numbered('shared', 50);
    const answers = await Promise.all(
      keys.map(key => together(2, turn => rail.payUntilFinal(turn ? apis.toReversed() : apis, key))),
    );

    // Both were told the same, by the byte, and it was yes.
    expect(answers.map(both => new Set(both.map(({ status, text }) => `${status} ${text}`)).size)).toEqual(
      keys.map(() => 1),
    );
    expect(answers.every(([one]) => one?.status === 200)).toBe(true);
    const payments = await rail.sql("SELECT FROM payments WHERE idempotency_key LIKE 'shared-%'");
    expect(payments).toHaveLength(50);
    expect([...(await rail.charges()).values()]).toEqual(keys.map(() => 1));
    expect(await rail.quietViolations()).toEqual([]);

    // They met: repeats ran into payments that were under way.
    expect(rail.told.filter(({ status }) => status === 409).length).toBeGreaterThan(0);
    const { reads, violations } = await watcher.stop();
    expect([reads > 0, violations]).toEqual([true, []]);
  });

  it('two completers and two instances find 200 abandoned payments: each is finished once, and charged once', async () => {
    const before = await takeOversTold();
    const keys = numbered('abandoned', 200);
    await abandon(keys);

    const watcher = await watchRail(rail.place.url, rail.bank.env);
    const completers = await together(2, () => Promise.resolve(rail.startWorker(['completer', '--json'])));
    // Every tenth caller asks again as well, and takes over what no completer has yet.
    const callers = keys.filter((_, index) => index % 10 === 0);
    await Promise.all(callers.map(key => rail.payUntilFinal(apis, key)));
    await rail.untilAllHaveEnded();

    expect(await endsOf('abandoned-%')).toEqual([{ ended: 1, keys: 200 }]);
    const parked = await rail.sql('SELECT FROM idempotency_keys WHERE parked_because IS NOT NULL');
    expect(parked).toEqual([]);
    const charges = await chargesOf('abandoned-%');
    expect(charges).toEqual(keys.map(() => 1));

    // Each take-over raised an epoch, and whoever did it says so.
    const [raised] = await rail.sql<{ times: number }>(
      "SELECT sum(epoch - 1) AS times FROM idempotency_keys WHERE key LIKE 'abandoned-%'",
    );
    const times = Number(raised?.times);
    expect(times).toBeGreaterThanOrEqual(200);
    await untilTold(async () => sum(completers.map(takenOverBy)) + (await takeOversTold()) - before, times);
    // Neither had all the work, or they could not have got in each other's way.
    expect(completers.map(completer => takenOverBy(completer) > 0)).toEqual([true, true]);

    expect(await rail.quietViolations()).toEqual([]);
    const { reads, violations } = await watcher.stop();
    expect([reads > 0, violations]).toEqual([true, []]);
    const exits = await Promise.all(completers.map(completer => completer.kill('SIGTERM')));
    expect(exits).toEqual(completers.map(() => ({ code: 0, signal: null })));
  });

  /**
   * A hundred of them get as far as the bank, which holds them; the others wait for their turn in their process.
   * That is killed. What the bank holds it then carries out: half are charged, and nobody here knows which.
   */
  async function abandon(keys: string[]): Promise<void> {
    const barrier = await rail.barrier('before', { times: 0 });
    const waits = { LEASE_MS: '20000', BANK_TIMEOUT_MS: '15000', BANK_REQUEST_TIMEOUT_MS: '15000' };
    const victim = await rail.startApi({ env: { ...waits, BANK_REQUESTS_AT_ONCE_MAX: '100' } });
    const cut = Promise.all(
      keys.map(key =>
        rail.pay(victim, key).then(
          () => 'told',
          () => 'cut',
        ),
      ),
    );
    await barrier.holds(100);
    await untilTold(
      () => rail.sql("SELECT FROM payments WHERE idempotency_key LIKE 'abandoned-%'").then(n => n.length),
      200,
    );
    await victim.kill();
    expect(await cut).toEqual(keys.map(() => 'cut'));
    await barrier.release();
    await untilTold(async () => (await chargesOf('abandoned-%')).length, 100);

    const left = await rail.sql<{ recovery_point: string; epoch: number; keys: number }>(
      `SELECT recovery_point, epoch, count(*) AS keys FROM idempotency_keys
        WHERE key LIKE 'abandoned-%' GROUP BY recovery_point, epoch`,
    );
    expect(left).toEqual([{ recovery_point: 'funds_reserved', epoch: 1, keys: 200 }]);
    // Nobody waits for the rest of that long lease, which only had to outlast the gathering.
    await rail.sql("UPDATE idempotency_keys SET locked_until = now() WHERE key LIKE 'abandoned-%'");
  }

  /** How many of these keys ended how often, by the history of their rows. */
  function endsOf(keys: string) {
    return rail.sql(
      `SELECT ended::int, count(*) AS keys
         FROM (SELECT key, count(*) FILTER (WHERE recovery_point = 'finished' AND before <> 'finished') AS ended
                 FROM (SELECT *, lag(recovery_point) OVER (PARTITION BY key ORDER BY id) AS before FROM key_history) AS h
                WHERE key LIKE $1 GROUP BY key) AS counted
        GROUP BY ended`,
      [keys],
    );
  }

  async function chargesOf(keys: string): Promise<number[]> {
    const charges = await rail.charges();
    const ids = await rail.sql<{ id: string }>('SELECT id FROM payments WHERE idempotency_key LIKE $1', [
      keys,
    ]);
    return ids.flatMap(({ id }) => charges.get(id) ?? []);
  }

  async function takeOversTold(): Promise<number> {
    return sum(await Promise.all(apis.map(api => rail.metric(api, 'paysam_takeovers_total'))));
  }
});

function takenOverBy(completer: RealProcess): number {
  const runs = completer.stdout().split('\n').filter(Boolean);
  return sum(
    runs.map(line => (JSON.parse(line) as { completer: { takenOver: number } }).completer.takenOver),
  );
}

function numbered(name: string, n: number): string[] {
  return Array.from({ length: n }, (_, index) => `${name}-${index}`);
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** What is told a moment later than it happens. @throws when it is never told, or something else is */
async function untilTold(count: () => Promise<number>, expected: number): Promise<void> {
  let counted = await count();
  for (let looks = 0; looks < 200 && counted !== expected; looks += 1) {
    await sleep(50);
    counted = await count();
  }
  expect(counted).toBe(expected);
}
