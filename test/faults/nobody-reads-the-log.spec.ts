import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../support/api-process.js';
import { call, together } from '../support/http.js';
import { PostgresProxy } from '../support/postgres-proxy.js';
import { isFirstAnswer, setUpScene } from '../support/scene.js';

/** Each of them is a line of about a kilobyte: several times what is kept for a reader that stands still. */
const failures = 4_000;

/** A log collector that stands still is an outage of the log, not of the payments. */
describe('nobody reads the log', () => {
  const scene = setUpScene();
  let folder: string;
  let reader: ChildProcess;
  let proxy: PostgresProxy;
  let api: ApiProcess;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pay-sam-log-'));
    const file = openSync(join(folder, 'log'), 'w');
    reader = spawn('cat', { stdio: ['pipe', file, 'ignore'] });
    closeSync(file);
    if (!reader.stdin) throw new Error('cat could not be started');
    proxy = await PostgresProxy.start(scene.database.url);
    api = await scene.start({ databaseUrl: proxy.url, stdout: reader.stdin });
    // The API has its own end of the pipe now. With ours open, the reader would never see the end.
    reader.stdin.destroy();
  });

  afterAll(() => {
    reader.kill('SIGKILL');
    proxy.stop();
    rmSync(folder, { recursive: true });
  });

  it('F105: requests do not wait for it, what cannot be kept is counted, and the process still ends', async () => {
    reader.kill('SIGSTOP');
    await failOften();
    expect(isFirstAnswer(await scene.pay(api, 'log-is-stuck'))).toBe(true);

    // It reads again: the lines that were kept, and how many were not.
    reader.kill('SIGCONT');
    await untilStill();
    await proxyRefuses(() => call(`${api.url}/payments`, { apiKey: scene.alice.apiKey }));
    await untilStill();
    const lines = readLog();
    const leftOut = lines.reduce((sum, line) => sum + (Number(line['leftOut']) || 0), 0);
    const told = lines.filter(line => line['msg'] === 'unavailable').length;
    expect(leftOut).toBeGreaterThan(0);
    expect(told).toBeGreaterThan(100);
    expect(told + leftOut).toBe(failures + 1);

    // And stuck again, with more to say than anybody will read.
    reader.kill('SIGSTOP');
    await failOften();
    expect(await api.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  }, 60_000);

  /** All that was kept has been read: the log has grown, and grows no more. */
  async function untilStill(): Promise<void> {
    for (let before = -1, now = readLog().length; before < now; now = readLog().length) {
      before = now;
      await sleep(500);
    }
  }

  async function failOften(): Promise<void> {
    await proxyRefuses(async () => {
      for (let sent = 0; sent < failures; sent += 100) {
        const answers = await together(100, () =>
          call(`${api.url}/payments`, { apiKey: scene.alice.apiKey }),
        );
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
      }
    });
  }

  async function proxyRefuses(meanwhile: () => Promise<unknown>): Promise<void> {
    proxy.stop();
    await meanwhile();
    await proxy.heal();
  }

  function readLog(): Record<string, unknown>[] {
    const text = readFileSync(join(folder, 'log'), 'utf8');
    return (
      text
        .split('\n')
        // What follows the last line break is still being written.
        .slice(0, -1)
        .filter(line => line.startsWith('{'))
        .map(line => JSON.parse(line) as Record<string, unknown>)
    );
  }
});
