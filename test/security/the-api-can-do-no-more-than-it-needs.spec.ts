import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError, escapeIdentifier } from 'pg';
import { createDataSource } from '../../src/data-source.js';
import { bootApi } from '../support/api.js';
import { startWorker } from '../support/api-process.js';
import { connect, createDatabase, type Database, type Sql } from '../support/database.js';
import { call } from '../support/http.js';
import { quick, setUpBankScene } from '../promises/bank-scene.js';
import { createApiLogin, type ApiLogin } from './api-login.js';

/** SQLSTATE. */
const permissionDenied = '42501';

/** What the role may do, table by table, and in which columns. Whatever is not written here is refused. */
const rights: Record<string, { may: string[]; update: string[] }> = {
  customers: { may: ['SELECT'], update: [] },
  api_keys: { may: ['SELECT'], update: [] },
  accounts: { may: ['SELECT'], update: ['credits_posted', 'debits_pending', 'debits_posted'] },
  transfers: { may: ['SELECT', 'INSERT'], update: ['state'] },
  payments: {
    may: ['SELECT', 'INSERT'],
    update: ['bank_transfer_id', 'completed_at', 'decline_code', 'decline_message', 'refunded', 'status'],
  },
  refunds: { may: ['SELECT', 'INSERT'], update: [] },
  idempotency_keys: {
    may: ['SELECT', 'INSERT', 'DELETE'],
    update: [
      'attempt_id',
      'attempts',
      'duplicates',
      'epoch',
      'expires_at',
      'finished_at',
      'last_duplicate_at',
      'locked_until',
      'may_be_sent',
      'parked_because',
      'recovery_point',
      'response_body',
      'response_status',
      'state',
    ],
  },
  bank_bookings: { may: ['SELECT', 'INSERT'], update: [] },
  migrations: { may: ['SELECT'], update: [] },
};

async function isDenied(statement: Promise<unknown>): Promise<boolean> {
  try {
    await statement;
    return false;
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return error.code === permissionDenied;
  }
}

