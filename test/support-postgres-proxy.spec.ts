import { Socket } from 'node:net';
import { Client, type ClientConfig } from 'pg';
import { createDatabase, type Database } from './support/database.js';
import { expectNoLeaks } from './support/leak-check.js';
import { PostgresProxy } from './support/postgres-proxy.js';

describe('a connection is lost', () => {
  let database: Database;
  let proxy: PostgresProxy;
  const clients: Client[] = [];

  beforeAll(async () => {
    database = await createDatabase();
    await database.sql('CREATE TABLE notes (text text PRIMARY KEY)');
  });
  beforeEach(async () => (proxy = await PostgresProxy.start(database.url)));
  afterEach(async () => {
    proxy.stop();
    await Promise.allSettled(clients.splice(0).map(client => client.end()));
  });
  afterAll(() => database.drop());

  async function client(config: ClientConfig = {}): Promise<Client> {
    const client = new Client({ connectionString: proxy.url, connectionTimeoutMillis: 10_000, ...config });
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  }

  async function isPresent(note: string): Promise<boolean> {
    // Not before the server knows that its client is gone: absent has to mean absent for ever.
    await expectNoLeaks(database.sql);
    return (await database.sql('SELECT FROM notes WHERE text = $1', [note])).length === 1;
  }

  /** The same transaction in each of the ways in which a driver may send it. */
  const ways: Record<
    string,
    { config?: ClientConfig; write: (c: Client, note: string) => Promise<unknown> }
  > = {
    'one statement at a time': {
      write: async (c, note) => {
        await c.query('BEGIN');
        await c.query('INSERT INTO notes VALUES ($1)', [note]);
        await c.query('COMMIT');
      },
    },
    'with a named, prepared COMMIT': {
      write: async (c, note) => {
        // The second COMMIT is only bound and executed: its text was sent with the first.
        for (const table of ['pg_class', 'notes']) {
          await c.query('BEGIN');
          if (table === 'notes') await c.query('INSERT INTO notes VALUES ($1)', [note]);
          await c.query({ name: 'end', text: 'COMMIT', values: [] });
        }
      },
    },
    'all at once, not waiting for answers': {
      config: { pipeline: true },
      write: (c, note) =>
        Promise.all([
          c.query('BEGIN'),
          c.query('INSERT INTO notes VALUES ($1)', [note]),
          c.query('COMMIT'),
          c.query('BEGIN'),
          c.query('INSERT INTO notes VALUES ($1)', [note + ', too late']),
          c.query('COMMIT'),
        ]),
    },
    'in one text': {
      write: (c, note) => c.query("BEGIN; INSERT INTO notes VALUES ('" + note + "'); COMMIT"),
    },
  };

  for (const [way, { config, write }] of Object.entries(ways)) {
    test(`before COMMIT reached the server: nothing is there (${way})`, async () => {
      const c = await client(config);
      proxy.cutCommit('before');
      await expect(write(c, `before, ${way}`)).rejects.toThrow(/ECONNRESET|terminated/);
      expect(proxy.cuts).toBe(1);
      expect(await isPresent(`before, ${way}`)).toBe(false);
    });

    test(`after COMMIT reached the server: it is there, and the caller sees the same error (${way})`, async () => {
      const c = await client(config);
      proxy.cutCommit('after');
      await expect(write(c, `after, ${way}`)).rejects.toThrow(/ECONNRESET|terminated/);
      expect(proxy.cuts).toBe(1);
      expect(await isPresent(`after, ${way}`)).toBe(true);
      expect(await isPresent(`after, ${way}, too late`)).toBe(false);
    });
  }

  test('nowhere, unless asked for: every way of sending works through the proxy', async () => {
    for (const [way, { config, write }] of Object.entries(ways)) {
      await write(await client(config), `whole, ${way}`);
      expect(await isPresent(`whole, ${way}`)).toBe(true);
    }
    expect(proxy.cuts).toBe(0);
  });

  test('at the COMMIT that was chosen, counting only those that wrote', async () => {
    const c = await client();
    proxy.cutCommit('before', { nth: 2 });
    await c.query('BEGIN');
    await c.query('SELECT FROM notes FOR UPDATE');
    await c.query('COMMIT');
    await ways['one statement at a time']?.write(c, 'first');
    await expect(ways['one statement at a time']?.write(c, 'second')).rejects.toThrow();
    expect([await isPresent('first'), await isPresent('second')]).toEqual([true, false]);
  });

  test('at the COMMIT of one kind of transaction', async () => {
    const c = await client();
    proxy.cutCommit('before', { which: statements => statements.some(text => text.includes('pg_class')) });
    await ways['one statement at a time']?.write(c, 'another kind');
    await c.query('BEGIN');
    await c.query('SELECT FROM pg_class');
    await expect(c.query('COMMIT')).rejects.toThrow();
  });

  test('at a message', async () => {
    const c = await client();
    proxy.resetAtMessage(2);
    await c.query('SELECT 1');
    await expect(c.query('SELECT 2')).rejects.toThrow(/ECONNRESET|terminated/);
  });

  test('before it exists, until the proxy is healed', async () => {
    const standing = await client();
    proxy.refuse();
    await expect(client()).rejects.toThrow('ECONNREFUSED');
    await standing.query('SELECT 1');
    proxy.resetAll();
    await expect(standing.query('SELECT 1')).rejects.toThrow();
    await proxy.heal();
    await (await client()).query('SELECT 1');
  });

  test('without a word, and what was said arrives once the network is back', async () => {
    const c = await client();
    proxy.goSilent();
    const query = c.query('SELECT 1');
    const answered = await Promise.race([query, new Promise(resolve => setTimeout(resolve, 200, 'silence'))]);
    expect(answered).toBe('silence');
    await expect(client({ connectionTimeoutMillis: 500 })).rejects.toThrow('timeout');
    await proxy.heal();
    expect((await query).rowCount).toBe(1);
  });

  test('nowhere, while it is slow: what is sent arrives later, and in its order', async () => {
    const c = await client({ pipeline: true });
    // However late each is by chance, none overtakes another.
    proxy.slowDown({ delayMs: 100, jitterMs: 200, sliceBytes: Infinity });
    const began = performance.now();
    const answers = await Promise.all([1, 2, 3].map(n => c.query<{ n: number }>('SELECT $1::int AS n', [n])));
    expect(performance.now() - began).toBeGreaterThan(190);
    expect(answers.map(({ rows }) => rows[0]?.n)).toEqual([1, 2, 3]);
    await proxy.heal();
    expect((await c.query('SELECT 1')).rowCount).toBe(1);
  });

  test('nowhere, when new ones lead to another server: those that stand stay where they are', async () => {
    const standing = await client();
    const other = await PostgresProxy.start(database.url);
    proxy.pointTo(other.url);
    const moved = await client();
    other.resetAll();
    await expect(moved.query('SELECT 1')).rejects.toThrow();
    expect((await standing.query('SELECT 1')).rowCount).toBe(1);
    other.stop();
  });

  test('nowhere, however the bytes are cut into pieces', async () => {
    const c = await client({ stream: oneByteAtATime });
    proxy.cutCommit('after');
    await expect(ways['one statement at a time']?.write(c, 'in pieces')).rejects.toThrow();
    expect(await isPresent('in pieces')).toBe(true);
  });

  function oneByteAtATime() {
    const socket = new Socket().setNoDelay(true);
    const write = (byte: number): boolean => Socket.prototype.write.call(socket, Buffer.of(byte));
    return Object.assign(socket, {
      write: (bytes: Buffer) => [...bytes].map(write).every(Boolean),
    });
  }
});
