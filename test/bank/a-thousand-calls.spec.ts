import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { SmallBank, clientFor, first, late, order, silent } from './small-bank.js';

/** Timers and sockets of this process that would keep it alive. */
function held(): number {
  return process.getActiveResourcesInfo().filter(kind => /Timeout|TCP.*Wrap|TLSWrap/.test(kind)).length;
}

/** What was left by an earlier test may go in the meantime; what is ours lasts ten seconds, if it was forgotten. */
async function expectNoMoreThan(before: number): Promise<void> {
  for (let tries = 0; held() > before && tries < 40; tries += 1) await sleep(50);
  expect(held()).toBeLessThanOrEqual(before);
}

describe('a thousand calls at once', () => {
  it('are all paid once, over few connections, and leave nothing behind', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error) => {
      warnings.push(warning);
    };
    process.on('warning', warned);
    await sleep(500);
    const before = held();
    const bank = await SmallBank.start();
    bank.usual = late(50);
    const client = clientFor(bank.url, { bankTimeoutMs: 10_000, bankRequestTimeoutMs: 3_000 });
    const { signal } = new AbortController();

    const began = performance.now();
    const calls = Array.from({ length: 1_000 }, (_, n) =>
      client.pay({ ...order, reference: `pay_${n}` }, { ...first, signal }),
    );
    const answers = await Promise.all(calls);
    const ms = performance.now() - began;

    expect(answers.filter(({ kind }) => kind === 'done')).toHaveLength(1_000);
    expect(bank.charges).toBe(1_000);
    expect(bank.requests).toHaveLength(1_000);
    expect(bank.atOnceMost).toBe(100);
    // Ten turns of 50 ms, on a machine that is busy with the bank as well. One after the other would take 50 s.
    expect(ms).toBeLessThan(20_000);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);

    await client.close();
    await sleep(50);
    expect(await bank.connections()).toBe(0);
    bank.stop();
    await expectNoMoreThan(before);
    expect(warnings).toEqual([]);
    process.off('warning', warned);
  });

  it('end at once when the client is closed, as unknown or not sent, and none is begun after that', async () => {
    await sleep(500);
    const before = held();
    const bank = await SmallBank.start();
    bank.usual = silent;
    const client = clientFor(bank.url, {
      bankTimeoutMs: 10_000,
      bankRequestTimeoutMs: 9_000,
      bankRequestsAtOnceMax: 10,
    });
    const calls = Array.from({ length: 1_000 }, (_, n) =>
      client.pay({ ...order, reference: `pay_${n}` }, first),
    );
    while (bank.requests.length < 10) await sleep(10);
    const began = Date.now();
    await client.close();
    const kinds = (await Promise.all(calls)).map(({ kind }) => kind);
    expect(Date.now() - began).toBeLessThan(5_000);
    expect(kinds.filter(kind => kind === 'unknown')).toHaveLength(10);
    expect(kinds.filter(kind => kind === 'not_sent')).toHaveLength(990);
    expect(await client.pay(order, first)).toEqual({ kind: 'not_sent', reason: 'this process is stopping' });
    await client.close();
    bank.stop();
    await expectNoMoreThan(before);
  });
});
