import { spawn, type ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { setUpBankScene } from '../promises/bank-scene.js';
import { lockAccounts } from '../support/foreign-lock.js';
import { call, together } from '../support/http.js';

/** Little memory, no time to compute, a reader of figures who never reads: the machine, not the network. */
describe('a machine in trouble', () => {
  const scene = setUpBankScene();

  it('F21: with little memory and the largest bodies, some are told to come back, and nothing dies', async () => {
    const api = await scene.start({
      env: {
        // A quarter of what the API is started with. It boots in 40 MiB.
        NODE_OPTIONS: '--max-old-space-size=64 --max-semi-space-size=4',
        WAITING_MAX: '100',
      },
    });
    const unpaid = new Set<string>();
    const told: string[] = [];
    for (let wave = 0; wave < 2; wave += 1) {
      // Somebody holds Sam's account: one transaction waits for it, and behind that a queue forms, up to its limit.
      const lock = await lockAccounts(scene.database.url, 'sam');
      const keys = Array.from({ length: 400 }, (_, n) => `large-${wave}-${n}`);
      const answers = together(keys.length, async n => {
        const key = keys[n] as string;
        const answer = await payLargest(api.url, key);
        told.push(answer);
        if (answer !== '200') unpaid.add(key);
      });
      for (let looks = 0; !told.includes('503 overloaded') && looks < 400; looks += 1) await sleep(25);
      await lock.release();
      await answers;
    }
    expect(told).toEqual(expect.arrayContaining(['200', '503 overloaded']));
    // On a slow machine the lock outlasts the patience of some: they are told to come back, too.
    expect(told.filter(each => !/^(200|503 (overloaded|unavailable))$/.test(each))).toEqual([]);

    // Whoever comes back is served, by the same process.
    const left = [...unpaid];
    for (let at = 0; at < left.length; at += 50) {
      const some = left.slice(at, at + 50);
      const answers = await together(some.length, n => payLargest(api.url, some[n] as string));
      expect(new Set(answers)).toEqual(new Set(['200']));
    }
    expect(await call(`${api.url}/health/ready`)).toMatchObject({ status: 200 });
    expect(api.stderr()).toBe('');
    expect(await api.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  }, 90_000);

  it('F104: while others keep every core busy, no payment is taken over and all are paid', async () => {
    const api = await scene.start();
    const busyMs = 4_000;
    const loops = Array.from({ length: availableParallelism() }, () => spinFor(busyMs));
    const keys: string[] = [];
    const until = performance.now() + busyMs;
    while (performance.now() < until) {
      const batch = Array.from({ length: 10 }, (_, n) => `starved-${keys.length + n}`);
      keys.push(...batch);
      const answers = await together(batch.length, n => scene.payUntilAnswered(api, batch[n] ?? ''));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    }
    for (const loop of loops) loop.kill('SIGKILL');

    // A holder that is slow is not gone: its lease is long enough for that, and nobody else takes its payments.
    const takenOver = await scene.sql(
      "SELECT key, epoch FROM idempotency_keys WHERE starts_with(key, 'starved-') AND epoch > 1",
    );
    expect(takenOver).toEqual([]);
    expect(keys.length).toBeGreaterThanOrEqual(10);
  }, 60_000);

  it('F106: scrapers that ask and never read hold up no payment, and take up no memory', async () => {
    const api = await scene.start();
    const scrapers: Socket[] = [];
    const ask = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';
    for (let n = 0; n < 30; n += 1) {
      const socket = connect(api.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.pause();
      // Again and again, until its own buffers are full.
      for (let times = 0; times < 20; times += 1) socket.write(ask);
      scrapers.push(socket);
    }
    await sleep(500);
    const warm = await scene.metric(api, 'process_resident_memory_bytes');
    for (let n = 0; n < 20; n += 1) {
      for (const socket of scrapers) socket.write(ask);
      const began = performance.now();
      const { status } = await scene.pay(api, `beside-scrapers-${n}`, { rail: 'ledger' });
      expect([status, performance.now() - began < 10_000]).toEqual([200, true]);
    }
    expect((await scene.pay(api, 'beside-scrapers-bank')).status).toBe(200);
    expect((await scene.metric(api, 'process_resident_memory_bytes')) - warm).toBeLessThan(64 * 1024 ** 2);
    for (const socket of scrapers) socket.destroy();
  }, 60_000);

  /** A payment in our own books whose body is as long as one may be: white space, and then what it says. */
  async function payLargest(url: string, key: string): Promise<string> {
    const body = JSON.stringify({ to: 'sam', amount: 1, currency: 'GBP' }).padStart(64 * 1024);
    const { status, json } = await call(`${url}/payments`, { apiKey: scene.alice.apiKey, key, body });
    return status === 200 ? '200' : `${status} ${String(json?.['code'])}`;
  }

  /** Ends by itself, whatever becomes of this test. */
  function spinFor(ms: number): ChildProcess {
    return spawn(process.execPath, ['-e', `const end = Date.now() + ${ms}; while (Date.now() < end);`], {
      stdio: 'ignore',
    });
  }
});
