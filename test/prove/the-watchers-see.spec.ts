import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { bankFaults, drawSchedule, drawSoak } from '../../lab/prove/schedule.js';
import { TcpProxy } from '../../lab/prove/tcp-proxy.js';
import { MoneyWatch } from '../../lab/prove/watch-money.js';
import { findLeaks, ResourceWatch } from '../../lab/prove/watch-resources.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { connect as connectTo, createDatabase, type Database } from '../support/database.js';

/** What is wrong only for a moment is gone in the end: somebody has to look meanwhile. */
describe('while a run goes on', () => {
  let database: Database;
  let bank: BankProcess;
  let watch: MoneyWatch;

  beforeAll(async () => {
    bank = await startBank();
  });
  afterAll(() => bank.stop());

  beforeEach(async () => {
    database = await createDatabase();
    await database.addCustomer({ name: 'alice', balance: 10_000 });
    watch = new MoneyWatch(database.url, { url: bank.url, apiKey: bank.env.BANK_API_KEY });
  });
  afterEach(async () => {
    await watch.stop();
    await database.drop();
  });

  /** One that begins from now on has ended: the one under way may have seen what was before. */
  const untilLookedAgain = async () => {
    const from = watch.reads;
    while (watch.reads < from + 2) await sleep(20);
  };

  it('nothing is found where nothing is wrong, however often it is looked', async () => {
    await untilLookedAgain();
    const { longestGapMs, violations } = await watch.stop();
    expect(violations).toEqual([]);
    expect(longestGapMs).toBeGreaterThan(0);
  });

  it.each([
    [
      'each balance is the sum of its transfers',
      "UPDATE accounts SET credits_posted = credits_posted + 1 WHERE id = 'alice'",
      "UPDATE accounts SET credits_posted = credits_posted - 1 WHERE id = 'alice'",
    ],
    [
      'what is posted was charged before',
      `WITH moved AS (UPDATE accounts SET debits_posted = debits_posted + 5 WHERE id = 'alice'),
            credited AS (UPDATE accounts SET credits_posted = credits_posted + 5 WHERE id = 'bank:GBP'),
            paid AS (INSERT INTO payments (id, customer_id, idempotency_key, from_account_id, to_account_id, currency,
                       amount, rail, status, created_at, completed_at)
                     SELECT '018cc251-f400-7000-8000-000000000001', id, 'k', 'alice', 'sam', 'GBP', 5, 'bank',
                            'succeeded', now(), now() FROM customers RETURNING id, customer_id)
       INSERT INTO transfers SELECT gen_random_uuid(), customer_id, id, 'alice', 'bank:GBP', 'GBP', 5, 'posted', now()
         FROM paid`,
      'SELECT',
    ],
  ])('what is wrong for a moment is seen: %s', async (what, harm, repair) => {
    await untilLookedAgain();
    await database.sql(harm);
    await untilLookedAgain();
    await database.sql(repair);
    const { violations } = await watch.stop();
    expect(violations.map(violation => violation.what)).toContain(what);
  });

  it('a charge that nobody had promised is seen', async () => {
    await fetch(`${bank.url}/transfers/nobody`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${bank.env.BANK_API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ amount: 100, currency: 'GBP', creditor: 'sam' }),
    });
    await untilLookedAgain();
    const { violations } = await watch.stop();
    expect(violations.map(violation => violation.what)).toContain('what is charged was promised before');
  });

  it('a watcher whose connection is cut looks again', async () => {
    await untilLookedAgain();
    await database.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'prove-money'",
    );
    await database.sql("UPDATE accounts SET credits_posted = credits_posted + 1 WHERE id = 'alice'");
    await untilLookedAgain();
    expect((await watch.stop()).violations.length).toBeGreaterThan(0);
  });

  it('what is left behind is named, and each process is measured', async () => {
    const forgetful = await connectTo(`${database.url}?application_name=api-1`);
    await forgetful.sql('BEGIN');
    expect(await findLeaks(database.url)).toEqual([]);
    // Only what stays open longer than any piece of work is left behind.
    await sleep(2_100);
    expect(await findLeaks(database.url)).toEqual([expect.stringContaining('api-1 is idle in transaction')]);
    const resources = new ResourceWatch(database.url, () => new Map([['api-1', process.pid]]));
    await sleep(300);
    await forgetful.end();
    const [sample] = await resources.stop();
    expect(sample).toMatchObject({ process: 'api-1', connections: 1 });
    expect(sample?.rssBytes).toBeGreaterThan(2 ** 24);
    expect(sample?.sockets).toBeGreaterThan(0);
  });
});

