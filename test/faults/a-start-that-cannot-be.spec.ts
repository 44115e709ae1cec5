import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../start/ports.js';
import { createDatabase, type Database } from '../support/database.js';
import { countRows } from '../support/invariants.js';
import { PostgresProxy } from '../support/postgres-proxy.js';

/** Better no API than one that takes payments on and cannot end them. */
describe('a start that cannot be', () => {
  let database: Database;
  const proxies: PostgresProxy[] = [];

  beforeEach(async () => {
    database = await createDatabase();
  });
  afterEach(async () => {
    for (const proxy of proxies.splice(0)) proxy.stop();
    await database.drop();
  });

  it.each<[string, (url: URL) => Promise<object> | object, RegExp]>([
    [
      'a wrong secret',
      url => ({ DATABASE_URL: Object.assign(url, { password: 'wrong-secret' }).href }),
      /password authentication failed .*Correct the password in DATABASE_URL/,
    ],
    [
      'a missing table',
      () => database.sql('DROP TABLE bank_bookings').then(() => ({})),
      /relation "bank_bookings" does not exist.*restore the database/,
    ],
    [
      'a database that takes connections and says nothing',
      () => fallenSilent(),
      /^Pay Sam could not start\. .*timeout/,
    ],
    ['a role without rights', () => withoutRights(), /permission denied for table .*grant_rights_of_the_api/],
    [
      'an old schema',
      () => database.sql("DELETE FROM migrations WHERE name LIKE 'Rights%'").then(() => ({})),
      /older than this code.*npm run migrate/,
    ],
    [
      'a lease that the bank’s time-out outlasts',
      () => ({ LEASE_MS: '5000', BANK_TIMEOUT_MS: '5000' }),
      /LEASE_MS \(5000\) must be above BANK_TIMEOUT_MS \(5000\)/,
    ],
  ])('F19: %s ends it with a sentence about it, and it is never ready', async (_, breakIt, sentence) => {
    const port = await freePort();
    const env = await breakIt(new URL(database.url));
    const rows = await countRows(database.sql).catch(() => 'cannot be counted');
    const child = spawn(process.execPath, ['dist/src/main.js'], {
      env: { PATH: process.env['PATH'], DATABASE_URL: database.url, PORT: String(port), ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 15_000,
      killSignal: 'SIGKILL',
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = once(child, 'close');
    let wasReady = false;
    while (child.exitCode === null && child.signalCode === null) {
      const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
      wasReady ||= answer?.ok === true;
      await sleep(50);
    }
    expect(await ended).toEqual([1, null]);

    expect(wasReady).toBe(false);
    expect(stderr.trim().split('\n')).toEqual([expect.stringMatching(sentence)]);
    expect(stderr).not.toContain('wrong-secret');
    expect(await countRows(database.sql).catch(() => 'cannot be counted')).toEqual(rows);
  });

  /** Nobody is told, as behind a firewall that drops what it does not like: only time-outs end the waiting. */
  async function fallenSilent() {
    const proxy = await PostgresProxy.start(database.url);
    proxies.push(proxy);
    proxy.goSilent();
    return { DATABASE_URL: proxy.url, CONNECT_TIMEOUT_MS: '500' };
  }

  async function withoutRights() {
    const role = `nobody_${database.name}`;
    await database.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'known'`);
    // It may look what migrations were run, and nothing else.
    await database.sql(`GRANT SELECT ON migrations TO ${role}`);
    return { DATABASE_URL: Object.assign(new URL(database.url), { username: role, password: 'known' }).href };
  }
});
