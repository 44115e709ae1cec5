import { setTimeout as sleep } from 'node:timers/promises';
import { startApi, startWorker, type ApiProcess, type RealProcess } from '../support/api-process.js';
import type { Answer } from '../support/http.js';
import { historyOf } from '../support/key-history.js';
import { CrashLane, shortPatience, type Order } from './crash-lane.js';

/**
 * A process stands still for longer than its lease, and wakes up while somebody else is at work on its payment. It
 * cannot know. The epoch does: whatever it writes then touches nothing, and the bank knows the reference (F15, F16).
 */
describe('a holder that wakes up too late writes nothing', () => {
  let lane: CrashLane;
  /** Takes over, and is kept at the bank for as long as the test likes. */
  let successor: ApiProcess;
  let sleeper: RealProcess | undefined;

  beforeAll(async () => {
    lane = await CrashLane.open();
    const patience = { LEASE_MS: '8000', BANK_TIMEOUT_MS: '7000', BANK_REQUEST_TIMEOUT_MS: '7000' };
    successor = await startApi({ databaseUrl: lane.database.url, env: { ...lane.env, ...patience } });
  });

  afterEach(() => sleeper?.kill());

  afterAll(async () => {
    await successor.kill();
    const { reads, violations } = await lane.close();
    expect(violations).toEqual([]);
    expect(reads).toBeGreaterThan(0);
  });

  const places = [
    ['before it has asked the bank to pay (K2p)', 'funds_reserved', 'call_begins'],
    ['with the bank’s yes in memory (K5p)', 'funds_reserved', 'call_ended'],
    ['with the news that it has settled in memory (K5q)', 'transfer_sent', 'call_ended'],
  ] as const;

  it.each(places)('a request that stood still %s', async (_, point, event) => {
    const order = newOrder(`late-request-${point}-${event}`);
    const api = await startApi({ ...frozenAt(`${event}@${point}`), env: lane.env });
    sleeper = api;
    const told = lane.pay(api, order);
    await api.faultPointReached();

    const answer = await wakeUpTooLate(api, order, () => untilFenced(api));
    // It is not its own any more: its caller is told what the successor brought about.
    expect([(await told).status, (await told).text]).toEqual([200, answer.text]);
    expect(await isFenced(api)).toBe(true);
  });

  it.each(places)('a completer that stood still %s', async (_, point, event) => {
    const order = newOrder(`late-completer-${point}-${event}`);
    await lane.abandon(order, point);
    const args = ['completer', '--once', '--json'];
    const worker = startWorker({ ...frozenAt(`${event}@${point}`), env: lane.env, args });
    sleeper = worker;
    await worker.faultPointReached();

    await wakeUpTooLate(worker, order, () => outputOf(worker));
    expect(JSON.parse(await outputOf(worker))).toMatchObject({
      completer: { takenOver: 1, finished: 0, lost: 1 },
    });
  });

  function newOrder(key: string): Order {
    return { key, payer: lane.alice, to: 'sam', amount: 250, rail: 'bank' };
  }

  function frozenAt(faultPoint: string) {
    return { databaseUrl: lane.database.url, faultPoint, faultSignal: 'SIGSTOP' as const };
  }

  /** Wakes it while its successor is in the middle of it, until it has `noticed`. @returns the successor's answer */
  async function wakeUpTooLate(
    woken: RealProcess,
    order: Order,
    noticed: () => Promise<unknown>,
  ): Promise<Answer> {
    await sleep(Number(shortPatience.LEASE_MS));
    const target = { at: 'before', method: 'GET', times: 1 };
    const { id } = (await lane.bank.control('POST', '/barriers', target)) as { id: string };
    const succeeded: Promise<Answer> = lane.pay(successor, order);
    await lane.bank.control('GET', `/barriers/${id}?wait_ms=5000`);
    const before = await historyOf(lane.sql, order.key);

    woken.signal('SIGCONT');
    await noticed();
    expect(await historyOf(lane.sql, order.key)).toEqual(before);

    await lane.bank.control('DELETE', `/barriers/${id}`);
    const answer = await succeeded;
    expect(answer.status).toBe(200);
    expect((await lane.pay(lane.survivor, order)).text).toBe(answer.text);
    expect(await lane.violations()).toEqual([]);
    return answer;
  }

  /** It has tried to write. Should anything have been written, the history says what: so this does not wait for ever. */
  async function untilFenced(api: ApiProcess): Promise<void> {
    const until = performance.now() + 5_000;
    while (!(await isFenced(api)) && performance.now() < until) await sleep(20);
  }

  async function isFenced({ url }: ApiProcess): Promise<boolean> {
    const metrics = await fetch(`${url}/metrics`).then(answer => answer.text());
    return /^paysam_fenced_total\S* 1$/m.test(metrics);
  }

  /** What it says when it is done. */
  async function outputOf({ stdout }: RealProcess): Promise<string> {
    while (!stdout().includes('\n')) await sleep(20);
    return stdout();
  }
});
