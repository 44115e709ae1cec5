import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Sql } from '../support/database.js';
import type { ApiProcess } from '../support/api-process.js';
import { watchEngine } from '../support/engine-events.js';
import { lockAccounts, untilWaiting } from '../support/foreign-lock.js';
import { call, together, type Answer } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { PostgresProxy } from '../support/postgres-proxy.js';
import { isFirstAnswer, setUpScene } from '../support/scene.js';

/** While the database is away callers hear 503 and when to come back; then the same key pays, once. */
describe('an outage ends', () => {
  const scene = setUpScene();
  let proxy: PostgresProxy;
  let api: ApiProcess;

  beforeAll(async () => {
    proxy = await PostgresProxy.start(scene.database.url);
    api = await scene.start({
      databaseUrl: proxy.url,
      env: {
        CONNECT_TIMEOUT_MS: '300',
        LOCK_TIMEOUT_MS: '200',
        STATEMENT_TIMEOUT_MS: '250',
        QUERY_TIMEOUT_MS: '300',
        BATCH_REPEATS_MAX: '3',
      },
    });
  });
  afterEach(() => proxy.heal());
  afterAll(() => {
    proxy.stop();
  });

  const outages = [
    [
      'the database is down (F28)',
      () => {
        proxy.stop();
      },
    ],
    [
      'the network swallows everything (F32)',
      () => {
        proxy.goSilent();
      },
    ],
  ] as const;

  describe.each(outages)('%s', (what, begin) => {
    const key = (name: string) => `${name} ${what}`.replaceAll(/[^a-z]+/g, '-');

    it('before a call: 503, nothing paid, then the same key pays', async () => {
      const before = await countRows(scene.sql);
      begin();
      const answers = await together(20, index => scene.pay(api, key(`before-${'x'.repeat(index)}`)));
      expect(answers.map(told)).toEqual(Array(20).fill(unavailable));
      await proxy.heal();
      const retries = await together(20, index => scene.pay(api, key(`before-${'x'.repeat(index)}`)));
      expect(retries.every(isFirstAnswer)).toBe(true);
      expect((await countRows(scene.sql)).payments - before.payments).toBe(20);
    });

    it('in the middle of a payment: 503, and the same key pays once', async () => {
      const before = await countRows(scene.sql);
      const lock = await lockAccounts(scene.database.url, 'sam');
      const answer = scene.pay(api, key('middle'));
      await untilWaiting(scene.sql);
      begin();
      expect(told(await answer)).toEqual(unavailable);
      await lock.release();
      await proxy.heal();
      expect((await scene.pay(api, key('middle'))).status).toBe(200);
      expect((await countRows(scene.sql)).payments - before.payments).toBe(1);
    });

    it('during reads: 503, then the answer', async () => {
      const paths = [
        '/payments',
        '/accounts',
        '/accounts/alice',
        '/accounts/alice/transfers',
        '/operations/none',
      ];
      const read = () => Promise.all(paths.map(path => call(api.url + path, { apiKey: scene.alice.apiKey })));
      begin();
      expect((await read()).map(told)).toEqual(Array(paths.length).fill(unavailable));
      expect((await call(`${api.url}/health/live`)).status).toBe(200);
      await proxy.heal();
      expect((await read()).map(answer => answer.status)).toEqual([200, 200, 200, 200, 404]);
    });
  });

  it('that is over before the caller gives up is not even noticed', async () => {
    const patient = await scene.boot({}, proxy.url);
    const engine = watchEngine();
    const lock = await lockAccounts(scene.database.url, 'sam');
    const answers = together(10, index => scene.pay(patient, `blip-${index}`));
    await untilWaiting(scene.sql);
    proxy.stop();
    await lock.release();
    await sleep(100);
    await proxy.heal();
    expect((await answers).filter(isFirstAnswer).length).toBeGreaterThan(0);
    engine.stop();
    expect(engine.at('batch_repeated').length).toBeGreaterThan(0);
    const retries = await together(10, index => scene.pay(patient, `blip-${index}`));
    expect(retries.map(answer => answer.status)).toEqual(Array(10).fill(200));
  });

  it('of connections that died while idle is not noticed either (F34)', async () => {
    const idle = await scene.start();
    for (let times = 0; times < 3; times += 1) {
      await together(30, index => scene.pay(idle, `idle-${times}-${index}`));
      const killed = await scene.sql(terminateApis);
      expect(killed.length).toBeGreaterThan(0);
      const woken = await scene.pay(idle, `woken-${times}`);
      expect([woken.status, woken.json?.code]).toEqual([200, undefined]);
      expect(isFirstAnswer(woken)).toBe(true);
    }
  });

  it('of connections that are welcomed and dropped in one breath ends no process (F24)', async () => {
    const shaken = await scene.start({ databaseUrl: proxy.url });
    await scene.sql(terminateApis);
    proxy.spoilWelcomes(3);
    proxy.cuts = 0;
    // Some hear 503, none is dropped.
    for (let tries = 0; tries < 5; tries += 1) {
      const answer = await scene.pay(shaken, 'shaken').catch(() => undefined);
      expect([200, 503]).toContain(answer?.status ?? `no answer: ${shaken.stderr().slice(0, 300)}`);
    }
    expect(proxy.cuts).toBe(3);
    expect((await scene.pay(shaken, 'shaken')).status).toBe(200);
    expect(await Promise.race([shaken.exited, Promise.resolve('alive')])).toBe('alive');
  });

  it('of connections cut in the middle of payments loses none of them', async () => {
    const before = await countRows(scene.sql);
    const busy = await scene.start();
    const pay = (index: number) => scene.pay(busy, `cut-${index}`);
    const load = { finished: false };
    const payments = together(300, index => pay(index).catch(() => undefined)).finally(() => {
      load.finished = true;
    });
    let killed = 0;
    while (!load.finished) {
      killed += (await scene.sql(terminateApis)).length;
      await sleep(40);
    }
    expect(killed).toBeGreaterThan(0);
    const answers = await payments;
    expect(await Promise.race([busy.exited, Promise.resolve('alive')])).toBe('alive');
    for (const answer of answers) {
      expect(answer?.status === 200 ? unavailable : answer && told(answer)).toEqual(unavailable);
    }
    const retries = await together(300, pay);
    for (const [index, answer] of answers.entries()) {
      if (answer?.status === 200) expect(retries[index]?.text).toBe(answer.text);
    }
    expect(retries.map(answer => answer.status)).toEqual(Array(300).fill(200));
    expect((await countRows(scene.sql)).payments - before.payments).toBe(300);
  });

  it('in which the database may only be read, after a fail-over say (F43)', async () => {
    const reader = await scene.boot({ BATCH_REPEATS_MAX: '2' });
    const before = await countRows(scene.sql);
    const operator = await connect(scene.database.url);
    const read = () => call(`${reader.url}/accounts`, { apiKey: scene.alice.apiKey });
    try {
      await setReadOnly(operator.sql, 'on');
      await read().then(read);
      const engine = watchEngine();
      expect(told(await scene.pay(reader, 'read-only'))).toEqual(unavailable);
      engine.stop();
      expect(engine.repeatedBecauseOf()).toEqual(['25006', '25006']);
      expect((await read()).status).toBe(200);
    } finally {
      await setReadOnly(operator.sql, 'off');
      await operator.end();
    }
    await read().then(read);
    expect(await countRows(scene.sql)).toEqual(before);
    expect(isFirstAnswer(await scene.pay(reader, 'read-only'))).toBe(true);
  });

  it('in which only connections that stand may not write, after a fail-over say (F26)', async () => {
    const stayed = await scene.boot({ DATABASE_CONNECTIONS_MAX: '2' });
    const operator = await connect(scene.database.url);
    const read = () => call(`${stayed.url}/accounts`, { apiKey: scene.alice.apiKey });
    try {
      await setReadOnly(operator.sql, 'on');
      await together(4, read);
    } finally {
      // For connections of before, nothing changes by that.
      await setReadOnlyFromNowOn(operator.sql, 'off');
      await operator.end();
    }
    const engine = watchEngine();
    expect(isFirstAnswer(await scene.pay(stayed, 'stayed'))).toBe(true);
    engine.stop();
    expect(new Set(engine.repeatedBecauseOf())).toEqual(new Set(['25006']));
  });

  it('in which the database takes no more connections (F36)', async () => {
    const role = `app_${randomBytes(4).toString('hex')}`;
    await scene.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'app' CONNECTION LIMIT 20`);
    await scene.sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`);
    const url = Object.assign(new URL(scene.database.url), { username: role, password: 'app' }).href;
    const limited = await scene.start({ databaseUrl: url });
    try {
      await scene.sql(`ALTER ROLE ${role} CONNECTION LIMIT 0`);
      await scene.sql(terminateApis);
      const answers = await together(10, index => scene.pay(limited, `crowd-${index}`));
      expect(answers.map(told)).toEqual(Array(10).fill(unavailable));

      await scene.sql(`ALTER ROLE ${role} CONNECTION LIMIT 20`);
      const retries = await together(10, index => scene.pay(limited, `crowd-${index}`));
      expect(retries.every(isFirstAnswer)).toBe(true);
    } finally {
      await limited.kill('SIGTERM');
      await scene.sql(`DROP OWNED BY ${role}`);
      await scene.sql(`DROP ROLE ${role}`);
    }
  });

  it('in which all of an instance’s connections are taken (F35)', async () => {
    const small = await scene.start({ env: { DATABASE_CONNECTIONS_MAX: '2', CONNECT_TIMEOUT_MS: '200' } });
    const { sql, release } = await lockAccounts(scene.database.url);
    await sql('LOCK TABLE payments IN ACCESS EXCLUSIVE MODE');
    const reads = together(2, () => call(`${small.url}/payments`, { apiKey: scene.alice.apiKey }));
    await untilWaiting(scene.sql, 2);
    const answer = told(await scene.pay(small, 'no-connection'));
    await release();
    expect((await reads).map(read => read.status)).toEqual([200, 200]);
    expect(answer).toEqual({ ...unavailable, code: 'overloaded' });
    expect(isFirstAnswer(await scene.pay(small, 'no-connection'))).toBe(true);
  });
});

const unavailable = { status: 503, code: 'unavailable', shouldRetry: 'true', retryAfter: true };

function told({ status, json, headers }: Answer) {
  return {
    status,
    code: json?.code,
    shouldRetry: headers.get('should-retry'),
    retryAfter: Number(headers.get('retry-after')) >= 1,
  };
}

/** For connections made from now on; so the standing ones are ended. `sql` is on a connection of before. */
async function setReadOnly(sql: Sql, value: 'on' | 'off'): Promise<void> {
  await setReadOnlyFromNowOn(sql, value);
  await sql(terminateApis);
}

async function setReadOnlyFromNowOn(sql: Sql, value: 'on' | 'off'): Promise<void> {
  const [database] = await sql<{ name: string }>('SELECT quote_ident(current_database()) AS name');
  await sql(`ALTER DATABASE ${database?.name ?? ''} SET default_transaction_read_only = ${value}`);
}

const terminateApis = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity
   WHERE datname = current_database() AND application_name = 'pay-sam'`;
