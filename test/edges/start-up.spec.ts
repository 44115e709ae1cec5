import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { createDatabase, type Database } from '../support/database.js';

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  tookMs: number;
}

describe('an API that cannot start says why, in one line, and is gone', () => {
  let database: Database;
  let busy: Server;
  let busyPort: string;
  let free: string;

  beforeAll(async () => {
    database = await createDatabase();
    busy = createServer().listen(0, '127.0.0.1');
    await once(busy, 'listening');
    busyPort = String((busy.address() as AddressInfo).port);
    // Nobody listens there any more.
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    free = String((closed.address() as AddressInfo).port);
    closed.close();
    await once(closed, 'close');
  });
  afterAll(async () => {
    busy.close();
    await database.drop();
  });

  async function start(env: Record<string, string>): Promise<Ended> {
    const started = Date.now();
    const child = spawn(process.execPath, ['dist/src/main.js'], {
      env: { PATH: process.env['PATH'], NODE_ENV: 'production', PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 15_000,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdout, stderr, tookMs: Date.now() - started };
  }

  function expectOneLine({ code, stdout, stderr, tookMs }: Ended, ...words: string[]): void {
    expect(stdout).toBe('');
    for (const word of words) expect(stderr).toContain(word);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stderr).not.toMatch(/\n\s+at |node_modules|Error:/);
    expect(code).toBe(1);
    expect(tookMs).toBeLessThan(8_000);
  }

  const withDatabase = (name: string) => Object.assign(new URL(database.url), { pathname: name }).href;

  it('without a database: DATABASE_URL is named', async () => {
    expectOneLine(await start({}), 'DATABASE_URL');
  });

  it.each([
    ['PORT', '-1'],
    ['LOG_LEVEL', 'loud'],
  ])('with a setting that makes no sense, %s=%s: the setting is named', async (name, value) => {
    expectOneLine(await start({ DATABASE_URL: database.url, [name]: value }), name);
  });

  it('on a port that is taken: the port is named', async () => {
    expectOneLine(await start({ DATABASE_URL: database.url, PORT: busyPort }), busyPort);
  });

  it('on a database that nobody serves', async () => {
    const url = Object.assign(new URL(database.url), { host: `127.0.0.1:${free}` }).href;
    expectOneLine(await start({ DATABASE_URL: url }), free);
  });

  it('on a database that does not exist', async () => {
    expectOneLine(await start({ DATABASE_URL: withDatabase('no_such_database') }), 'no_such_database');
  });

  it('with the wrong password, which it does not repeat', async () => {
    const url = Object.assign(new URL(database.url), { username: 'nobody', password: 'wrong-secret' }).href;
    const ended = await start({ DATABASE_URL: url });
    expectOneLine(ended, 'nobody');
    expect(ended.stderr).not.toContain('wrong-secret');
  });

  it('on a database whose schema is older than the code: the remedy is named', async () => {
    const old = await createDatabase();
    await old.sql('DELETE FROM migrations WHERE id = (SELECT max(id) FROM migrations)');
    expectOneLine(await start({ DATABASE_URL: old.url }), 'npm run migrate');
    await old.drop();
  });

  it('on a database that was never migrated: the remedy is named, and nothing is made there', async () => {
    const empty = await createDatabase();
    await empty.sql('DROP SCHEMA public CASCADE');
    await empty.sql('CREATE SCHEMA public');
    expectOneLine(await start({ DATABASE_URL: empty.url }), 'npm run migrate');
    expect(await empty.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).toEqual([]);
    await empty.drop();
  });
});