describe('the role of the API can do no more than it needs (S39)', () => {
  let database: Database;
  let login: ApiLogin;
  let asApi: Sql;
  let end: () => Promise<void>;

  beforeAll(async () => {
    database = await createDatabase();
    login = await createApiLogin(database);
    ({ sql: asApi, end } = await connect(login.url));
  });
  afterAll(async () => {
    await end();
    await login.drop();
    await database.drop();
  });

  it('every table is in the list, so that a new one is thought about', async () => {
    const tables = await database.sql<{ name: string }>(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'",
    );
    expect(tables.map(({ name }) => name).sort()).toEqual(Object.keys(rights).sort());
  });

  it.each(Object.entries(rights))(
    '%s: each verb and each column is tried',
    async (table, { may, update }) => {
      const name = escapeIdentifier(table);
      const verbs = {
        SELECT: 'SELECT FROM ' + name + ' LIMIT 0',
        // Where it may, it fails on what is missing, or goes in, and is undone.
        INSERT: 'INSERT INTO ' + name + ' DEFAULT VALUES',
        DELETE: 'DELETE FROM ' + name + ' WHERE false',
        TRUNCATE: 'TRUNCATE ' + name,
      };
      const allowed: string[] = [];
      for (const [verb, statement] of Object.entries(verbs)) {
        if (!(await isDenied(asApi(statement)))) allowed.push(verb);
      }
      expect(allowed).toEqual(may);

      const columns = await database.sql<{ name: string }>(
        `SELECT attname AS name FROM pg_attribute
        WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname`,
        [table],
      );
      const open: string[] = [];
      for (const column of columns.map(each => each.name)) {
        const quoted = escapeIdentifier(column);
        const statement = 'UPDATE ' + name + ' SET ' + quoted + ' = ' + quoted + ' WHERE false';
        if (!(await isDenied(asApi(statement)))) open.push(column);
      }
      expect(open).toEqual(update);
    },
  );

  it.each([
    'CREATE TABLE mine (id int)',
    'CREATE SCHEMA mine',
    'CREATE INDEX mine ON payments (amount)',
    'CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$',
    'CREATE ROLE mine',
    'CREATE VIEW mine AS SELECT 1',
    'ALTER TABLE payments DROP CONSTRAINT payments_remember_their_key',
    'ALTER TABLE accounts DISABLE TRIGGER ALL',
    'ALTER TABLE idempotency_keys DISABLE TRIGGER unfinished_keys_stay',
    'ALTER ROLE pay_sam_api SUPERUSER',
    'DROP TABLE bank_bookings',
    'DROP TRIGGER unfinished_keys_stay ON idempotency_keys',
    "SET session_replication_role = 'replica'",
    "COPY payments TO PROGRAM 'cat'",
    "COPY payments TO '/tmp/payments'",
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT grant_rights_of_the_api('pay_sam_api')",
  ])('permission is denied for: %s', async statement => {
    expect(await isDenied(asApi(statement))).toBe(true);
  });

  it('an unfinished key is kept by its trigger, and a finished one may go', async () => {
    const { id: customerId } = await database.addCustomer({ name: 'zoe' });
    await database.insertKeyRow({ customerId, key: 'unfinished' });
    await database.insertKeyRow({ customerId, key: 'finished', answer: { status: 200, body: '{}' } });
    const forget = (key: string) => asApi('DELETE FROM idempotency_keys WHERE key = $1 RETURNING key', [key]);
    await expect(forget('unfinished')).rejects.toMatchObject({ code: '23000' });
    expect(await forget('finished')).toEqual([{ key: 'finished' }]);
    await database.sql('ALTER TABLE idempotency_keys DISABLE TRIGGER unfinished_keys_stay');
    await database.sql("DELETE FROM idempotency_keys WHERE key = 'unfinished'");
    await database.sql('ALTER TABLE idempotency_keys ENABLE TRIGGER unfinished_keys_stay');
  });

  it('granting again takes away what was too much, and the owner is not narrowed by mistake', async () => {
    await database.sql('GRANT DELETE ON payments TO pay_sam_api');
    expect(await isDenied(asApi('DELETE FROM payments WHERE false'))).toBe(false);
    await database.sql("SELECT grant_rights_of_the_api('pay_sam_api')");
    expect(await isDenied(asApi('DELETE FROM payments WHERE false'))).toBe(true);
    await expect(database.sql('SELECT grant_rights_of_the_api(current_user::regrole)')).rejects.toThrow(
      /owns the tables/,
    );
  });

  it('the migration that grants can be taken back, and made again, while the role stays', async () => {
    const owner = await createDataSource({ databaseUrl: database.url }).initialize();
    const steps =
      owner.migrations.length - owner.migrations.findIndex(({ name }) => name?.startsWith('Rights'));
    for (let step = 0; step < steps; step += 1) await owner.undoLastMigration();
    for (const table of Object.keys(rights)) {
      expect([table, await isDenied(asApi('SELECT FROM ' + escapeIdentifier(table)))]).toEqual([table, true]);
    }
    await owner.runMigrations();
    await owner.destroy();
    expect(await asApi('SELECT FROM payments')).toEqual([]);
  });

  it('a user who may not make roles migrates all the same, and has what an owner has', async () => {
    const owner = `${database.name}_owner`;
    const rest = await createDatabase();
    const name = escapeIdentifier(owner);
    await rest.sql('CREATE ROLE ' + name + " LOGIN PASSWORD 'only-here' NOCREATEROLE");
    await rest.sql('DROP SCHEMA public CASCADE');
    await rest.sql('CREATE SCHEMA public AUTHORIZATION ' + name);
    const databaseUrl = Object.assign(new URL(rest.url), { username: owner, password: 'only-here' }).href;
    const dataSource = await createDataSource({ databaseUrl }).initialize();
    expect(await dataSource.runMigrations()).toHaveLength(dataSource.migrations.length);
    await dataSource.query('DELETE FROM payments');
    await dataSource.destroy();
    await rest.drop();
    await database.sql('DROP ROLE ' + name);
  });

  it('a customer without keys pays once within the window, and again after it', async () => {
    const keyless = await database.addCustomer({ name: 'keyless', balance: 1_000 });
    await database.addCustomer({ name: 'sam' });
    await database.sql("UPDATE customers SET keyless = 'fingerprint' WHERE id = $1", [keyless.id]);
    const api = await bootApi(login.url, { FINGERPRINT_WINDOW: '1' });
    const pay = () =>
      call(`${api.url}/payments`, {
        apiKey: keyless.apiKey,
        body: { to: 'sam', amount: 5, currency: 'GBP' },
      });
    const [first, second] = [await pay(), await pay()];
    expect([first.status, second.text]).toEqual([200, first.text]);
    await sleep(1_100);
    const third = await pay();
    expect([third.status, third.text === first.text]).toEqual([200, false]);
    await api.stop();
  });
});

