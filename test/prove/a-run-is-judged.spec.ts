import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readBank } from '../../lab/prove/bank-witness.js';
import { checkEverything } from '../../lab/prove/checkers/every-checker.js';
import { measureProgress } from '../../lab/prove/checkers/i05-progress.js';
import { countAnswers } from '../../lab/prove/checkers/i15-vacuity.js';
import { readDatabase } from '../../lab/prove/database-witness.js';
import { Driver } from '../../lab/prove/driver.js';
import { readDriverLogs } from '../../lab/prove/driver-log.js';
import type { Caller } from '../../lab/prove/plan.js';
import { recordKeyHistory } from '../../lab/prove/key-history.js';
import { MoneyWatch } from '../../lab/prove/watch-money.js';
import { findLeaks, ResourceWatch } from '../../lab/prove/watch-resources.js';
import type { Witnesses } from '../../lab/prove/witnesses.js';
import { startApi, startWorker, type RealProcess } from '../support/api-process.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Database } from '../support/database.js';
import { shortPatience } from '../crashes/crash-lane.js';

const payees = ['sam', 'dee', 'tim', 'nia', 'flo', 'rex'];
const operations = 150;

/**
 * The driver, the witnesses and the checkers on a real run without faults: two APIs, the workers, the other bank, and
 * PostgreSQL. One of the processes is frozen for a while, so that somebody is taken over.
 */
describe('a run', () => {
  let callers: Caller[];
  let apis: string[];
  let log: string;
  let database: Database;
  let bank: BankProcess;
  let folder: string;
  let witnesses: Witnesses;
  const processes: RealProcess[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'paysam-prove-'));
    database = await createDatabase();
    await recordKeyHistory({ query: database.sql } as unknown as Parameters<typeof recordKeyHistory>[0]);
    const customers = [
      await database.addCustomer({ name: 'alice', balance: 10_000_000_000 }),
      await database.addCustomer({ name: 'zoe', balance: 10_000_000_000 }),
      await database.addCustomer({ name: 'bob', balance: 5_000 }),
      await database.addCustomer({ name: 'legacy', balance: 10_000_000_000 }),
    ];
    callers = customers.map(({ name, apiKey }) => ({ name, apiKey, isKeyless: name === 'legacy' }));
    await database.sql("UPDATE customers SET keyless = 'fingerprint' WHERE name = 'legacy'");
    for (const name of payees) await database.addCustomer({ name });
    bank = await startBank({ BANK_SETTLE_MS: '40', BANK_HANG_MS: '1000' });

    const env = { ...shortPatience, ...bank.env, FINGERPRINT_WINDOW: '86400' };
    const as = (name: string) =>
      Object.assign(new URL(database.url), { search: `application_name=${name}` }).href;
    const first = await startApi({ databaseUrl: as('api-1'), env });
    const second = await startApi({ databaseUrl: as('api-2'), env });
    processes.push(first, second, startWorker({ databaseUrl: as('worker'), env }));

    const money = new MoneyWatch(database.url, { url: bank.url, apiKey: bank.env.BANK_API_KEY });
    const pids = new Map([['api-1', first.pid] as const, ['api-2', second.pid] as const]);
    const resources = new ResourceWatch(database.url, () => pids);
    apis = [first.url, second.url];
    log = join(folder, 'driver.jsonl');
    const driver = new Driver({
      name: 'd1',
      seed: 7,
      urls: apis,
      callers,
      log,
      atOnce: 12,
      thinkMs: 0,
      operations,
    });
    const running = driver.run();
    await sleep(700);
    second.signal('SIGSTOP');
    await sleep(900);
    second.signal('SIGCONT');
    const healedAt = Date.now();
    await running;

    witnesses = {
      log: await readDriverLogs([log]),
      bank: await readBank({ url: bank.url, apiKey: bank.env.BANK_API_KEY }),
      database: await readDatabase(database.url),
      run: {
        progress: { healedAt, endWithinMs: 15_000, mayPark: [] },
        money: await money.stop(),
        resources: {
          samples: await resources.stop(),
          bounds: { api: { connections: 4, rssBytes: 512 * 2 ** 20, sockets: 200 } },
          attemptsMax: 40,
          leaks: await findLeaks(database.url),
        },
        coverage: {
          seen: {},
          wanted: { 'answer 402 insufficient_funds': 1, 'answer 409 collision_detected': 1, replay: 10 },
          succeededMin: operations / 2,
          shareSucceededMin: 0.5,
        },
      },
    };
  }, 120_000);

  afterAll(async () => {
    await Promise.all(processes.map(each => each.kill()));
    await bank.stop();
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  it('that goes well is found to be well, by all three witnesses', () => {
    expect(checkEverything(witnesses)).toEqual([]);
    expect(countAnswers(witnesses)['taken over']).toBeGreaterThan(0);
    const { afterHealing, endToEnd } = measureProgress(witnesses);
    expect(endToEnd.count).toBe(countEnded(witnesses));
    expect(afterHealing.worst).toBeLessThan(15_000);
  });

  it('was watched while it went on', () => {
    const { money, resources } = witnesses.run;
    expect(money.reads).toBeGreaterThan(5);
    expect(resources.samples.length).toBeGreaterThan(2);
    expect(resources.samples.every(({ rssBytes, sockets }) => rssBytes > 0 && sockets > 0)).toBe(true);
    expect(Math.max(...resources.samples.map(({ connections }) => connections))).toBeGreaterThan(0);
  });

  it('whose driver was killed has a log all the same: nothing was paid that it does not tell of', async () => {
    const killed = join(folder, 'killed.jsonl');
    const options = { name: 'd2', seed: 8, urls: apis, callers, log: killed, atOnce: 12, thinkMs: 0 };
    const child = spawn(process.execPath, ['dist/lab/prove/driver-process.js', JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const gone = once(child, 'exit');
    while (!(statSync(killed, { throwIfNoEntry: false })?.size ?? 0)) await sleep(20);
    await sleep(1_000);
    child.kill('SIGKILL');
    await gone;
    const unfinished = () =>
      database.sql("SELECT FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled')");
    do await sleep(500);
    while ((await unfinished()).length > 0);

    const cut: Witnesses = {
      log: await readDriverLogs([log, killed]),
      bank: await readBank({ url: bank.url, apiKey: bank.env.BANK_API_KEY }),
      database: await readDatabase(database.url),
      run: witnesses.run,
    };
    expect(cut.log.some(({ reply }) => reply === null)).toBe(true);
    const found = new Set(checkEverything(cut).map(({ invariant, what }) => `${invariant} ${what}`));
    // Its callers never heard how it ended: that, and nothing else.
    expect(found).toEqual(new Set(['I13 a caller who does as it is told comes to an end']));
  });

  it('is told by the writers’ own names, so that a zombie could be told from a holder', () => {
    const writers = new Set(witnesses.database.history.map(({ writer }) => writer));
    expect(writers).toEqual(new Set(['api-1', 'api-2', 'worker']));
  });
});

/** Rows that have ended: of each, the time it took is known. */
function countEnded({ database: { keys } }: Witnesses): number {
  return keys.filter(({ recoveryPoint }) => recoveryPoint === 'finished' || recoveryPoint === 'cancelled')
    .length;
}
