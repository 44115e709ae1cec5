import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { AnotherBank } from './another-bank.js';
import { plantPayment } from './bank-payments.js';

/** `npm run recover`: what an operator runs by hand, what cron runs, and what runs beside the API. */
describe('the recover command', () => {
  let database: Database;
  let alice: Customer;
  let bank: AnotherBank;
  let environment: NodeJS.ProcessEnv;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 1_000_000 });
  });
  beforeEach(async () => {
    await database.sql('TRUNCATE bank_bookings, payments, idempotency_keys CASCADE');
    bank = new AnotherBank();
    await bank.listen();
    environment = { DATABASE_URL: database.url, BANK_URL: bank.url, BANK_API_KEY: 'bk_test' };
  });
  afterEach(() => {
    bank.close();
  });
  afterAll(() => database.drop());

  const plantExpired = (key: string) =>
    database.insertKeyRow({
      customerId: alice.id,
      key,
      answer: { status: 200, body: '{}' },
      expiresInMs: -1_000,
    });
  const recover = (...args: string[]) => run(args, environment);

  it('--once: does each job, says what it did, one line each, and ends well', async () => {
    await plantExpired('old');
    bank.book({ reference: await plantPayment(database.sql, alice) });
    const { code, stdout, stderr } = await recover('--once');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').slice(-3)).toEqual([
      'reaper      deleted 1 expired answer',
      'reconciler  copied 1 booking, compared 1 payment, found 0 differences',
      '',
    ]);
  });

  it('--once: tells of each difference in a line, and exits with 3', async () => {
    const unknown = await plantPayment(database.sql, alice);
    const twice = await plantPayment(database.sql, alice, { status: 'declined' });
    bank.book({ reference: twice }, { reference: twice, amount: 250n, currency: 'EUR' });
    bank.book({ reference: 'a~stranger', amount: 7n });
    const { code, stdout, stderr } = await recover('reconciler', '--once');
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
    const [first, ...differences] = stdout.trimEnd().split('\n');
    expect(first).toBe('reconciler  copied 3 bookings, compared 2 payments, found 3 differences');
    expect(differences.sort()).toEqual(
      [
        `  charged_twice ${twice}: here 100 GBP declined, at the bank 350 EUR/GBP after 2 charges and 0 returns`,
        '  unknown_to_us a~stranger: here nothing, at the bank 7 GBP after 1 charge and 0 returns',
        `  unknown_to_bank ${unknown}: here 100 GBP succeeded, at the bank nothing`,
      ].sort(),
    );
  });

  it('--once --json: one object, for a script', async () => {
    const reference = await plantPayment(database.sql, alice);
    bank.book({ reference, amount: 99n });
    const { code, stdout } = await recover('reconciler', 'reaper', '--once', '--json');
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toEqual({
      reaper: { reaped: 0 },
      reconciler: {
        copied: 1,
        payments: 1,
        differencesFound: 1,
        differences: [
          {
            kind: 'amount_differs',
            reference,
            ours: { amount: 100, currency: 'GBP', status: 'succeeded' },
            theirs: { amount: 99, currency: 'GBP', charges: 1, returns: 0 },
          },
        ],
      },
    });
  });

  it('does only what it is told to', async () => {
    await plantExpired('old');
    bank.book({ reference: 'stranger' });
    const { code, stdout } = await recover('reaper', '--once');
    expect([code, stdout]).toEqual([0, 'reaper      deleted 1 expired answer\n']);
    expect(bank.asked).toEqual([]);
  });

  it('without a bank: does the rest; asked for the reconciler by name, says what is missing', async () => {
    environment = { DATABASE_URL: database.url };
    expect(await recover('--once')).toMatchObject({
      code: 0,
      stdout: expect.not.stringContaining('reconciler') as string,
    });
    expect(await recover('reconciler', '--once')).toMatchObject({ code: 1, stderr: says('set BANK_URL') });
  });

  it('the bank is away: one line that says so, the rest is done, exit code 1', async () => {
    await plantExpired('old');
    bank.close();
    const { code, stdout, stderr } = await recover('--once');
    expect(code).toBe(1);
    expect(stdout).toContain('reaper      deleted 1 expired answer');
    expect(stderr).toBe(
      'reconciler could not do its work. The bank’s statement could not be read: could not connect (ECONNREFUSED). ' +
        'Start the bank, or correct BANK_URL and BANK_API_KEY.\n',
    );
  });

  it.each([
    ['is not set', { DATABASE_URL: '' }, 'DATABASE_URL is not set.'],
    ['is down', { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }, 'No PostgreSQL answers there'],
    ['is no URL', { DATABASE_URL: 'mysql://here' }, 'DATABASE_URL must begin with postgres'],
  ])('the database %s: one line that says what to do, exit code 1', async (_, change, words) => {
    environment = { ...environment, ...change };
    const { code, stdout, stderr } = await recover('--once');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^Nothing was recovered\. [^\n]+\n$/);
    expect(stderr).toContain(words);
  });

  it('the schema is old: says which command brings it up to date', async () => {
    await database.sql('ALTER TABLE bank_bookings RENAME TO hidden');
    try {
      expect(await recover('reconciler', '--once')).toMatchObject({
        code: 1,
        stderr: says('npm run migrate'),
      });
    } finally {
      await database.sql('ALTER TABLE hidden RENAME TO bank_bookings');
    }
  });

  it.each([[['--onse']], [['janitor', '--once']], [['--once=yes']]])(
    'it does not understand %j: says how it is used, exit code 2',
    async args => {
      const { code, stdout, stderr } = await recover(...args);
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain('Usage: npm run recover -- ');
    },
  );

  it('--parked and --unpark: shows what waits for a person, and gives it back to the completer', async () => {
    const plantParked = async (because: string) => {
      const paymentId = await plantPayment(database.sql, alice, { status: 'pending' });
      await database.sql(
        `INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params,
           recovery_point, state, attempt_id, epoch, attempts, may_be_sent, parked_because, created_at, expires_at)
         VALUES ($1, 'key-' || $2, 'payment', sha256('x'), 1, '{}', 'funds_reserved',
           jsonb_build_object('payment_id', $2::text), gen_random_uuid(), 3, 40, true, $3, now(), now())`,
        [alice.id, paymentId, because],
      );
      return paymentId;
    };
    const one = await plantParked('the bank names another amount');
    const two = await plantParked('taken up 40 times');

    const { stdout } = await recover('--parked');
    expect(stdout).toMatch(
      new RegExp(
        `^${one}  since .*, at funds_reserved, after 40 attempts: the bank names another amount$`,
        'm',
      ),
    );
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);

    expect(await recover('--unpark')).toMatchObject({ code: 2 });
    expect(await recover('--unpark', one, 'nobody')).toMatchObject({
      code: 1,
      stdout: `${one} is the completer’s again.\n`,
      stderr: 'nobody is not parked.\n',
    });
    const abandoned = () =>
      database.sql(
        `SELECT state ->> 'payment_id' AS id, attempts, epoch FROM idempotency_keys
          WHERE parked_because IS NULL AND locked_until <= clock_timestamp()`,
      );
    expect(await abandoned()).toEqual([{ id: one, attempts: 1, epoch: 3 }]);
    expect(await recover('--unpark', 'all')).toMatchObject({
      code: 0,
      stdout: `${two} is the completer’s again.\n`,
    });
    expect(await abandoned()).toHaveLength(2);
    expect(await recover('--parked')).toMatchObject({ code: 0, stdout: 'Nothing is parked.\n' });
  });

  it('--help: says how it is used', async () => {
    expect(await recover('--help')).toMatchObject({
      code: 0,
      stderr: '',
      stdout: says('Usage: npm run recover'),
    });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'without --once: runs until %s, tells of what it does, and of each difference once',
    async signal => {
      environment = { ...environment, REAP_EVERY_MS: '30', RECONCILE_EVERY_MS: '30' };
      const worker = startRecover([], environment);
      bank.book({ reference: 'stranger' });
      await plantExpired('old');
      await until(() => worker.stdout.includes('deleted 1') && worker.stdout.includes('found 1'));
      await until(() => bank.asked.length > 10);
      bank.book({ reference: 'another' });
      await until(() => worker.stdout.includes('found 2'));

      const began = performance.now();
      worker.process.kill(signal);
      expect(await worker.exited).toBe(0);
      expect(performance.now() - began).toBeLessThan(5_000);
      expect(worker.stderr).toBe('');
      expect(worker.stdout.match(/unknown_to_us stranger/g)).toHaveLength(1);
      expect(worker.stdout.match(/unknown_to_us another/g)).toHaveLength(1);
      expect(worker.stdout).not.toContain('deleted 0');
    },
  );

  it('without --once: outlives an outage of the bank', async () => {
    environment = { ...environment, RECONCILE_EVERY_MS: '30' };
    bank.pagesLeft = 0;
    const worker = startRecover(['reconciler', '--json'], environment);
    await until(() => worker.stderr.includes('reconciler could not do its work.'));
    bank.pagesLeft = Infinity;
    bank.book({ reference: 'stranger' });
    await until(() => worker.stdout.includes('\n'));
    worker.process.kill('SIGTERM');
    expect(await worker.exited).toBe(0);
    expect(JSON.parse(worker.stdout)).toMatchObject({ reconciler: { copied: 1, differencesFound: 1 } });
  });
});

const says = (words: string) => expect.stringContaining(words) as string;

function startRecover(args: string[], environment: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, ['dist/src/worker.js', ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const worker = {
    process: child,
    stdout: '',
    stderr: '',
    exited: once(child, 'close').then(([code]) => code as number),
  };
  child.stdout.on('data', (chunk: Buffer) => (worker.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (worker.stderr += chunk.toString()));
  return worker;
}

async function run(args: string[], environment: NodeJS.ProcessEnv) {
  const worker = startRecover(args, environment);
  const code = await worker.exited;
  return { code, stdout: worker.stdout, stderr: worker.stderr };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let looks = 0; looks < 1_000 && !isTrue(); looks += 1) await sleep(10);
  expect(isTrue()).toBe(true);
}
