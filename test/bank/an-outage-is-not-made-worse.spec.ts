import { setTimeout as sleep } from 'node:timers/promises';
import type { BankClient } from '../../src/bank/bank.client.js';
import {
  SmallBank,
  afterCharging,
  clientFor,
  error,
  first,
  honest,
  late,
  order,
  resets,
  says,
  silent,
  watchBank,
} from './small-bank.js';

const pay = (client: BankClient, reference: string) => client.pay({ ...order, reference }, first);

describe('an outage is not made worse', () => {
  let bank: SmallBank;
  beforeEach(async () => {
    bank = await SmallBank.start();
  });
  afterEach(() => {
    bank.stop();
  });

  it('opens the circuit under load, answers at once meanwhile, and closes it when the bank is back', async () => {
    const client = clientFor(bank.url, { bankBreakMs: 400 });
    await Promise.all(Array.from({ length: 50 }, (_, n) => pay(client, `before_${n}`)));
    expect(client.isAnswering).toBe(true);
    // Not before: fifty that begin together may time out on a machine that has other things to do.
    const { events, stop } = watchBank();

    bank.usual = resets;
    const began = Date.now();
    while (client.isAnswering && Date.now() - began < 2_000)
      await Promise.all(Array.from({ length: 20 }, (_, n) => pay(client, `down_${n}`)));
    expect(client.isAnswering).toBe(false);
    const [heard, now] = [bank.requests.length, performance.now()];
    const turnedAway = await pay(client, 'turned_away');
    expect(turnedAway).toEqual({ kind: 'not_sent', reason: 'the bank does not answer at the moment' });
    // It did not wait for the circuit to close.
    expect(performance.now() - now).toBeLessThan(300);
    expect(bank.requests).toHaveLength(heard);

    // After the break one request tries, and only one.
    await sleep(450);
    expect(client.isAnswering).toBe(true);
    await Promise.all(Array.from({ length: 20 }, (_, n) => pay(client, `trial_${n}`)));
    expect(bank.requests).toHaveLength(heard + 1);
    expect(client.isAnswering).toBe(false);

    bank.usual = honest;
    await sleep(450);
    expect((await pay(client, 'after')).kind).toBe('done');
    expect(client.isAnswering).toBe(true);
    stop();
    expect(events.flatMap(event => ('circuit' in event ? event.circuit : []))).toEqual([
      'open',
      'half_open',
      'open',
      'half_open',
      'closed',
    ]);
    await client.close();
  });

  it('opens the circuit when the bank falls silent: with the first time-outs', async () => {
    const client = clientFor(bank.url, { bankRequestsAtOnceMax: 50 });
    await Promise.all(Array.from({ length: 200 }, (_, n) => pay(client, `before_${n}`)));
    bank.usual = silent;
    bank.requests.length = 0;
    const calls = Array.from({ length: 200 }, (_, n) => pay(client, `down_${n}`));
    const answers = await Promise.all(calls);
    // One turn of fifty, and the turns that came free until the thirty-sixth time-out: not all two hundred.
    expect(bank.requests.length).toBeLessThan(100);
    expect(new Set(answers.map(({ kind }) => kind))).toEqual(new Set(['unknown', 'not_sent']));
    await client.close();
  });

  it('stays closed for one who tries every payee that fails, one after the other', async () => {
    const client = clientFor(bank.url);
    const busy = says(503, error('unavailable'));
    for (let round = 0; round < 3; round += 1) {
      bank.plan(busy, busy, busy);
      expect((await pay(client, `flo_${round}`)).kind).toBe('done');
      bank.plan(afterCharging(silent));
      expect((await pay(client, `tim_${round}`)).kind).toBe('done');
      bank.plan(silent);
      expect((await pay(client, `nia_${round}`)).kind).toBe('done');
      expect(client.isAnswering).toBe(true);
    }
    await client.close();
  });

  it('has no more requests under way than it may, and makes the others wait', async () => {
    bank.usual = late(20);
    const client = clientFor(bank.url, { bankRequestsAtOnceMax: 7 });
    const answers = await Promise.all(Array.from({ length: 70 }, (_, n) => pay(client, `pay_${n}`)));
    expect(answers.every(({ kind }) => kind === 'done')).toBe(true);
    expect(bank.atOnceMost).toBe(7);
    await client.close();
  });

  it('adds next to nothing to the load of a bank in trouble, once the budget is used', async () => {
    // It answers questions and takes no payment, so the circuit has no reason to open while calls ask.
    bank.usual = (response, process, request) => {
      if (request.method === 'GET') honest(response, process);
      else says(503, error('unavailable'))(response, process, request);
    };
    const client = clientFor(bank.url, { bankRetryTokens: 50, bankBreakMs: 1, bankBackoffMs: 1 });
    const calls = 200;
    let made = 0;
    for (let n = 0; n < calls; n += 1) {
      if (!client.isAnswering) await sleep(2);
      const before = bank.requests.length;
      expect((await pay(client, `pay_${n}`)).kind).not.toBe('done');
      made += bank.requests.length - before;
    }
    expect(made).toBeLessThan(calls * 1.2);
    expect(made).toBeGreaterThan(calls * 0.9);
    await client.close();
  });

  const inSeconds = (ms: number) => String(Math.round(ms / 1_000));
  const asDate = (ms: number) => new Date(Date.now() + ms).toUTCString();
  it.each([
    ['seconds', inSeconds(1_000), 900],
    ['a date', asDate, 900],
    // Uncapped, it would outlast the call, which would then end as unknown.
    ['an hour, which is too long', inSeconds(3_600_000), 1_900],
  ] as const)('comes back when told to: %s', async (_, given, leastMs) => {
    const retryAfter = typeof given === 'string' ? given : given(2_000);
    bank.plan(says(429, error('too_many_requests'), { 'retry-after': retryAfter }));
    const client = clientFor(bank.url, { bankTimeoutMs: 5_000, bankBackoffMaxMs: 2_000 });
    const began = Date.now();
    expect((await pay(client, 'pay_1')).kind).toBe('done');
    expect(Date.now() - began).toBeGreaterThanOrEqual(leastMs);
    await client.close();
  });

  it('does not begin a wait that outlasts the call', async () => {
    bank.usual = says(503, error('unavailable'), { 'retry-after': '60' });
    const client = clientFor(bank.url, { bankTimeoutMs: 1_000, bankBackoffMaxMs: 2_000 });
    expect(await pay(client, 'pay_1')).toMatchObject({
      kind: 'unknown',
      reason: expect.stringContaining('no time left for another request') as unknown,
    });
    await client.close();
  });
});
