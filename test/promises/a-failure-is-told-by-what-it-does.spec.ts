import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { Client, Pool, type ClientConfig } from 'pg';
import { isWorthAnotherTry, sqlStateOf } from '../../src/database/failures.js';
import { createDatabase, type Database } from '../support/database.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { PostgresProxy } from '../support/postgres-proxy.js';

/**
 * Which failures of a transaction are worth another try. Each is provoked for real: what a driver reports for a
 * lost connection is nothing one could guess.
 */
describe('a failure is told by what it does', () => {
  let database: Database;
  let proxy: PostgresProxy;
  const clients: Client[] = [];

  beforeAll(async () => {
    database = await createDatabase();
    proxy = await PostgresProxy.start(database.url);
    await database.sql('CREATE TABLE notes (id integer PRIMARY KEY, text text CHECK (text <> $$bad$$))');
    await database.sql("INSERT INTO notes VALUES (1, 'one'), (2, 'two')");
  });
  afterEach(async () => {
    await Promise.allSettled(clients.splice(0).map(client => client.end()));
    await proxy.heal();
    await expectNoLeaks(database.sql);
  });
  afterAll(async () => {
    proxy.stop();
    await database.drop();
  });

  async function client(config: ClientConfig = {}): Promise<Client> {
    const client = new Client({ connectionString: database.url, ...config });
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  }

  /** Two transactions, the first of which has changed row 1. */
  async function two(isolation = 'READ COMMITTED'): Promise<[Client, Client]> {
    const [first, second] = [await client(), await client()];
    await Promise.all([first, second].map(each => each.query('BEGIN ISOLATION LEVEL ' + isolation)));
    await second.query('SELECT FROM notes');
    await first.query("UPDATE notes SET text = 'first' WHERE id = 1");
    return [first, second];
  }

  const change = "UPDATE notes SET text = 'second' WHERE id = 1";

  const passing: Record<string, [code: string | null, provoke: () => Promise<unknown>]> = {
    'another transaction came first': [
      '40001',
      async () => {
        const [first, second] = await two('REPEATABLE READ');
        await first.query('COMMIT');
        await second.query(change);
      },
    ],
    'a deadlock': [
      '40P01',
      async () => {
        const [first, second] = await two();
        await second.query("UPDATE notes SET text = 'x' WHERE id = 2");
        const either = [second.query(change), first.query("UPDATE notes SET text = 'y' WHERE id = 2")];
        // One of them gives way, and only then can the other go on.
        await Promise.all(either);
      },
    ],
    'a lock time-out': [
      '55P03',
      async () => {
        const [, second] = await two();
        await second.query("SET lock_timeout = '20ms'");
        await second.query(change);
      },
    ],
    'a statement time-out': [
      '57014',
      async () => {
        const [, second] = await two();
        await second.query("SET statement_timeout = '20ms'");
        await second.query(change);
      },
    ],
    'a transaction that was silent for too long': [
      '25P03',
      async () => {
        const silent = await client();
        await silent.query("BEGIN; SET LOCAL idle_in_transaction_session_timeout = '20ms'");
        const [error] = (await once(silent, 'error')) as [Error];
        throw error;
      },
    ],
    'a server that may not write': [
      '25006',
      async () => {
        const reader = await client();
        await reader.query('BEGIN READ ONLY');
        await reader.query(change);
      },
    ],
    'a server with no connection to spare': [
      '53300',
      async () => {
        const role = `guest_${randomBytes(4).toString('hex')}`;
        await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'guest' CONNECTION LIMIT 0`);
        const url = Object.assign(new URL(database.url), { username: role, password: 'guest' }).href;
        await client({ connectionString: url }).finally(() => database.sql(`DROP ROLE ${role}`));
      },
    ],
    'a shutdown': [
      '57P01',
      async () => {
        const victim = await client();
        const { rows } = await victim.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        const running = victim.query('SELECT pg_sleep(5)');
        await Promise.all([running, database.sql('SELECT pg_terminate_backend($1)', [rows[0]?.pid])]);
      },
    ],
    'a connection that is lost in mid-statement': [
      null,
      async () => {
        const victim = await client({ connectionString: proxy.url });
        const running = victim.query('SELECT pg_sleep(0.2)');
        setTimeout(() => {
          proxy.stop();
        }, 50);
        await running;
      },
    ],
    'a connection that is reset': [
      null,
      async () => {
        const victim = await client({ connectionString: proxy.url });
        proxy.resetAtMessage(1);
        await victim.query('SELECT 1');
      },
    ],
    'a statement on a connection that is gone': [
      null,
      async () => {
        const victim = await client({ connectionString: proxy.url });
        proxy.resetAtMessage(1);
        await victim.query('SELECT 1').catch(() => undefined);
        await victim.query('SELECT 1');
      },
    ],
    'a connection that is refused': [
      null,
      async () => {
        const server = createServer().listen(0, '127.0.0.1');
        await once(server, 'listening');
        const { port } = server.address() as AddressInfo;
        server.close();
        await once(server, 'close');
        await client({ connectionString: `postgres://x@127.0.0.1:${port}/x` });
      },
    ],
    'a network that swallows everything': [
      null,
      async () => {
        const victim = await client({ connectionString: proxy.url, query_timeout: 50 });
        proxy.goSilent();
        await victim.query('SELECT 1').finally(() => proxy.heal());
      },
    ],
    'a pool that has nothing left': [
      null,
      async () => {
        const pool = new Pool({ connectionString: database.url, max: 1, connectionTimeoutMillis: 50 });
        const held = await pool.connect();
        await pool
          .connect()
          .finally(() => {
            held.release();
          })
          .finally(() => pool.end());
      },
    ],
    'a write to a socket whose other end is gone': [
      null,
      async () => {
        const reader = spawn('sh', ['-c', 'exec 0<&-; echo closed; sleep 5']);
        await once(reader.stdout, 'data');
        reader.stdin.write('is anybody there?');
        const [error] = (await once(reader.stdin, 'error')) as [NodeJS.ErrnoException];
        reader.kill();
        expect(error.code).toBe('EPIPE');
        throw error;
      },
    ],
  };

  it.each(Object.entries(passing))('%s is worth another try', async (_, [code, provoke]) => {
    const failure = await failureOf(provoke);
    expect(sqlStateOf(failure)).toBe(code);
    expect(isWorthAnotherTry(failure)).toBe(true);
  });

  it('so is a transaction that took too long, where the server knows such a limit (from version 17)', async () => {
    const slow = await client();
    const { rows } = await slow.query<{ version: number }>(
      "SELECT current_setting('server_version_num')::int AS version",
    );
    if ((rows[0]?.version ?? 0) < 170_000) return;
    const failure = await failureOf(async () => {
      await slow.query("BEGIN; SET LOCAL transaction_timeout = '20ms'");
      const [error] = (await once(slow, 'error')) as [Error];
      throw error;
    });
    expect([sqlStateOf(failure), isWorthAnotherTry(failure)]).toEqual(['25P04', true]);
  });

  const lasting: Record<string, [code: string, statement: string]> = {
    'a row that is there already': ['23505', 'INSERT INTO notes VALUES (1)'],
    'a row that breaks a rule': ['23514', "INSERT INTO notes VALUES (3, 'bad')"],
    'a number too large': ['22003', 'SELECT 9223372036854775807 + 1'],
    'a table that is not there': ['42P01', 'SELECT FROM nowhere'],
    'a statement without sense': ['42601', 'SELEKT'],
    'an error of a trigger or function': ['P0001', 'DO $$ BEGIN RAISE EXCEPTION $x$no$x$; END $$'],
    'a statement after an error': ['25P02', 'BEGIN; SELECT 1/0'],
  };

  it.each(Object.entries(lasting))('%s is not: it would fail again', async (_, [code, statement]) => {
    const one = await client();
    const failure = await failureOf(async () => {
      if (code === '25P02') await one.query(statement).catch(() => undefined);
      await one.query(code === '25P02' ? 'SELECT 1' : statement);
    });
    expect([sqlStateOf(failure), isWorthAnotherTry(failure)]).toEqual([code, false]);
    await one.query('ROLLBACK');
  });
});

async function failureOf(provoke: () => Promise<unknown>): Promise<unknown> {
  try {
    await provoke();
  } catch (error) {
    return error;
  }
  throw new Error('nothing failed');
}
