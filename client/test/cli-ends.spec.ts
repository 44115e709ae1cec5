import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../start/ports.js';
import type { ApiProcess } from '../../test/support/api-process.js';
import { setUpScene } from '../../test/support/scene.js';
import { User, type Ran } from './support/paysam-process.js';
import { startSlowProxy } from './support/slow-proxy.js';

/** However `paysam` ends, and whenever: what it has begun can be brought to its end, and is paid once. */
describe('paysam that ends before its payment', () => {
  const scene = setUpScene();
  let api: ApiProcess;
  let proxy: Awaited<ReturnType<typeof startSlowProxy>>;
  const users: User[] = [];

  const user = (url = proxy.url) => {
    const one = new User({ PAYSAM_URL: url, PAYSAM_API_KEY: scene.alice.apiKey });
    users.push(one);
    return one;
  };
  const paymentsUnder = async (key: string) =>
    (await scene.sql('SELECT FROM payments WHERE idempotency_key = $1', [key])).length;

  beforeAll(async () => {
    api = await scene.start();
    proxy = await startSlowProxy(api.port);
  });
  afterEach(() => {
    for (const one of users.splice(0)) one.leave();
    Object.assign(proxy, { requestDelayMs: 0, answerDelayMs: 0 });
  });
  afterAll(() => {
    proxy.stop();
  });

  it.each([
    ['at once', 0],
    ['through a slow proxy', 60],
  ])(
    'killed 40 times, anywhere in its life, %s: resumed, each is paid once, and no key is left',
    async (_, delayMs) => {
      const name = `kill-${delayMs}`;
      Object.assign(proxy, { requestDelayMs: delayMs, answerDelayMs: delayMs });
      const lifeMs = await lifetime(user(), name);
      const seen = { nothing: 0, unsent: 0, onItsWay: 0, finished: 0 };
      for (let kill = 0; kill < 40; kill += 1) {
        const alice = user();
        const key = `${name}-${kill}`;
        const before = { ...proxy };
        const { child, ended } = alice.start(`pay sam 1 GBP --key ${key} --quiet`);
        // Over all of its life, and a little more, at no two places the same.
        await sleep(((kill + Math.random()) / 40) * lifeMs * 1.1);
        child.kill('SIGKILL');
        const { stdout } = await ended;
        const isWritten = alice.unfinished().length > 0;
        const isPaid = (await paymentsUnder(key)) > 0;
        seen[isWritten ? (isPaid ? 'onItsWay' : 'unsent') : isPaid ? 'finished' : 'nothing'] += 1;
        // What was told to be paid is paid. What was sent is written down, until its answer is there.
        if (stdout !== '') expect(isPaid).toBe(true);
        const { received, delivered } = proxy;
        if (received > before.received && delivered === before.delivered) expect(isWritten).toBe(true);

        const resumed = await alice.run('resume --quiet');
        expect([resumed.code, alice.unfinished()]).toEqual([0, []]);
        expect(await paymentsUnder(key)).toBe(isWritten || isPaid ? 1 : 0);
        if (isWritten || isPaid) continue;
        // Nothing had begun: whoever typed it types it again.
        expect((await alice.run(`pay sam 1 GBP --key ${key} --quiet`)).code).toBe(0);
      }
      // A kill that only ever came too early, or too late, would prove nothing.
      expect(seen.nothing).toBeGreaterThan(0);
      if (delayMs > 0) {
        expect(seen.unsent).toBeGreaterThan(0);
        expect(seen.onItsWay).toBeGreaterThan(0);
      }
      expect(
        await scene.sql('SELECT FROM payments WHERE idempotency_key LIKE $1', [`${name}-%`]),
      ).toHaveLength(40);
    },
    180_000,
  );

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s while the answer is on its way: 5, and what it prints brings it to its end',
    async signal => {
      proxy.answerDelayMs = 60_000;
      const alice = user();
      const running = alice.start('pay sam 1 GBP');
      const before = proxy.passed;
      while (proxy.passed === before) await sleep(5);
      running.child.kill(signal);
      const stopped = await running.ended;
      expect([stopped.code, stopped.signal, stopped.stdout]).toEqual([5, null, '']);
      const key = /\n {2}key {2}(\S+)\n/.exec(stopped.stderr)?.[1] ?? '';
      expect(printedCommands(stopped)).toEqual(['paysam resume', `paysam wait ${key}`]);
      expect(alice.unfinished()).toHaveLength(1);

      proxy.answerDelayMs = 0;
      for (const command of printedCommands(stopped)) {
        expect((await alice.runPrinted(command)).code).toBe(0);
      }
      expect([await paymentsUnder(key), alice.unfinished()]).toEqual([1, []]);
    },
  );

  it('by Ctrl-C in a wait between two attempts: 5, at once', async () => {
    const away = await startSlowProxy(api.port);
    const alice = user(away.url);
    away.answerDelayMs = 60_000;
    const running = alice.start('pay sam 1 GBP --timeout 0.3 --jitter none');
    await running.says('waiting');
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    away.stop();
    expect(code).toBe(5);
    expect(stderr).not.toContain('\nattempt 3');
    expect(stderr).toContain('you stopped it');
  });

  it('because nothing arrived: to ask is not enough then, and it says so', async () => {
    proxy.requestDelayMs = 600_000;
    const alice = user();
    expect((await alice.run('pay sam 1 GBP --key swallowed --attempts 1 --timeout 0.3')).code).toBe(5);
    proxy.requestDelayMs = 0;
    const asked = await alice.run('wait swallowed');
    expect([asked.code, asked.stderr]).toEqual([5, expect.stringContaining('has not seen this key so far')]);
    const [resume = ''] = printedCommands(asked);
    expect((await alice.runPrinted(resume)).code).toBe(0);
    expect(await paymentsUnder('swallowed')).toBe(1);
    expect((await alice.run('wait never-typed')).code).toBe(2);
  });

  it('by Ctrl-C before anything was sent: 130, and no key is left', async () => {
    const alice = user(`http://127.0.0.1:${await freePort()}`);
    const running = alice.start('pay sam 1 GBP --attempts 50');
    await running.says('waiting');
    running.child.kill('SIGINT');
    const { code } = await running.ended;
    expect([code, alice.unfinished()]).toEqual([130, []]);
  });

  it('by two signals of one keystroke, as under npx, still prints how to go on', async () => {
    proxy.answerDelayMs = 60_000;
    const alice = user();
    const running = alice.start('pay sam 1 GBP');
    const before = proxy.passed;
    while (proxy.passed === before) await sleep(5);
    // Two of a kind at once would arrive as one.
    running.child.kill('SIGINT');
    running.child.kill('SIGTERM');
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([5, expect.stringContaining('paysam resume')]);
    proxy.answerDelayMs = 0;
    expect((await alice.run('resume')).code).toBe(0);
  });

  /** From its start to its end, where nobody kills it. */
  async function lifetime(alice: User, name: string): Promise<number> {
    const began = performance.now();
    expect((await alice.run(`pay sam 1 GBP --key warm-${name} --quiet`)).code).toBe(0);
    return performance.now() - began;
  }
});

/** The lines below the key: each a comment, then what to type. */
function printedCommands({ stderr }: Ran): string[] {
  const lines = stderr.split('\n');
  return lines.filter((_, index) => lines[index - 1]?.startsWith('  # ')).map(line => line.trim());
}
