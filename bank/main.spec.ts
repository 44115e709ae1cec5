import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, endOf, openBank, order } from './testing/caller.js';

let folder: string;
let books: string;
const running: { end: (signal: NodeJS.Signals) => Promise<unknown> }[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'paysam-bank-'));
  books = join(folder, 'new', 'folder', 'bank.db');
});
afterEach(async () => {
  for (const bank of running.splice(0)) await bank.end('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** The bank as its own process, out of what `npm test` has built. */
function run(env: Record<string, string> = {}, ipc = false) {
  const child = spawn(process.execPath, ['dist/bank/main.js'], {
    env: { PATH: process.env['PATH'], BANK_PORT: '0', BANK_BOOKS: books, BANK_CONTROL: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
  });
  const said = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
  // With a channel that this side closed, Node never says 'close', which would mean that all output is here.
  const exited = once(child, ipc ? 'exit' : 'close').then(
    ([code, signal]) => (signal ?? code) as string | number,
  );
  const bank = {
    child,
    said,
    exited,
    end: async (signal: NodeJS.Signals) => {
      child.kill(signal);
      return exited;
    },
  };
  running.push(bank);
  return bank;
}

async function start(env: Record<string, string> = {}, ipc = false) {
  const bank = run(env, ipc);
  while (!bank.said.stdout.includes('\n')) {
    if (bank.child.exitCode !== null) throw new Error(bank.said.stderr);
    await sleep(10);
  }
  const url = bank.said.stdout.trim().replace('The bank listens on ', '');
  const call = (method: string, path: string, body?: object) => ask(url, method, path, body ? { body } : {});
  return { ...bank, url, call };
}

describe('the books', () => {
  it('hold every charge that was answered, however the bank was killed', async () => {
    const first = await start({ BANK_SETTLE_MS: '60000' });
    const answered: string[] = [];
    // Killed in the middle of the load, by the first answer of the last third.
    const payments = Array.from({ length: 300 }, async (_, index) => {
      const { status } = await first.call('PUT', `/transfers/r${index}`, order);
      if (status !== 201) throw new Error(`got ${status}`);
      answered.push(`r${index}`);
      if (answered.length === 200) first.child.kill('SIGKILL');
    });
    await Promise.allSettled(payments);
    expect(await first.exited).toBe('SIGKILL');
    expect(answered.length).toBeGreaterThanOrEqual(200);

    const second = await start();
    const { bookings } = (await second.call('GET', '/transfers')).json as {
      bookings: { reference: string }[];
    };
    const charged = bookings.map(({ reference }) => reference);
    expect(charged).toEqual(expect.arrayContaining(answered));
    expect(new Set(charged).size).toBe(charged.length);
    const repeat = await second.call('PUT', '/transfers/r0', order);
    expect(repeat.status).toBe(charged.includes('r0') ? 200 : 201);
    for (const reference of answered.slice(0, 20)) {
      expect((await second.call('GET', `/transfers/${reference}`)).json.status).toBe('accepted');
    }
  });

  it('settle and return in their time, even while the bank is down', async () => {
    const first = await start({ BANK_SETTLE_MS: '700' });
    await first.call('PUT', '/transfers/settles', order);
    await first.call('POST', '/control/faults', { kind: 'returned' });
    const accepted = await first.call('PUT', '/transfers/returns', order);
    expect(accepted.json.status).toBe('accepted');
    await first.end('SIGKILL');
    await sleep(700);
    const second = await start();
    const { bookings } = (await second.call('GET', '/transfers')).json;
    expect(bookings).toMatchObject([
      { sequence: 1, kind: 'charge', reference: 'settles' },
      { sequence: 2, kind: 'charge', reference: 'returns' },
      { sequence: 3, kind: 'return', reference: 'returns' },
    ]);
    expect((await second.call('GET', '/transfers/settles')).json.status).toBe('settled');
    expect((await second.call('GET', '/transfers/returns')).json.status).toBe('returned');
  });
});

describe('the bank as a process', () => {
  it('says where it listens, in one line, and nothing else', async () => {
    const bank = await start();
    expect((await ask(bank.url, 'GET', '/health')).status).toBe(200);
    await bank.call('PUT', '/transfers/a', order);
    expect(bank.said.stdout).toMatch(/^The bank listens on http:\/\/127\.0\.0\.1:\d+\n$/);
    expect(bank.said.stderr).toBe('');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('stops at once on %s, whoever still hangs', async signal => {
    const bank = await start();
    const hanging = endOf(bank.call('PUT', '/transfers/a', { ...order, creditor: 'tim' }));
    while ((await bank.call('GET', '/control/books')).json.charges === 0) await sleep(10);
    const started = performance.now();
    expect(await bank.end(signal)).toBe(0);
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(await hanging).toBe('ECONNRESET');
    expect(bank.said.stderr).toBe('');
  });

  it('stops when the process that started it is gone', async () => {
    const bank = await start({}, true);
    bank.child.disconnect();
    expect(await bank.exited).toBe(0);
  });

  it('does what its environment says', async () => {
    const env = { BANK_API_KEY: 'other', BANK_SETTLE_MS: '0', BANK_DELAY_MS: '120', BANK_CONTROL: '' };
    const bank = await start({ ...env, BANK_REMEMBERS_MS: '1', BANK_HANG_MS: '10' });
    expect((await bank.call('GET', '/transfers')).status).toBe(401);
    const asOther = (method: string, path: string, body?: object) =>
      ask(bank.url, method, path, { apiKey: 'other', ...(body && { body }) });
    const started = performance.now();
    expect((await asOther('PUT', '/transfers/a', order)).json.status).toBe('settled');
    expect(performance.now() - started).toBeGreaterThanOrEqual(115);
    expect((await asOther('GET', '/transfers/a')).status).toBe(404);
    expect(await endOf(asOther('PUT', '/transfers/t', { ...order, creditor: 'tim' }))).toBe('ECONNRESET');
    expect((await asOther('GET', '/control/books')).status).toBe(404);
  });

  it.each([
    ['BANK_PORT', '70000'],
    ['BANK_PORT', '-1'],
    ['BANK_SETTLE_MS', 'soon'],
    ['BANK_HANG_MS', '99999999999'],
    ['BANK_CONTROL', 'yes'],
  ])('does not start with %s=%s, and says why in one sentence', async (name, value) => {
    await expectRefusal({ [name]: value }, `${name} is "${value}": it must be `);
  });

  it('does not start with a key that fits into no header, and does not repeat it', async () => {
    await expectRefusal(
      { BANK_API_KEY: 'two words' },
      'BANK_API_KEY must be printable ASCII without spaces.',
    );
  });

  it('does not start on a port that is taken', async () => {
    const other = await openBank();
    await expectRefusal({ BANK_PORT: String(other.port) }, 'set BANK_PORT to another one.');
    await other.stop();
  });

  it('does not start on books it cannot read', async () => {
    books = join(folder, 'letter.txt');
    writeFileSync(books, 'Dear bank, this is no database. '.repeat(100));
    await expectRefusal({}, `The books at ${books} cannot be opened: `);
  });

  async function expectRefusal(env: Record<string, string>, words: string): Promise<void> {
    const bank = run(env);
    expect(await bank.exited).toBe(1);
    expect(bank.said.stdout).toBe('');
    expect(bank.said.stderr).toContain(words);
    expect(bank.said.stderr).toMatch(/^The bank could not start\. .+\n$/);
  }
});
