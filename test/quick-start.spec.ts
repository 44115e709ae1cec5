import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createDataSource } from '../src/data-source.js';
import { patienceWith } from '../start/bank.js';
import { curls } from '../start/curls.js';
import { freePort } from '../start/ports.js';
import {
  Copy,
  folder,
  isRefused,
  postgresUrl,
  postmasterPid,
  reset,
  start,
  startAgain,
  stillRunning,
  stopCopies,
} from './support/copies.js';

afterAll(stopCopies);

describe('npm start', () => {
  let first: Copy;
  let neverReady: Copy;
  /** What Sam has in the first copy's books by now. */
  let paid: number;
  /** What has left through the bank. */
  let paidByBank = 0;

  beforeAll(async () => {
    // This one needs half a minute to give up; the last test but few looks at what it said.
    neverReady = await start('never', {
      DATABASE_URL: `postgres://u:p@127.0.0.1:${String(await freePort())}/db`,
    });
    first = await start('first');
    await first.says('Ready');
    const payment = curls(first.url, 'before')[0]?.command ?? '';
    paid = runCurl(payment).status === 200 ? 10_000 : 0;
  });

  it('prints curls that give the answers they promise', async () => {
    const printed = first.output.split('\n').filter(line => line.startsWith('echo'));
    const run = /alice-(\w+)/.exec(first.output)?.[1] ?? '';
    const promised = curls(first.url, run);
    expect(printed).toEqual(promised.map(({ command }) => command));

    const answers = promised.map(({ command }) => runCurl(command));
    for (const [index, { status, headers }] of promised.entries()) {
      expect(answers[index]?.status).toBe(status);
      for (const [name, value] of Object.entries(headers)) {
        expect(answers[index]?.headers).toHaveProperty([name.toLowerCase()], value);
      }
    }
    expect(answers[1]?.body).toBe(answers[0]?.body);
    expect(answers[4]?.body).toBe(answers[3]?.body);
    paid += 10_000;
    paidByBank += 5_000;
    expect(await samHas(first)).toBe(paid);
  });

  it('prints how to kill the API, and how to recover by hand', () => {
    expect(first.output).toMatch(/^kill -9 \$\(cat \S+api\.pid\)$/m);
    const recover = /^DATABASE_URL=.*npm run recover -- --once$/m.exec(first.output)?.[0] ?? '';
    // Less npm, which would build under the feet of everybody who runs.
    const command = recover.replace('npm run recover --', `'${process.execPath}' dist/src/worker.js`);
    const { stdout, stderr, status } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/compared 2 payments, found 0 differences/);
  });

  it('writes plain lines where there is no terminal', () => {
    expect(first.output).not.toContain('\x1b');
  });

  it('runs a PostgreSQL that only this machine and this user reach, and that loses no commit', async () => {
    const url = postgresUrl(first.environment.DATA_DIR);
    const settings = await query(
      url,
      `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit',
        'listen_addresses', 'unix_socket_directories') ORDER BY name`,
    );
    expect(settings).toEqual([
      { name: 'fsync', setting: 'on' },
      { name: 'full_page_writes', setting: 'on' },
      { name: 'listen_addresses', setting: '127.0.0.1' },
      { name: 'synchronous_commit', setting: 'on' },
      { name: 'unix_socket_directories', setting: '' },
    ]);
    await expect(query(Object.assign(new URL(url), { password: 'guess' }).href, 'SELECT')).rejects.toThrow(
      /password/,
    );
    expect(statSync(join(folder, 'first', 'postgres', 'password')).mode & 0o777).toBe(0o600);
  });

  it('opens books in which every balance is the sum of its transfers', async () => {
    const balances = await query(
      postgresUrl(first.environment.DATA_DIR),
      `SELECT accounts.id, credits_posted - debits_posted AS balance,
         (SELECT coalesce(sum(CASE accounts.id WHEN credit_account_id THEN amount ELSE -amount END), 0)
          FROM transfers WHERE accounts.id IN (credit_account_id, debit_account_id)) AS transferred
       FROM accounts ORDER BY accounts.id`,
    );
    const expected = {
      ...{ alice: 1_000_000 - paid - paidByBank, 'bank:GBP': -1_105_000 + paidByBank },
      ...{ bob: 5_000, dee: 0, flo: 0, legacy: 100_000 },
      ...{ nia: 0, rex: 0, sam: paid, tim: 0 },
    };
    expect(balances).toEqual(
      Object.entries(expected).map(([id, amount]) => ({
        id,
        balance: String(amount),
        transferred: String(amount),
      })),
    );
  });

  it('refuses a port that is in use', async () => {
    const copy = await start('busy', { PORT: first.environment.PORT });
    await isRefused(copy, new RegExp(`Port ${String(first.environment.PORT)} is in use. .* PORT=`));
  });

  it('refuses a port for the bank that is in use, whoever uses it', async () => {
    const { BANK_PORT } = first.environment;
    const copy = await start('busy', { BANK_PORT });
    await isRefused(copy, new RegExp(`Port ${String(BANK_PORT)} is in use. .* BANK_PORT=`));
    await isRefused(await start('busy', { PORT: BANK_PORT, BANK_PORT }), /PORT and BANK_PORT are both/);
  });

  it('starts no pretend bank where there is another', async () => {
    const BANK_URL = `http://127.0.0.1:${String(await freePort())}`;
    const copy = await start('other-bank', {
      BANK_URL,
      BANK_API_KEY: 'bk_other',
      // Nothing that would listen there is started, so it may well be in use.
      BANK_PORT: first.environment.BANK_PORT,
    });
    await copy.says('Ready');
    expect(copy.output).toContain('the pretend one is not started');
    expect(copy.output).not.toContain('"rail":"bank"');
    expect(copy.output).not.toContain('bk_other');
    expect(readdirSync(String(copy.environment.DATA_DIR)).filter(name => name.startsWith('bank'))).toEqual(
      [],
    );
    expect(await copy.stop()).toBe(0);
  });

  it('leaves the patience of the API alone where somebody has set a part of it', () => {
    expect(patienceWith({ LEASE_MS: '20000' })).toEqual({});
    expect(patienceWith({ BANK_TIMEOUT_MS: '7000' })).toEqual({});
    expect(patienceWith({ LEASE_MS: '' })).toHaveProperty('LEASE_MS');
  });

  it('refuses data that another copy is running on, and leaves that copy alone', async () => {
    const copy = await start('first');
    expect(await copy.ends()).toBe(1);
    expect(copy.output).toMatch(/^✗ Another copy is running on the data in .*DATA_DIR/m);
    expect(reset(first.environment.DATA_DIR, '--force')).toEqual({
      status: 1,
      output: expect.stringMatching(/Another copy is running/) as string,
    });
    expect(await samHas(first)).toBe(paid);
  });

  it('refuses settings that make no sense', async () => {
    writeFileSync(join(folder, 'file'), '');
    const unwritable = [
      join(folder, 'file', 'data'),
      ...(process.platform === 'linux' ? ['/proc/pay-sam'] : []),
    ];
    await Promise.all([
      isRefused(await start('abc', { PORT: 'abc' }), /PORT is "abc". Set it to a number from 1 to 65535/),
      isRefused(await start('65536', { PORT: '65536' }), /PORT is "65536"/),
      isRefused(await start('bank', { BANK_PORT: '0' }), /BANK_PORT is "0". .* BANK_PORT=3001/),
      ...unwritable.map(async path => {
        await isRefused(
          await start('', { DATA_DIR: path }),
          new RegExp(`Cannot use ${path}: .* set DATA_DIR`),
        );
      }),
    ]);
  });

  it('refuses each kind of wrong DATABASE_URL, and says what is wrong with it', async () => {
    const right = new URL(postgresUrl(first.environment.DATA_DIR));
    const oldServer = await startOldServer();
    const wrong: [string, RegExp][] = [
      ['mysql://root@localhost/shop', /not of the form postgres:/],
      ['postgres://sam:pa#ss@localhost/db', /not of the form .* write characters such as/],
      ['postgres://sam:pa%ss@localhost/db', /not of the form/],
      [
        'postgres://sam@no-such-host.invalid/db',
        /host "no-such-host.invalid", which does not exist|EAI_AGAIN/,
      ],
      [
        Object.assign(new URL(right), { password: 'wrong' }).href,
        /refuses us: password authentication failed/,
      ],
      [
        Object.assign(new URL(right), { pathname: 'nowhere' }).href,
        /database "nowhere" does not exist .*CREATE/,
      ],
      [oldServer.url, /runs PostgreSQL 14.9, which is too old. Use PostgreSQL 15 to 18/],
    ];
    await Promise.all(
      wrong.map(async ([url, reason], index) => {
        await isRefused(await start(`wrong-${String(index)}`, { DATABASE_URL: url }), reason);
      }),
    );
    await oldServer.close();
  });

  it('brings nothing into a database that has customers, and everything into an empty one', async () => {
    const server = postgresUrl(first.environment.DATA_DIR, 'postgres');
    await query(server, 'CREATE DATABASE own');
    const { url, close, listen } = await proxyTo(postgresUrl(first.environment.DATA_DIR, 'own'));

    // Not ready yet: nobody listens. It waits, and says so.
    const empty = await start('own', { DATABASE_URL: url });
    await empty.says(/not ready yet .*waiting/);
    await listen();
    await empty.says('Ready');
    expect(empty.output).toContain('Using the database own on 127.0.0.1');
    expect(empty.output).toContain('sk_demo_alice');
    expect(await samHas(empty)).toBe(0);
    expect(await empty.stop()).toBe(0);
    expect(existsSync(join(folder, 'own', 'postgres'))).toBe(false);

    await query(url, 'DELETE FROM api_keys');
    const theirs = await start('own', { DATABASE_URL: url });
    await theirs.says('Ready');
    expect(theirs.output).toContain('the demo is not added');
    expect(theirs.output).not.toContain('sk_demo_alice');
    expect(await query(url, 'SELECT FROM api_keys')).toEqual([]);
    expect(await theirs.stop()).toBe(0);
    await close();
  });

  it('brings an old schema up to date, and refuses one that is newer than the code', async () => {
    await query(postgresUrl(first.environment.DATA_DIR, 'postgres'), 'CREATE DATABASE aging TEMPLATE own');
    const url = postgresUrl(first.environment.DATA_DIR, 'aging');
    const dataSource = await createDataSource({ databaseUrl: url }).initialize();
    await dataSource.undoLastMigration();
    await dataSource.destroy();

    const old = await start('aging', { DATABASE_URL: url });
    await old.says('Schema brought up to date, migrations applied: 1');
    await old.says('Ready');
    await old.stop();

    await query(url, "INSERT INTO migrations (timestamp, name) VALUES (9, 'Future0000000000009')");
    await isRefused(
      await start('aging', { DATABASE_URL: url }),
      /newer than this code, .* Future0000000000009. Update/,
    );
  });

  it('migrates once when several migrate at the same time, and waits its turn for a table in use', async () => {
    const server = postgresUrl(first.environment.DATA_DIR, 'postgres');
    await query(server, 'CREATE DATABASE crowded');
    const url = postgresUrl(first.environment.DATA_DIR, 'crowded');
    const migrateNow = async (): Promise<string> => {
      const copy = new Copy({ DATABASE_URL: url }, { command: [process.execPath, 'dist/src/migrate.js'] });
      expect([await copy.ends(), copy.output]).toEqual([0, expect.anything()]);
      return copy.output;
    };
    const outputs = await Promise.all([migrateNow(), migrateNow(), migrateNow()]);
    expect(outputs.map(output => output.split(' ')[0]).sort()).toEqual(['Applied', 'The', 'The']);

    // A lock for three seconds on the table that this migration changes, and each try waits for two.
    const dataSource = await createDataSource({ databaseUrl: url }).initialize();
    const areThere = "SELECT FROM pg_class WHERE relname = 'refunds'";
    while ((await dataSource.query<unknown[]>(areThere)).length > 0) await dataSource.undoLastMigration();
    await dataSource.destroy();
    const inUse = query(url, 'BEGIN; LOCK TABLE transfers; SELECT pg_sleep(3); COMMIT');
    expect(await migrateNow()).toContain('Applied Refunds0000000000006');
    await inUse;
  });

  it('starts the API again when it dies', async () => {
    const api = first.pidOf('api');
    process.kill(api, 'SIGKILL');
    await first.says(/The API has stopped \(SIGKILL\); starting it again/);
    await first.says('The API is ready again');
    expect(first.pidOf('api')).not.toBe(api);
    expect(await samHas(first)).toBe(paid);
  });

  it('starts the bank again when it dies, with the same books, and leaves the API alone', async () => {
    const [api, bank] = [first.pidOf('api'), first.pidOf('bank')];
    const before = await statement(first);
    process.kill(bank, 'SIGKILL');
    await first.says(/The pretend bank has stopped \(SIGKILL\); starting it again/);
    await first.says('The pretend bank is ready again');
    expect(first.pidOf('bank')).not.toBe(bank);
    expect(first.pidOf('api')).toBe(api);

    const payment = curls(first.url, 'after').find(({ rail }) => rail === 'bank')?.command ?? '';
    expect(runCurl(payment).status).toBe(200);
    paidByBank += 2_500;
    const after = await statement(first);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after).toHaveLength(before.length + 1);
  });

  it('ends a payment that the API was killed in the middle of, as the README tells it, and charges once', async () => {
    const [payAndKill = '', payAgain = '', look = ''] = storyOf('Kill it in the middle', first);
    // Another payment at the same moment, to which nobody comes back.
    runCurl(payAndKill.replace('Key: 461', 'Key: alone').replace(/; sleep.*/, ''));

    const pending = runCurl(payAndKill);
    expect(pending.status).toBe(202);
    const { id } = JSON.parse(pending.body) as { id: string };
    await first.says(/The API has stopped \(SIGKILL\)[^]*The API is ready again[^]*The API has stopped/);
    await first.says(/The API is ready again[^]*The API is ready again/);

    const answer = runCurl(payAgain);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ id, status: 'succeeded' });
    const { stdout } = spawnSync('sh', ['-c', look], { encoding: 'utf8' });
    const { bookings } = JSON.parse(stdout) as { bookings: { kind: string; reference: string }[] };
    expect(bookings.filter(({ reference }) => reference === id).map(({ kind }) => kind)).toEqual(['charge']);

    for (const key of ['461', 'alone']) {
      expect(await finished(first, key)).toMatchObject({ state: 'completed', attempts: 2 });
    }
    const references = bookings.map(({ reference }) => reference);
    expect(new Set(references).size).toBe(references.length);
    paidByBank += 5_000;
  });

  it('leaves nothing running after Ctrl-C, and finds its data again', async () => {
    process.kill(-first.pid, 'SIGINT');
    expect(await first.ends()).toBe(0);
    expect(stillRunning(first.environment.DATA_DIR)).toEqual([]);

    first = await startAgain(first).says('Ready');
    expect(await samHas(first)).toBe(paid);
  });

  it('recovers when it was killed: the PostgreSQL that it left running is taken over', async () => {
    const server = readFileSync(postmasterPid(join(folder, 'first', 'postgres')), 'utf8').split('\n')[0];
    process.kill(first.pid, 'SIGKILL');

    first = await startAgain(first).says('Ready');
    expect(first.output).toContain('taken over from a start that was killed');
    expect(readFileSync(postmasterPid(join(folder, 'first', 'postgres')), 'utf8')).toMatch(
      `${String(server)}\n`,
    );
    expect(await samHas(first)).toBe(paid);
  });

  it('recovers when it was killed while the API was starting', async () => {
    await first.stop();
    first = startAgain(first);
    await first.says('Demo customers are in');
    while (!existsSync(first.pidFile('api'))) await sleep(5);
    process.kill(first.pid, 'SIGKILL');
    expect(first.output).not.toContain('Ready');

    first = await startAgain(first).says('Ready');
    // The API that was just starting has found itself alone by now, or is about to.
    await sleep(3_000);
    const apis = stillRunning(first.environment.DATA_DIR).filter(line => line.includes('src/main.js'));
    expect(apis.map(line => Number.parseInt(line))).toEqual([first.pidOf('api')]);
    expect(first.output).not.toContain('has stopped');
    expect(await samHas(first)).toBe(paid);
  });

  it('recovers when the power went, even if the number of its server now belongs to another program', async () => {
    const pidFile = postmasterPid(join(folder, 'first', 'postgres'));
    const [server, ...rest] = readFileSync(pidFile, 'utf8').split('\n');
    for (const pid of [first.pid, Number(server)]) process.kill(pid, 'SIGKILL');
    await first.ends();
    writeFileSync(pidFile, [process.pid, ...rest].join('\n'));

    first = await startAgain(first).says('Ready');
    expect(await samHas(first)).toBe(paid);
  });

  it('says so when its PostgreSQL dies, and stops the rest', async () => {
    const [server] = readFileSync(postmasterPid(join(folder, 'first', 'postgres')), 'utf8').split('\n');
    process.kill(Number(server), 'SIGKILL');
    await isRefused(first, /The built-in PostgreSQL has stopped. Start again/);

    first = await startAgain(first).says('Ready');
    expect(await samHas(first)).toBe(paid);
  });

  it('stops when npm is killed, which does not hand the signal on', async () => {
    const command = ['sh', '-c', `'${process.execPath}' dist/start/main.js; true`];
    const viaNpm = await start('npm', { npm_lifecycle_event: 'start' }, { command });
    await viaNpm.says('Ready');
    process.kill(viaNpm.pid, 'SIGTERM');
    await viaNpm.ends();
    expect(stillRunning(viaNpm.environment.DATA_DIR)).toEqual([]);
  });

  it('runs beside another copy, and gives up on an API that keeps dying', async () => {
    const second = await start('second');
    await second.says('Ready');
    expect(await samHas(second)).toBe(0);
    expect(await samHas(first)).toBe(paid);

    // With its port taken in between, the API cannot come back.
    process.kill(second.pidOf('api'), 'SIGKILL');
    await second.says('starting it again');
    const intruder = createServer(socket => socket.destroy()).listen(
      Number(second.environment.PORT),
      '127.0.0.1',
    );
    await isRefused(second, /The API keeps stopping \(exit code 1\)/);
    expect(second.output).toContain('EADDRINUSE');
    intruder.close();
  });

  it('says why its PostgreSQL does not start, in the words of its log', async () => {
    const home = join(folder, 'second', 'postgres');
    writeFileSync(join(home, 'data', 'postgresql.auto.conf'), "shared_buffers = 'plenty'\n");
    const broken = await start('second');
    await isRefused(broken, /The built-in PostgreSQL in .* did not start/);
    expect(broken.output).toContain('invalid value for parameter "shared_buffers": "plenty"');

    rmSync(join(home, 'data', 'postgresql.auto.conf'));
    writeFileSync(join(home, 'password'), 'another');
    await isRefused(await start('second'), /does not know the password in .* npm run reset/);

    writeFileSync(join(home, 'data', 'PG_VERSION'), '17\n');
    await isRefused(await start('second'), /data in .* is PostgreSQL 17's; .* npm run reset/);
  });

  it('waits half a minute for a database, and no longer', async () => {
    await isRefused(neverReady, /No database answered on 127.0.0.1:\d+ within 30 s \(.*ECONNREFUSED/);
  }, 60_000);
});

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<object>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function samHas(copy: Copy): Promise<number> {
  const answer = await fetch(`${copy.url}/accounts/sam`, {
    headers: { authorization: 'Bearer sk_demo_sam' },
  });
  return ((await answer.json()) as { balance: { posted: number } }).balance.posted;
}

