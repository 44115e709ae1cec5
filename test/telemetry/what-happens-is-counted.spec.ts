import { engineEvents, type EnginePoint } from '../../src/idempotency/events.js';
import { createDatabase, type Database } from '../support/database.js';
import { call } from '../support/http.js';
import { attempt, difference, publishBank, publishEngine, publishRecovery, secrets } from './events.js';
import { listen, type ListeningApp } from './listening-app.js';
import { parseMetrics, valueOf } from './parse-metrics.js';

describe('what happens is counted', () => {
  let database: Database;
  let app: ListeningApp;

  beforeAll(async () => {
    database = await createDatabase();
  });
  beforeEach(async () => {
    app = await listen(database.url);
  });
  afterEach(() => app.stop());
  afterAll(() => database.drop());

  const figure = async (series: string) => valueOf(await app.scrape(), series);

  it('is told to everybody who asks, in Prometheus’s text format, and never cached', async () => {
    const answer = await call(`${app.url}/metrics`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.headers.get('cache-control')).toBe('no-store');

    const families = parseMetrics(answer.text);
    expect(families.size).toBeGreaterThan(40);
    for (const [name, { type, help }] of families) {
      if (!name.startsWith('paysam_')) continue;
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
      expect(help).toMatch(/^[A-Z0-9].{15,120}$/);
    }
  });

  it('tells of the process too: memory, CPU, event loop', async () => {
    const text = await app.scrape();
    expect(valueOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    expect(valueOf(text, 'process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(valueOf(text, 'nodejs_eventloop_lag_p99_seconds')).toBeDefined();
    expect(text).not.toContain('nodejs_active_handles');
  });

  it.each([
    ['completed', 'completed'],
    ['replayed', 'replayed'],
    ['pending', 'pending'],
    ['in_progress', 'in_progress'],
    ['collision', 'collision'],
    ['refused', 'refused'],
    ['cancelled', 'cancelled'],
    [undefined, 'failed'],
  ] as const)('counts an answer (%s), and none of the others', async (outcome, label) => {
    expect(await figure(`paysam_answers_total{outcome="${label}"}`)).toBe(0);
    for (let times = 0; times < 3; times += 1) {
      publishEngine('answered', [attempt('a')], outcome && { outcome });
    }
    const answers =
      parseMetrics(await app.scrape()).get('paysam_answers_total')?.series ?? new Map<string, number>();
    expect(answers.get(`paysam_answers_total{outcome="${label}"}`)).toBe(3);
    expect([...answers.values()].reduce((sum, value) => sum + value, 0)).toBe(3);
  });

  it('counts transactions, how many shared one, and how long it took', async () => {
    const batch = Array.from({ length: 7 }, (_, index) => attempt(`a${index}`));
    publishEngine('boarding', batch);
    publishEngine('batch_repeated', batch, { error: new Error('gone') });
    publishEngine('boarding', batch);
    publishEngine('batch_split', batch, { error: new Error('poison') });
    publishEngine('boarding', batch.slice(0, 4));
    publishEngine('boarding', batch.slice(4));
    publishEngine('committed', batch.slice(4));
    publishEngine('committed', batch.slice(0, 4));

    const text = await app.scrape();
    expect(valueOf(text, 'paysam_batch_repeats_total')).toBe(1);
    expect(valueOf(text, 'paysam_batch_splits_total')).toBe(1);
    expect(valueOf(text, 'paysam_batch_size_count')).toBe(2);
    expect(valueOf(text, 'paysam_batch_size_sum')).toBe(7);
    expect(valueOf(text, 'paysam_batch_size_bucket{le="2"}')).toBe(0);
    expect(valueOf(text, 'paysam_batch_size_bucket{le="5"}')).toBe(2);
    expect(valueOf(text, 'paysam_transaction_seconds_count')).toBe(2);
    expect(valueOf(text, 'paysam_transaction_seconds_sum')).toBeLessThan(1);
  });

  it.each<[EnginePoint, string]>([
    ['taken_over', 'paysam_takeovers_total'],
    ['fenced', 'paysam_fenced_total'],
    ['postponed', 'paysam_postponed_total'],
    ['parked', 'paysam_parked_total'],
    ['cancelled', 'paysam_cancelled_total'],
    ['stranded', 'paysam_stranded_total'],
  ])('counts what is %s by the recovery point it had come to', async (point, metric) => {
    publishEngine(point, [attempt('a', 'funds_reserved'), attempt('b', 'transfer_sent')], { reason: 'r' });
    publishEngine(point, [attempt('c', 'transfer_sent')], { reason: 'r' });
    const text = await app.scrape();
    const counted = ['started', 'funds_reserved', 'transfer_sent'].map(each =>
      valueOf(text, `${metric}{recovery_point="${each}"}`),
    );
    expect(counted).toEqual([0, 1, 2]);
  });

  it('counts and times requests to the bank, by what was asked and what came of it', async () => {
    publishBank({ call: 'pay', kind: 'unknown', ms: 3_000, reason: 'no answer' });
    publishBank({ call: 'ask', kind: 'ok', ms: 40 });
    publishBank({ call: 'ask', kind: 'ok', ms: 60 });
    publishBank({ call: 'ask', kind: 'not_sent', ms: 0 });
    const text = await app.scrape();
    expect(valueOf(text, 'paysam_bank_requests_total{call="pay",kind="unknown"}')).toBe(1);
    expect(valueOf(text, 'paysam_bank_requests_total{call="ask",kind="ok"}')).toBe(2);
    expect(valueOf(text, 'paysam_bank_requests_total{call="ask",kind="not_sent"}')).toBe(1);
    expect(valueOf(text, 'paysam_bank_requests_total{call="pay",kind="ok"}')).toBe(0);
    expect(valueOf(text, 'paysam_bank_request_seconds_sum{call="pay"}')).toBe(3);
    expect(valueOf(text, 'paysam_bank_request_seconds_sum{call="ask"}')).toBeCloseTo(0.1);
    // What was never sent took no time at the bank.
    expect(valueOf(text, 'paysam_bank_request_seconds_count{call="ask"}')).toBe(2);
  });

  it('tells the one state that the circuit to the bank is in', async () => {
    const states = async () => {
      const text = await app.scrape();
      return ['closed', 'half_open', 'open'].map(state =>
        valueOf(text, `paysam_bank_circuit{state="${state}"}`),
      );
    };
    expect(await states()).toEqual([1, 0, 0]);
    publishBank({ circuit: 'open' });
    expect(await states()).toEqual([0, 0, 1]);
    publishBank({ circuit: 'half_open' });
    expect(await states()).toEqual([0, 1, 0]);
    publishBank({ circuit: 'closed' });
    expect(await states()).toEqual([1, 0, 0]);
  });

  it('tells the reconciler’s difference, and does not call it 0 before anybody has looked', async () => {
    const differences = () => figure('paysam_reconciler_differences');
    const success = () => figure('paysam_worker_last_success_timestamp_seconds{worker="reconciler"}');
    expect([await differences(), await success()]).toEqual([undefined, undefined]);

    publishRecovery({ worker: 'reconciler', error: new Error('the bank is away') });
    expect([await differences(), await success()]).toEqual([undefined, undefined]);
    expect(await figure('paysam_worker_errors_total{worker="reconciler"}')).toBe(1);

    const run = { worker: 'reconciler', copied: 3, payments: 9 } as const;
    publishRecovery({ ...run, differencesFound: 1_500, differences: [difference(0)] });
    expect(await differences()).toBe(1_500);
    expect(Math.abs(((await success()) ?? 0) - Date.now() / 1_000)).toBeLessThan(60);
    publishRecovery({ ...run, differencesFound: 0, differences: [] });
    expect(await differences()).toBe(0);
  });

  it('counts what the reaper deleted', async () => {
    publishRecovery({ worker: 'reaper', reaped: 0 });
    publishRecovery({ worker: 'reaper', reaped: 1_200 });
    expect(await figure('paysam_reaped_keys_total')).toBe(1_200);
  });

  it('names no customer, no key and no attempt, and has as many series after a thousand payments', async () => {
    const series = async () =>
      [...parseMetrics(await app.scrape()).values()].flatMap(family => [...family.series.keys()]);
    const ours = (names: string[]) => names.filter(each => each.startsWith('paysam_'));
    const before = ours(await series());
    for (let index = 0; index < 1_000; index += 1) {
      const one = [attempt(`attempt-${index}`, 'funds_reserved')];
      for (const point of [
        'boarding',
        'committed',
        'taken_over',
        'postponed',
        'parked',
        'answered',
      ] as const) {
        publishEngine(point, one, { reason: `reason ${index} of ${secrets.customerId}`, outcome: 'pending' });
      }
      publishBank({ call: 'pay', kind: 'unknown', ms: index, reason: `reason ${index}` });
    }
    expect(ours(await series())).toEqual(before);
    const text = await app.scrape();
    for (const secret of [...Object.values(secrets), 'attempt-', 'reason ']) {
      expect(text).not.toContain(secret);
    }
  });

  it('counts what another application in this process does, from its own start on', async () => {
    publishRecovery({ worker: 'reaper', reaped: 5 });
    const other = await listen(database.url);
    try {
      publishRecovery({ worker: 'reaper', reaped: 1 });
      const reaped = async (one: ListeningApp) => valueOf(await one.scrape(), 'paysam_reaped_keys_total');
      expect([await reaped(app), await reaped(other)]).toEqual([6, 1]);
    } finally {
      await other.stop();
    }
  });

  it('listens no longer than it runs', async () => {
    expect(engineEvents.hasSubscribers).toBe(true);
    const other = await listen(database.url);
    await other.stop();
    publishEngine('parked', [attempt('a')], { reason: 'why' });
    expect(other.lines).toEqual([]);
    expect(app.lines).toHaveLength(1);
    await app.stop();
    expect(engineEvents.hasSubscribers).toBe(false);
  });

  it('survives an event that makes no sense, and says so', async () => {
    publishBank({ call: 'dance', kind: 'ok', ms: 1 } as never);
    publishEngine('answered', [attempt('a')], { outcome: 'completed' });
    expect(await figure('paysam_answers_total{outcome="completed"}')).toBe(1);
    expect(app.logged()).toMatchObject([{ level: 50, msg: 'an event could not be counted or logged' }]);
  });
});
