import { setUpBankScene } from '../promises/bank-scene.js';
import { historyOf, recordKeyHistory } from '../support/key-history.js';
import { together } from '../support/http.js';
import { abandonPayments, numbered } from './abandoned.js';

const attemptsMax = 4;

/** Whatever is done about it, it fails again. It must cost a bounded number of tries, and nobody else anything. */
describe('a poison key delays nobody', () => {
  const scene = setUpBankScene();

  beforeAll(() => recordKeyHistory(scene.sql));

  it('F89: it is tried so many times, ever later, then parked and counted; others end meanwhile', async () => {
    // One that our own database refuses to write down, and two of which the bank never says anything.
    const healthy = numbered('healthy', 40);
    await scene.fault(
      { kind: 'error_before', creditor: 'nobody', times: 0 },
      { kind: 'error_before', method: 'GET', creditor: 'nobody', times: 0 },
    );
    const refused = await abandonPayments(scene.sql, scene.alice, ['refused']);
    await refuseToChange([...refused.values()]);
    await abandonPayments(scene.sql, scene.alice, ['silent-0', 'silent-1'], { to: 'nobody' });
    await abandonPayments(scene.sql, scene.alice, healthy);

    const api = await scene.boot({
      LEASE_MS: '900',
      BANK_TIMEOUT_MS: '700',
      BANK_REQUESTS_MAX: '2',
      RECOVERY_ATTEMPTS_MAX: String(attemptsMax),
      RECOVERY_BACKOFF_MS: '400',
      RECOVERY_BACKOFF_MAX_MS: '60000',
    });
    for (const key of healthy) await scene.untilRow(key, row => row.recovery_point === 'finished');
    const poison = ['refused', 'silent-0', 'silent-1'];
    const parked = await together(poison.length, index =>
      scene.untilRow(poison[index] ?? '', row => row.parked_because !== null),
    );

    // The other forty were done before the first of these was given up.
    const ends = (await Promise.all(healthy.map(key => historyOf(scene.sql, key)))).map(steps =>
      lastOf(steps),
    );
    const givenUp = (await Promise.all(poison.map(key => historyOf(scene.sql, key)))).map(steps =>
      lastOf(steps),
    );
    expect(Math.max(...ends)).toBeLessThan(Math.min(...givenUp));
    expect(new Set((await Promise.all(healthy.map(key => scene.row(key)))).map(row => row?.epoch))).toEqual(
      new Set([2]),
    );

    // Each was taken up so many times, and left alone in between: for its lease, or for a wait that doubles.
    expect(parked.map(({ attempts }) => attempts)).toEqual([attemptsMax + 1, attemptsMax, attemptsMax]);
    const leaseWaits = await waitsOf('refused');
    expect(Math.min(...leaseWaits)).toBeGreaterThanOrEqual(900);
    const [first = NaN, second = NaN] = await waitsOf('silent-0');
    expect(first).toBeGreaterThanOrEqual(400);
    expect(second).toBeGreaterThanOrEqual(800);

    // The bank had taken the one that we cannot write down; the others never got there.
    const parkedAt = (point: string) => scene.metric(api, `paysam_parked_total{recovery_point="${point}"}`);
    expect([await parkedAt('funds_reserved'), await parkedAt('transfer_sent')]).toEqual([2, 1]);
    expect(await scene.metric(api, 'paysam_parked_keys')).toBe(3);
    // Nobody asks any more; a newcomer to the same payee of the bank's is not in their way.
    expect((await scene.pay(api, 'newcomer')).status).toBe(200);
    await scene.sql('DROP TRIGGER refuse_to_change ON payments');
  }, 90_000);

  /** A mistake in a row that only this one has: PostgreSQL says no each time, and no repeat helps. */
  async function refuseToChange(ids: string[]): Promise<void> {
    await scene.sql(`
      CREATE FUNCTION refuse_to_change() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'this one is poison'; END $$`);
    const list = ids.map(id => `'${id}'`).join(', ');
    await scene.sql(
      `CREATE TRIGGER refuse_to_change BEFORE UPDATE ON payments
         FOR EACH ROW WHEN (NEW.id IN (${list})) EXECUTE FUNCTION refuse_to_change()`,
    );
  }

  /** Milliseconds between one holder's taking it up and the next one's. */
  async function waitsOf(key: string): Promise<number[]> {
    const steps = await historyOf(scene.sql, key);
    const taken = steps.filter((step, index) => step.epoch > (steps[index - 1]?.epoch ?? step.epoch));
    return taken.slice(1).map(({ at }, index) => Number(at) - Number(taken[index]?.at));
  }
});

function lastOf(steps: { at: Date }[]): number {
  return Number(steps.at(-1)?.at);
}
