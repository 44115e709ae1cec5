import { setTimeout as sleep } from 'node:timers/promises';
import { Rail } from '../crashes/rail.js';
import type { ApiProcess, RealProcess } from '../support/api-process.js';
import { call, together } from '../support/http.js';
import { historyOf } from '../support/key-history.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';
import { numbered } from './abandoned.js';

const hoursMs = 3_600_000;
const leaseMs = 1_500;

/**
 * Somebody sets the clock of a running process by two hours. Leases and expiry are the database's; and whatever is
 * waited for here is measured by a clock that nobody can set (F94).
 */
describe.each([
  ['back', -2 * hoursMs],
  ['forwards', 2 * hoursMs],
])('a clock that is set %s changes nothing', (_, stepMs) => {
  const settable = {
    imports: ['./test/support/shifted-clock.ts'],
    env: { CLOCK_SHIFT_MS: '0', CLOCK_STEP_MS: String(stepMs), REQUESTS_PER_SECOND_MAX: '40' },
  };
  let rail: Rail;
  let api: ApiProcess;
  let neighbour: ApiProcess;

  beforeAll(async () => {
    rail = await Rail.open({ LEASE_MS: String(leaseMs) });
    [api, neighbour] = await Promise.all([rail.startApi(settable), rail.startApi()]);
  });

  afterEach(async () => {
    await rail.untilAllHaveEnded();
    expect(await rail.quietViolations()).toEqual([]);
  });

  afterAll(() => rail.close());

  /** Now, and not before the process can be told; resolves once it goes by another time. */
  const setClock = async (process: RealProcess) => {
    await untilSaid(process, { words: 'the clock can be set', times: 1 });
    const times = countSaid(process, 'the clock was set') + 1;
    process.signal('SIGUSR2');
    await untilSaid(process, { words: 'the clock was set', times });
  };

  it('F94: not what a holder holds, nor how long a caller waits, nor the times that it is told', async () => {
    const barrier = await rail.barrier('before');
    const first = rail.pay(api, 'held');
    await barrier.holds(1);
    const before = await rail.row('held');
    const began = performance.now();
    const waiting = call(`${api.url}/payments`, {
      apiKey: rail.alice.apiKey,
      key: 'held',
      body: { to: 'sam', amount: 100, currency: 'GBP', rail: 'bank' },
      headers: { prefer: 'wait=1' },
    });
    await setClock(api);
    const repeat = await rail.pay(neighbour, 'held');
    const { epoch, locked_until: lease } = await rail.row('held');
    await barrier.release();
    expect((await waiting).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect([repeat.status, repeat.json?.code]).toEqual([409, 'in_progress']);
    expect([1, 2]).toContain(Number(repeat.headers.get('retry-after')));
    expect([epoch, lease]).toEqual([1, before.locked_until]);

    const answer = await first;
    const replay = await rail.pay(neighbour, 'held');
    expect([isFirstAnswer(answer) || isReplay(answer), isReplay(replay)]).toEqual([true, true]);
    expect(replay.text).toBe(answer.text);
    const { expires_at: expires, finished_at: finished, read_at: now } = await rail.row('held');
    expect(Number(expires) - Number(finished)).toBe(72 * hoursMs);
    expect(Math.abs(Number(now) - Date.parse(String(answer.json?.completed_at)))).toBeLessThan(60_000);
  }, 60_000);

  it('F94: not when a silent bank is given up, and not when somebody takes over', async () => {
    const completer = rail.startWorker(['completer'], settable);
    const barrier = await rail.barrier('before', { times: 0 });
    const began = performance.now();
    const first = rail.pay(api, 'silent');
    await barrier.holds(1);
    await Promise.all([setClock(api), setClock(completer)]);
    // The call has its 1.2 seconds, not two hours, and not none.
    const answer = await first;
    expect(answer.status).toBe(202);
    expect(performance.now() - began).toBeGreaterThan(900);
    expect(performance.now() - began).toBeLessThan(12_000);
    await barrier.release();

    await rail.untilRow('silent', ({ recovery_point: point }) => point === 'finished');
    await completer.kill();
    const steps = await historyOf(rail.sql, 'silent');
    const owners = steps.filter((step, index) => step.epoch > (steps[index - 1]?.epoch ?? 1));
    expect(owners.length).toBeGreaterThan(0);
    expect((await rail.charges()).get((await rail.row('silent')).payment_id)).toBe(1);
  }, 60_000);

  it('F94: not how long a break of the circuit to the bank lasts', async () => {
    await rail.bank.kill();
    const keys = numbered('outage', 45);
    for (const half of [keys.slice(0, 23), keys.slice(23)]) {
      const told = await together(half.length, index => rail.pay(neighbour, half[index] ?? ''));
      expect(new Set(told.map(({ status }) => status))).toEqual(new Set([202]));
    }
    const completer = rail.startWorker(['completer'], settable);
    await sleep(1_000);
    await setClock(completer);
    await rail.bank.restart();
    await rail.untilAllHaveEnded();
    await completer.kill();
    expect([...(await rail.charges()).values()].every(charges => charges === 1)).toBe(true);
  }, 60_000);

  it('F94: not how many requests a second a customer may send', async () => {
    const ask = () => call(`${api.url}/payments?limit=1`, { apiKey: rail.alice.apiKey });
    await sleep(1_100);
    const burst = await together(100, ask);
    expect(burst.some(({ status }) => status === 429)).toBe(true);
    await setClock(api);
    for (const { status, headers } of await together(50, ask)) {
      if (status === 429) expect(headers.get('retry-after')).toBe('1');
    }
    await sleep(1_100);
    expect((await ask()).status).toBe(200);
  }, 60_000);
});

function countSaid({ stderr }: RealProcess, words: string): number {
  return stderr().split(words).length - 1;
}

async function untilSaid(process: RealProcess, { words, times }: { words: string; times: number }) {
  for (let looks = 0; countSaid(process, words) < times; looks += 1) {
    if (looks === 600) throw new Error(`it never said that ${words}`);
    await sleep(25);
  }
}