/** The commands of a section of the README, for the ports and the folder of `copy`. */
function storyOf(heading: string, { url, environment }: Copy): string[] {
  const section = readFileSync('README.md', 'utf8').split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/```sh\n(.*)\n```/g)].map(([, command = '']) =>
    command
      .replace('localhost:3000', url)
      .replace('localhost:3001', `127.0.0.1:${String(environment.BANK_PORT)}`)
      .replace('.data', String(environment.DATA_DIR)),
  );
}

/** What the bank says it has booked. */
async function statement({ environment }: Copy): Promise<unknown[]> {
  const answer = await fetch(`http://127.0.0.1:${String(environment.BANK_PORT)}/transfers`, {
    headers: { authorization: 'Bearer bk_demo_paysam' },
  });
  return ((await answer.json()) as { bookings: unknown[] }).bookings;
}

/** The operation, as soon as it is not in progress any more. */
async function finished({ url }: Copy, key: string): Promise<{ state: string }> {
  const until = Date.now() + 20_000;
  for (;;) {
    const answer = await fetch(`${url}/operations/${key}`, {
      headers: { authorization: 'Bearer sk_demo_alice' },
    });
    const operation = (await answer.json()) as { state: string };
    if (operation.state !== 'in_progress' || Date.now() > until) return operation;
    await sleep(100);
  }
}

