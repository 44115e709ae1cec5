import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../support/api-process.js';
import { together } from '../support/http.js';
import { checkMoney } from '../support/invariants.js';
import { KillablePostgres } from '../support/killable-postgres.js';
import { Rail } from './rail.js';

const whyNot = KillablePostgres.whyNot();
const [describeHere, because] = whyNot ? [describe.skip, `, not tried here: ${whyNot}`] : [describe, ''];

/** Long enough for an API to give up repeating its transaction, and to tell its callers so. */
const batchRepeats = { BATCH_REPEATS_MAX: '3', CONNECT_TIMEOUT_MS: '1000' };

/**
 * SIGKILL for PostgreSQL and for every process of it, as when its machine dies; then it comes back with the same data.
 * What was acknowledged is there, what was not is undone, and whoever asks again learns which.
 */
describeHere(`the database is killed (F22)${because}`, () => {
  let postgres: KillablePostgres;
  let rail: Rail;
  let api: ApiProcess;
  let stopPouring: () => void = () => undefined;

  beforeAll(async () => {
    postgres = await KillablePostgres.create();
    const alice = await postgres.alice();
    rail = await Rail.openOn(postgres, { alice, env: batchRepeats, leave: () => postgres.stop() });
    api = await rail.startApi();
    rail.startWorker(['completer']);
  }, 60_000);

  afterEach(async () => {
    // A load whose test has failed must not go on in the next one.
    stopPouring();
    await rail.untilAllHaveEnded();
    expect(await rail.quietViolations()).toEqual([]);
    // No test here asks about another's key.
    rail.told.length = 0;
  });

  afterAll(() => rail.close());

  it.each([
    ['comes back at once', 0],
    ['comes back when all have given up', 4_000],
  ])('before a payment begins, and %s: nobody is told no, and the retry pays', async (_, awayMs) => {
    const key = `before-${awayMs}`;
    expect(await postgres.kill()).toBeGreaterThan(3);
    const first = rail.pay(api, key);
    if (awayMs > 0) expect(await first).toMatchObject({ status: 503, json: { code: 'unavailable' } });
    await postgres.start();
    expect([200, 202, 503]).toContain((await first).status);
    await expectPaidOnce(key);
  });

  const back = { soon: 'comes back soon', late: 'stays away until its callers have been told' };
  it.each([
    ['in T1, before its COMMIT', 'outcomes_recorded@started', back.late],
    ['between T1 and the call', 'call_begins@funds_reserved', back.soon],
    ['while the bank’s yes is only in memory', 'call_ended@funds_reserved', back.late],
    ['in T2, before its COMMIT', 'outcomes_recorded@funds_reserved', back.soon],
    ['while the settlement is only in memory', 'call_ended@transfer_sent', back.soon],
    ['in T3, before its COMMIT', 'outcomes_recorded@transfer_sent', back.late],
  ])('%s (%s), and %s: paid once, and told so', async (_, faultPoint, comesBack) => {
    const key = faultPoint;
    const holder = await rail.startApi({ faultPoint, faultSignal: 'SIGSTOP' });
    const first = rail.pay(holder, key).then(
      ({ status }) => status,
      () => 'cut' as const,
    );
    await holder.faultPointReached();
    await postgres.kill();
    holder.signal('SIGCONT');
    // It tries in vain, and its patience is a second or two.
    await (comesBack === back.late ? first : sleep(100));
    await postgres.start();

    expect([200, 202, 503, 'cut']).toContain(await first);
    await expectPaidOnce(key);
    await holder.kill();
  });

  it('while the bank has the order, and stays away until the bank has paid: it is told when it is back', async () => {
    const barrier = await rail.barrier('before');
    const first = rail.pay(api, 'on-its-way');
    await barrier.holds(1);
    await postgres.kill();
    await barrier.release();
    // The bank has answered, and there is nowhere to write that down.
    expect((await first).status).toBe(503);
    expect([...(await rail.charges()).values()].every(times => times === 1)).toBe(true);
    await postgres.start();
    const { PUT } = await rail.bank.requests(await expectPaidOnce('on-its-way'));
    expect(PUT).toBe(1);
  });

  it('ten times in a row, under load: each key is one payment and one charge, whatever its callers were told', async () => {
    const load = await pourIn('poured');
    const firstSuccesses: number[] = [];
    const starts: number[] = [];
    const processes: number[] = [];
    for (let kills = 0; kills < 10; kills += 1) {
      await sleep(150 + 100 * ((kills * 7) % 4));
      const answered = load.nextAnswer();
      const killed = performance.now();
      processes.push(await postgres.kill());
      load.forget();
      const back = load.nextNewPayment();
      starts.push(await postgres.start());
      await back;
      firstSuccesses.push(performance.now() - killed);
      expect(await checkMoney(rail.sql)).toEqual([]);
      await answered;
    }
    const { keys, cut } = await load.finish();

    // Its own processes, and at least one connection of ours each time.
    expect(Math.min(...processes)).toBeGreaterThan(6);
    expect(keys.length).toBeGreaterThan(100);
    // Somebody was met in mid-payment: by a cut, by a 503, or by a 202.
    const unsure = rail.told.filter(({ status }) => status === 503 || status === 202).length;
    expect(unsure + cut).toBeGreaterThan(0);
    await rail.untilAllHaveEnded();
    await expectEachOnce('poured');
    console.log(
      `SIGKILL of all of PostgreSQL, 10 times under load: first new payment after ${spread(firstSuccesses)}, the ` +
        `server's own start ${spread(starts)} of it; ${keys.length} payments, none lost, none charged twice.`,
    );
  }, 90_000);

  it.each([
    ['one backend is killed, and all others end with it (F23)', 'backend', () => postgres.killOneBackend()],
    ['a fast shutdown (F24)', 'fast', () => restartAfter('SIGINT')],
    ['an immediate shutdown in the middle of a checkpoint (F25)', 'immediate', () => restartAfter('SIGQUIT')],
  ])('%s, under load: the same holds', async (_, name, strike) => {
    const load = await pourIn(name);
    for (let times = 0; times < 2; times += 1) {
      await sleep(300);
      await strike();
      load.forget();
      await load.nextNewPayment();
    }
    const { keys } = await load.finish();
    expect(keys.length).toBeGreaterThan(20);
    await rail.untilAllHaveEnded();
    await expectEachOnce(name);
  });

  async function restartAfter(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    // It is cut off by what follows, as a checkpoint in the background would be.
    if (signal === 'SIGQUIT') postgres.sql('CHECKPOINT').catch(() => undefined);
    await postgres.shutDown(signal);
    await postgres.start();
  }

  /** @returns the payment's id */
  async function expectPaidOnce(key: string): Promise<string> {
    const answers = [await rail.payUntilFinal([api], key), await rail.payUntilFinal([api], key)];
    const { payment_id: id, response_body: body } = await rail.row(key);
    expect(answers.map(({ status, text }) => [status, text])).toEqual([
      [200, body],
      [200, body],
    ]);
    expect((await rail.bank.charges(id)).length).toBe(1);
    return id;
  }

  /** Every key of this load has one payment, which succeeded, and on rail bank one charge. */
  async function expectEachOnce(name: string): Promise<void> {
    const payments = await rail.sql<{ id: string; rail: string; status: string }>(
      'SELECT id, rail, status FROM payments WHERE starts_with(idempotency_key, $1)',
      [`${name}-`],
    );
    const keys = new Set(rail.told.filter(({ key }) => key.startsWith(`${name}-`)).map(({ key }) => key));
    const charges = await rail.charges();
    expect(payments.length).toBe(keys.size);
    expect(payments.filter(({ status }) => status !== 'succeeded')).toEqual([]);
    const charged = payments.filter(each => each.rail === 'bank').map(({ id }) => charges.get(id));
    expect(charged.length).toBeGreaterThan(0);
    expect(charged).toEqual(charged.map(() => 1));
  }

  /** Twelve callers, half of them through the bank, at two APIs in turn. Each asks until it knows, then pays anew. */
  async function pourIn(name: string) {
    const apis = [api, await rail.startApi()];
    const keys: string[] = [];
    const cutBefore = rail.cut;
    let isOver = false;
    const answers = new Set<() => void>();
    // Keys that were sent before this many are of the time before the kill.
    let oldKeys = 0;
    const newPayments = new Set<() => void>();
    stopPouring = () => {
      isOver = true;
    };

    const callers = together(12, async caller => {
      const body = { rail: caller % 2 ? 'bank' : 'ledger', amount: 1 };
      const mine = caller % 4 < 2 ? apis : apis.toReversed();
      while (!isOver) {
        const number = keys.length;
        const key = `${name}-${number}`;
        keys.push(key);
        const { status } = await rail.payUntilFinal(mine, key, body);
        expect(status).toBe(200);
        for (const told of answers) told();
        answers.clear();
        if (number >= oldKeys) {
          for (const told of newPayments) told();
          newPayments.clear();
        }
        // Kills are what this is about, not how much a server can bear.
        await sleep(50);
      }
    });
    // A caller that fails is seen by finish(); until then it must not count as unseen.
    callers.catch(() => undefined);
    const orFailed = (told: Promise<void>) => Promise.race([told, callers.then(() => undefined)]);

    return {
      nextAnswer: () => orFailed(new Promise<void>(resolve => answers.add(resolve))),
      forget: () => (oldKeys = keys.length),
      nextNewPayment: () => orFailed(new Promise<void>(resolve => newPayments.add(resolve))),
      finish: async () => {
        isOver = true;
        await callers;
        return { keys, cut: rail.cut - cutBefore };
      },
    };
  }
});

function spread(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b).map(Math.round);
  return `${sorted.at(sorted.length / 2)} ms (median; at most ${sorted.at(-1)} ms)`;
}
