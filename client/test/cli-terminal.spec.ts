import { spawnSync } from 'node:child_process';
import { freePort } from '../../start/ports.js';
import type { ApiProcess } from '../../test/support/api-process.js';
import { setUpScene } from '../../test/support/scene.js';
import { User } from './support/paysam-process.js';

const hasPty = spawnSync('python3', ['-c', 'import pty']).status === 0;

describe(`paysam on a terminal${hasPty ? '' : ' (skipped: there is no python3 with a pty here)'}`, () => {
  const scene = setUpScene();
  let api: ApiProcess;
  let alice: User;
  const onATerminal = hasPty ? it : it.skip;

  beforeAll(async () => {
    api = await scene.start();
    alice = new User({ PAYSAM_URL: api.url, PAYSAM_API_KEY: scene.alice.apiKey });
  });
  afterAll(() => {
    alice.leave();
  });

  onATerminal('tells its story in colour, and what it draws over is gone in the end', async () => {
    const { code, stdout } = await alice.runOnTerminal('pay sam 1 GBP --key seen');
    expect(code).toBe(0);
    expect(stdout).toContain('\x1b[32m200\x1b[39m');
    expect(stdout).toContain('attempt 1  POST /payments …');
    expect(shown(stdout)).toEqual([
      'Paying 1.00 GBP to sam',
      'key seen',
      expect.stringMatching(/^attempt 1 {2}POST \/payments {2}200 {2}\d+ ms {2}request [0-9a-f-]{36}$/),
      'Paid 1.00 GBP from alice to sam.',
      expect.stringMatching(/^payment {2}[0-9a-f-]{36}$/),
      'key      seen',
    ]);
  });

  onATerminal('counts a wait down in place, and leaves one line of it', async () => {
    const away = { PAYSAM_URL: `http://127.0.0.1:${await freePort()}` };
    const { code, stdout } = await alice.runOnTerminal('pay sam 1 GBP --attempts 4 --jitter none', away);
    expect(code).toBe(6);
    const countdown = stdout.match(/waiting \d+ ms before attempt 4/g) ?? [];
    expect(new Set(countdown).size).toBeGreaterThan(2);
    expect(shown(stdout).filter(line => line.includes('wait'))).toEqual([
      'waited 100 ms (backoff)',
      'waited 200 ms (backoff)',
      'waited 400 ms (backoff)',
    ]);
  });

  onATerminal('is never coloured with NO_COLOR', async () => {
    const { stdout } = await alice.runOnTerminal('pay sam 1 GBP', { NO_COLOR: '1' });
    expect(stdout).not.toMatch(/\x1b\[[\d;]*m/);
    expect(shown(stdout)).toContain('Paying 1.00 GBP to sam');
  });

  onATerminal('that is dumb is told plain lines', async () => {
    const { stdout } = await alice.runOnTerminal('pay sam 1 GBP', { TERM: 'dumb' });
    expect(stdout).not.toContain('\x1b');
  });
});

/** What stays on the screen, line by line, without its colours. */
function shown(stdout: string): string[] {
  const lines = stdout.trimEnd().split('\r\n');
  return lines.map(line => (line.split('\r\x1b[2K').at(-1) ?? '').replace(/\x1b\[[\d;]*m/g, ''));
}