function runCurl(command: string): { status: number; headers: Record<string, string>; body: string } {
  const { stdout } = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  const [head = '', body = ''] = stdout.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = lines.map(line => line.split(': ') as [string, string]);
  return {
    status: Number(statusLine.split(' ')[1]),
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    body,
  };
}

/** Something that passes connections on to `url`, once it has been told to listen. */
async function proxyTo(
  url: string,
): Promise<{ url: string; listen: () => Promise<void>; close: () => Promise<void> }> {
  const { port, hostname } = new URL(url);
  const proxy = createServer(near => {
    const far = connect(Number(port), hostname);
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => undefined);
  });
  const ownPort = await freePort();
  return {
    url: Object.assign(new URL(url), { port: String(ownPort) }).href,
    listen: async () => {
      await once(proxy.listen(ownPort, '127.0.0.1'), 'listening');
    },
    close: async () => {
      await once(proxy.close(), 'close');
    },
  };
}

/** As much of PostgreSQL 14 as it takes to be asked for its version. */
async function startOldServer(): Promise<{ url: string; close: () => Promise<void> }> {
  const message = (type: string, ...parts: (string | number[])[]): Buffer => {
    const body = Buffer.concat(parts.map(part => Buffer.from(part as string)));
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length + 4);
    return Buffer.concat([Buffer.from(type), length, body]);
  };
  const ready = message('Z', 'I');
  const column = message(
    'T',
    [0, 1],
    'server_version_num\0',
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255, 0, 0],
  );
  const row = message('D', [0, 1, 0, 0, 0, 6], '140009');
  const server = createServer((socket: Socket) => {
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', [0, 0, 0, 0]), ready]));
      socket.once('data', () => socket.write(Buffer.concat([column, row, message('C', 'SHOW\0'), ready])));
    });
    socket.on('error', () => undefined);
  });
  const port = await freePort();
  await once(server.listen(port, '127.0.0.1'), 'listening');
  return {
    url: `postgres://sam@127.0.0.1:${String(port)}/db`,
    close: async () => {
      await once(server.close(), 'close');
    },
  };
}