describe('the faults of a run', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(drawSchedule(1, 60_000, 80)).toEqual(drawSchedule(1, 60_000, 80));
    expect(drawSchedule(1, 60_000, 80)).not.toEqual(drawSchedule(2, 60_000, 80));
    expect(drawSoak(1, 60_000)).toEqual(drawSoak(1, 60_000));
  });

  it('are of every kind within minutes, and in time', () => {
    const { kills, lengthMs, ...drawn } = drawSchedule(1, 140_000, 210);
    const troubles = drawn.troubles.filter(({ atMs }) => atMs <= lengthMs);
    const all = [...kills, ...troubles];
    expect(new Set(all.map(({ fault }) => fault.kind)).size).toBe(20);
    const planned = troubles.flatMap(({ fault }) =>
      fault.kind === 'trouble at the bank' ? [fault.plan.kind] : [],
    );
    expect(new Set(planned)).toEqual(new Set(bankFaults.map(({ kind }) => kind)));
    for (const scheduled of [kills, troubles]) {
      const times = scheduled.map(({ atMs }) => atMs);
      expect(times).toEqual(times.toSorted((one, other) => one - other));
      expect(times.at(-1)).toBeLessThanOrEqual(140_000);
    }
  });

  it('kill two APIs in turn, as often as was asked, and some come back with a flaw', () => {
    const kills = drawSchedule(1, 140_000, 210).kills.flatMap(({ fault }) =>
      fault.kind === 'kill' ? [fault] : [],
    );
    expect(kills.map(({ victim }) => victim)).toEqual(
      Array.from({ length: 210 }, (_, nth) => (nth % 2 === 0 ? 'api-1' : 'api-2')),
    );
    for (const flaw of ['faultPoint', 'stallMs', 'clockMs', 'clockStepMs', 'workersInside']) {
      expect(kills.filter(({ reborn }) => flaw in reborn).length).toBeGreaterThan(5);
    }
  });

  it('of a soak kill nobody, and park nothing', () => {
    const { kills, troubles } = drawSoak(1, 600_000);
    expect(kills).toEqual([]);
    expect(troubles.length).toBeGreaterThan(500);
    expect(troubles.filter(({ fault }) => /kill|freeze|restart/.test(fault.kind))).toEqual([]);
    expect(JSON.stringify(troubles)).not.toContain('wrong_');
  });
});

describe('a network that goes wrong', () => {
  let proxy: TcpProxy;
  let echo: Server;
  let heard: string[];

  beforeEach(async () => {
    heard = [];
    echo = createServer(socket => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    proxy = await TcpProxy.start((echo.address() as AddressInfo).port);
  });
  afterEach(() => {
    proxy.stop();
    echo.close();
  });

  function call(text: string): Socket {
    // What a socket says after its test is nobody else's.
    const said = heard;
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1');
    socket.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => said.push(error.code ?? ''));
    socket.on('close', () => said.push('closed'));
    socket.write(text);
    return socket;
  }

  /** A busy machine takes its time. @returns when so much has been heard in all */
  async function untilHeard(things: number): Promise<void> {
    for (let tries = 0; heard.length < things && tries < 300; tries += 1) await sleep(10);
  }

  it('passes on what is said, while nothing is wrong', async () => {
    call('hello');
    await untilHeard(1);
    expect(heard).toEqual(['hello']);
  });

  it('resets, refuses and heals', async () => {
    call('hello');
    await untilHeard(1);
    proxy.resetAll();
    await untilHeard(3);
    proxy.refuse();
    call('anybody?');
    await untilHeard(5);
    await proxy.heal();
    call('back');
    await untilHeard(6);
    expect(heard).toEqual(['hello', 'ECONNRESET', 'closed', 'ECONNREFUSED', 'closed', 'back']);
    expect(proxy.struck).toMatchObject({ reset: 1, refuse: 1 });
  });

  it('falls silent, and what was said meanwhile arrives after it', async () => {
    const socket = call('one');
    await untilHeard(1);
    proxy.goSilent();
    socket.write('two');
    await sleep(200);
    expect(heard).toEqual(['one']);
    await proxy.heal();
    await untilHeard(2);
    expect(heard).toEqual(['one', 'two']);
  });

  it('is slow, comes in slices, and nothing overtakes', async () => {
    proxy.slowDown({ delayMs: 30, jitterMs: 60, sliceBytes: 2 });
    const began = performance.now();
    const socket = call('abcdef');
    await sleep(5);
    socket.write('ghij');
    while (heard.join('').length < 10) await sleep(10);
    // There and back, each way at least the delay.
    expect(performance.now() - began).toBeGreaterThan(55);
    expect(heard.length).toBeGreaterThan(3);
    expect(heard.join('')).toBe('abcdefghij');
    expect(proxy.struck.delay).toBeGreaterThan(1);
  });

  it('cuts an answer after so many bytes, once', async () => {
    proxy.cutAnswerAfter(3);
    call('hello');
    await untilHeard(2);
    call('again');
    await untilHeard(3);
    expect(heard).toEqual(['hel', 'closed', 'again']);
    expect(proxy.struck).toEqual({ cut: 1 });
  });

  it('cuts a request after so many bytes, once', async () => {
    proxy.cutRequestAfter(3);
    call('hello');
    while (!heard.includes('closed')) await sleep(5);
    call('again');
    while (!heard.includes('again')) await sleep(5);
    // What had come through is answered by an echo, to nobody.
    expect(heard).toEqual(['closed', 'again']);
    expect(proxy.struck).toEqual({ 'request cut': 1 });
  });
});
