import { setTimeout as sleep } from 'node:timers/promises';
import { QueryFailedError } from 'typeorm';
import { Bug } from '../../src/bug.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { attempt, difference, publishBank, publishEngine, publishRecovery, secrets } from './events.js';
import { listen, type ListeningApp } from './listening-app.js';

const [info, warn, error] = [30, 40, 50];

describe('the log tells an operator', () => {
  let database: Database;
  let app: ListeningApp;
  let alice: Customer;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice' });
  });
  beforeEach(async () => {
    app = await listen(database.url);
  });
  afterEach(async () => {
    await app.stop();
    for (const secret of [...Object.values(secrets), alice.id, alice.apiKey, 'planted-key']) {
      expect(app.lines.join('')).not.toContain(secret);
    }
  });
  afterAll(() => database.drop());

  it('what is parked, and why: one line each, as an error', () => {
    publishEngine('parked', [attempt('a', 'transfer_sent'), attempt('b', 'funds_reserved')], {
      reason: 'why',
    });
    const seen = { level: error, event: 'parked', operation: 'payment', epoch: 2, reason: 'why' };
    expect(app.logged()).toMatchObject([
      { ...seen, attemptId: 'a', recoveryPoint: 'transfer_sent' },
      { ...seen, attemptId: 'b', recoveryPoint: 'funds_reserved' },
    ]);
  });

  it('that nobody is told twice, once more per second: an outage fills no disk', async () => {
    for (let times = 0; times < 500; times += 1) {
      const gone = Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
      publishEngine('batch_repeated', [attempt(`a${times}`)], { error: gone });
      publishEngine('stranded', [attempt(`a${times}`)], { error: gone });
      publishRecovery({ worker: 'completer', error: gone });
    }
    expect(app.logged()).toHaveLength(3);
    await sleep(1_050);
    publishEngine('batch_repeated', [attempt('last')], { error: new Error('gone') });
    const repeated = app.logged().filter(line => line.event === 'batch_repeated');
    expect(repeated).toMatchObject([
      { level: warn, leftOut: 0, err: { code: 'ECONNRESET', message: 'Connection terminated unexpectedly' } },
      { level: warn, leftOut: 499, attempts: [{ attemptId: 'last' }] },
    ]);
  });

  it('why a holder could not go on, with the id of the bug and where it was', () => {
    publishEngine('stranded', [attempt('a', 'funds_reserved')], { error: new Bug('PS-999', 'impossible') });
    const [line] = app.logged() as [{ err: { message: string; stack: string[] } }];
    expect(line).toMatchObject({ level: warn, event: 'stranded', attempts: [{ attemptId: 'a' }] });
    expect(line.err.message).toContain('PS-999');
    expect(line.err.stack[0]).toMatch(/^at .*the-log-tells-an-operator/);
  });

  it('what PostgreSQL complained of, by its code: its own words quote what callers sent', async () => {
    const plant = () => database.insertKeyRow({ customerId: alice.id, key: 'planted-key', leaseMs: 1 });
    await plant();
    const complaint = await plant().then(
      () => Promise.reject(new Error('there are two of them')),
      (refused: unknown) => refused as Error & { detail: string },
    );
    expect(complaint.detail).toContain('planted-key');
    const wrapped = new QueryFailedError('SELECT $1', ['planted-key'], complaint);
    const caused = new Error('the payment could not be written', { cause: wrapped });
    publishEngine('stranded', [attempt('a')], { error: caused });
    expect(app.logged()).toMatchObject([
      {
        err: {
          message: 'the payment could not be written',
          cause: { type: 'error', code: '23505', constraint: 'idempotency_keys_pkey' },
        },
      },
    ]);
    await database.sql("UPDATE idempotency_keys SET recovery_point = 'cancelled', locked_until = NULL");
  });

  it('who was fenced and what was taken over, twenty of many by id', () => {
    publishEngine('fenced', [attempt('zombie', 'funds_reserved')]);
    publishEngine(
      'taken_over',
      Array.from({ length: 200 }, (_, index) => attempt(`a${index}`)),
    );
    const lines = app.logged();
    expect(lines).toMatchObject([
      { level: warn, event: 'fenced', batchSize: 1, attempts: [{ attemptId: 'zombie' }] },
      { level: info, event: 'taken_over', batchSize: 200 },
    ]);
    expect(lines[1]?.attempts).toHaveLength(20);
  });

  it('that the bank failed, and that it is back: once an outage, however often it was tried', () => {
    for (let tries = 0; tries < 50; tries += 1) {
      publishBank({ circuit: 'open' });
      publishBank({ circuit: 'half_open' });
    }
    publishBank({ circuit: 'closed' });
    publishBank({ circuit: 'open' });
    expect(app.logged()).toMatchObject([
      { level: warn, circuit: 'open' },
      { level: info, circuit: 'closed' },
      { level: warn, circuit: 'open' },
    ]);
  });

  it('each difference between our books and the bank, twenty a run at most, amounts to the penny', () => {
    const differences = Array.from({ length: 1_000 }, (_, index) => difference(index));
    publishRecovery({ worker: 'reconciler', copied: 0, payments: 9, differencesFound: 1_500, differences });
    const lines = app.logged();
    expect(lines).toHaveLength(20);
    expect(lines[0]).toMatchObject({
      level: error,
      event: 'difference',
      kind: 'unknown_to_bank',
      reference: 'payment-0',
      ours: { amount: '100000000000000001', currency: 'GBP' },
      theirs: null,
      differencesFound: 1_500,
    });
  });

  it('how much the reaper deleted, and nothing of what is every day’s work', () => {
    publishRecovery({ worker: 'reaper', reaped: 0 });
    publishRecovery({ worker: 'completer', takenOver: 9, finished: 8, postponed: 1, parked: 0, lost: 0 });
    publishRecovery({ worker: 'reconciler', copied: 4, payments: 9, differencesFound: 0, differences: [] });
    publishEngine('boarding', [attempt('a')]);
    publishEngine('committed', [attempt('a')]);
    publishEngine('answered', [attempt('a')], { outcome: 'completed' });
    publishBank({ call: 'pay', kind: 'ok', ms: 1 });
    expect(app.logged()).toEqual([]);
    publishRecovery({ worker: 'reaper', reaped: 3 });
    expect(app.logged()).toMatchObject([{ level: info, event: 'reaped', reaped: 3 }]);
  });
});