describe('and with it everything works: API, completer, reaper and reconciler (S39)', () => {
  const scene = setUpBankScene();
  let login: ApiLogin;
  let env: Record<string, string>;

  beforeAll(async () => {
    login = await createApiLogin(scene.database);
    env = { DATABASE_URL: login.url };
  });
  afterAll(async () => {
    await scene.stopApis();
    await login.drop();
  });

  it('pays, declines, refuses, repeats, refunds and cancels on the ledger', async () => {
    const api = await scene.boot(env);
    const users = await scene.sql('SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = $1', [
      scene.database.name,
    ]);
    expect(users).toContainEqual({ usename: login.name });

    const ledger = { rail: 'ledger' };
    const paid = await scene.pay(api, 'paid', ledger);
    expect([paid.status, (await scene.pay(api, 'paid', ledger)).text]).toEqual([200, paid.text]);
    expect((await scene.pay(api, 'paid', { ...ledger, amount: 7 })).status).toBe(409);
    expect((await scene.pay(api, 'poor', { ...ledger, amount: 99_000_000 })).status).toBe(402);
    expect((await scene.pay(api, 'nobody', { ...ledger, to: 'nobody' })).status).toBe(422);
    const refund = (amount: number) =>
      call(`${api.url}/payments/${String(paid.json?.['id'])}/refunds`, {
        apiKey: scene.alice.apiKey,
        key: `refund-${amount}`,
        body: { amount },
      });
    expect((await refund(40)).status).toBe(200);
    expect((await refund(70)).status).toBe(422);
    expect((await scene.cancel(api, 'never-used')).status).toBe(200);
    const put = await call(`${api.url}/operations/put`, {
      method: 'PUT',
      apiKey: scene.alice.apiKey,
      body: { operation: 'payment', params: { to: 'sam', amount: 100, currency: 'GBP' } },
    });
    expect([put.status, put.json?.['state']]).toEqual([200, 'completed']);
    for (const path of [
      '/payments',
      '/accounts',
      '/accounts/alice/transfers',
      '/operations/paid',
      '/metrics',
    ]) {
      expect((await call(api.url + path, { apiKey: scene.alice.apiKey })).status).toBe(200);
    }
  });

  it.each([
    ['sam', 'succeeded'],
    ['tim', 'succeeded'],
    ['flo', 'succeeded'],
    ['dee', 'declined'],
  ])('pays %s through the bank: %s', async (to, status) => {
    const api = await scene.boot(env);
    await scene.payUntilAnswered(api, `bank-${to}`, { to });
    expect(await scene.paymentOf(`bank-${to}`)).toMatchObject({ status });
    await scene.stopApis();
  });

  it('finishes what was left behind, reaps what has expired, and copies the bank’s statement', async () => {
    const api = await scene.boot({
      ...env,
      ANSWER_RETENTION_MS: '1000',
      REAP_EVERY_MS: '100',
      RECONCILE_EVERY_MS: '100',
    });
    await scene.pay(api, 'short-lived', { rail: 'ledger' });
    const isGone = async () =>
      (await scene.sql("SELECT FROM idempotency_keys WHERE key = 'short-lived'")).length === 0;
    const isCopied = async () => (await scene.sql('SELECT FROM bank_bookings')).length > 0;
    for (let looks = 0; looks < 200 && !((await isGone()) && (await isCopied())); looks += 1) {
      await sleep(25);
    }
    expect([await isGone(), await isCopied()]).toEqual([true, true]);
    await scene.stopApis();
  });

  it.each([{ args: ['--once'] }, { args: ['--parked'] }, { args: ['--unpark', 'all'] }])(
    'npm run recover -- $args',
    async ({ args }) => {
      const worker = startWorker({ databaseUrl: login.url, args, env: { ...quick, ...scene.bank.env } });
      const { code } = await worker.exited;
      expect(worker.stdout() + worker.stderr()).not.toMatch(/permission denied|could not do its work/);
      expect(code).toBe(0);
    },
  );
});
