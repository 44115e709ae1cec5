import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RecoveryPoint } from '../idempotency/operation.js';
import type { Backlog } from './backlog.js';

/** What can be told only at the moment of asking. */
export interface Sources {
  /** `null`: the database does not say, or not in time. */
  backlog(): Promise<Backlog | null>;
  connections(): { readonly inUse: number; readonly idle: number; readonly waiting: number };
}

/** Something that goes up: one series of a counter, looked up once. An event then costs less than 0.1 µs. */
export interface Count {
  inc(by?: number): void;
}

const outcomes = [
  'completed',
  'replayed',
  'pending',
  'in_progress',
  'collision',
  'refused',
  'cancelled',
  'failed',
] as const;
const unfinishedPoints = ['started', 'funds_reserved', 'transfer_sent'] as const;
const bankCalls = ['pay', 'ask', 'statement'] as const;
const bankKinds = ['ok', 'declined', 'not_found', 'not_sent', 'unknown', 'contradicted'] as const;
const circuitStates = ['closed', 'half_open', 'open'] as const;
const workers = ['completer', 'reaper', 'reconciler'] as const;

/**
 * What this instance tells a Prometheus server: names, units, and what each one means.
 *
 * No label ever names a customer, a key or an id: that would tell secrets, and each would be a series for ever.
 * Labels have the few values listed above, and each series that counts starts at 0, so that its first step is seen.
 * What is not known is left out: a gauge that says 0 would be a claim.
 *
 * This is the only module that knows prom-client. That package is deprecated: the project went on as
 * @prometheus-io/client, with the same classes, so that changing over is a change to the first line.
 */
export class Metrics {
  private readonly registry = new Registry();

  readonly answers = this.counters({
    name: 'paysam_answers_total',
    help: 'What callers were told. completed: it was done; replayed: it had been done before; failed: an error.',
    label: 'outcome',
    values: outcomes,
  });

  // The transactions that requests share. The count of the histogram is the number of transactions.
  readonly batchSize = this.histogram({
    name: 'paysam_batch_size',
    help: 'Attempts that shared a committed transaction.',
    buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000],
  });
  readonly transactionSeconds = this.histogram({
    name: 'paysam_transaction_seconds',
    help: 'From the beginning of a transaction until it had committed.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  });
  readonly batchRepeats = this.counter({
    name: 'paysam_batch_repeats_total',
    help: 'Transactions that failed in a way that was worth another try.',
  });
  readonly batchSplits = this.counter({
    name: 'paysam_batch_splits_total',
    help: 'Transactions tried again in halves, because one attempt in them cannot work.',
  });

  // Operations of several phases, by the recovery point they had come to.
  readonly takeovers = this.byRecoveryPoint({
    name: 'paysam_takeovers_total',
    help: 'Abandoned operations that were given a new holder.',
  });
  readonly fenced = this.byRecoveryPoint({
    name: 'paysam_fenced_total',
    help: 'Writes that touched nothing, because somebody had taken over.',
  });
  readonly postponed = this.byRecoveryPoint({
    name: 'paysam_postponed_total',
    help: 'Times that nothing was learnt, and an operation was left for later.',
  });
  readonly parked = this.byRecoveryPoint({
    name: 'paysam_parked_total',
    help: 'Operations left for a person to look at.',
  });
  readonly cancelled = this.byRecoveryPoint({
    name: 'paysam_cancelled_total',
    help: 'Operations that were cancelled before anything was sent.',
  });
  readonly stranded = this.byRecoveryPoint({
    name: 'paysam_stranded_total',
    help: 'Operations whose holder could not go on. The lease runs out, and somebody takes over.',
  });

  readonly bankSeconds = this.histograms({
    name: 'paysam_bank_request_seconds',
    help: 'From asking for a turn until the request to the bank had ended. pay: a transfer; ask: what became of it.',
    label: 'call',
    values: bankCalls,
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10],
  });
  private readonly bankRequests = new Counter({
    name: 'paysam_bank_requests_total',
    help: 'Requests to the bank. unknown: it may have been carried out; contradicted: the bank made no sense.',
    labelNames: ['call', 'kind'],
    registers: [this.registry],
  });
  readonly bank = forEach(bankCalls, call =>
    forEach(bankKinds, kind => fromZero(this.bankRequests.labels({ call, kind }))),
  );
  private readonly circuit = this.gauges({
    name: 'paysam_bank_circuit',
    help: '1 for the state the circuit to the bank is in. open: no requests are made for a moment.',
    label: 'state',
    values: circuitStates,
  });

  readonly reapedKeys = this.counter({
    name: 'paysam_reaped_keys_total',
    help: 'Stored answers that were deleted after their time.',
  });
  readonly workerErrors = this.counters({
    name: 'paysam_worker_errors_total',
    help: 'Runs of a worker that ended in an error. It rests, and tries again.',
    label: 'worker',
    values: workers,
  });
  private readonly workerSuccess = this.gauges({
    name: 'paysam_worker_last_success_timestamp_seconds',
    help: 'When a worker in this process last did its job. Missing: not yet.',
    label: 'worker',
    values: workers,
  });
  private readonly differences = this.gauge({
    name: 'paysam_reconciler_differences',
    help: 'References on which our books and the bank differ. To be 0. Missing: not compared yet, in this process.',
  });

  private readonly databaseUp = this.gauge({
    name: 'paysam_database_up',
    help: '1 if the database answered this scrape in time.',
  });
  private readonly unfinishedKeys = this.gauge({
    name: 'paysam_unfinished_keys',
    help: 'Operations on their way, in the whole database: the same figure from each instance.',
  });
  private readonly oldestUnfinished = this.gauge({
    name: 'paysam_oldest_unfinished_key_age_seconds',
    help: 'Age of the oldest operation on its way, parked ones aside; 0 if there is none. The same from each instance.',
  });
  private readonly parkedKeys = this.gauge({
    name: 'paysam_parked_keys',
    help: 'Operations that wait for a person to look. To be 0. The same figure from each instance.',
  });
  private readonly connections = this.gauges({
    name: 'paysam_database_connections',
    help: 'Connections to the database that this process holds.',
    label: 'state',
    values: ['in_use', 'idle'],
  });
  private readonly connectionWaiters = this.gauge({
    name: 'paysam_database_connection_waiters',
    help: 'How many wait in this process for a connection to come free.',
  });

  readonly contentType = this.registry.contentType;

  constructor(private readonly sources: Sources) {
    this.setCircuit('closed');
    show(this.differences, undefined);
  }

  setCircuit(state: (typeof circuitStates)[number]): void {
    for (const each of circuitStates) this.circuit[each].set(each === state ? 1 : 0);
  }

  setWorkerSuccess(worker: (typeof workers)[number]): void {
    this.workerSuccess[worker].setToCurrentTime();
  }

  setDifferences(found: number): void {
    this.differences.set(found);
  }

  /** Everything, in Prometheus's text format. Never fails because the database does. */
  async text(): Promise<string> {
    const backlog = await this.sources.backlog();
    this.databaseUp.set(backlog ? 1 : 0);
    show(this.unfinishedKeys, backlog?.unfinished);
    show(this.oldestUnfinished, backlog?.oldestAgeSeconds);
    show(this.parkedKeys, backlog?.parked);
    const { inUse, idle, waiting } = this.sources.connections();
    this.connections.in_use.set(inUse);
    this.connections.idle.set(idle);
    this.connectionWaiters.set(waiting);
    return `${await this.registry.metrics()}\n${await ofThisProcess().metrics()}`;
  }

  private counter(described: Described): Count {
    return new Counter({ ...described, registers: [this.registry] });
  }

  private gauge(described: Described): Gauge {
    return new Gauge({ ...described, registers: [this.registry] });
  }

  private histogram(described: Described & { buckets: number[] }): Histogram {
    return new Histogram({ ...described, registers: [this.registry] });
  }

  private byRecoveryPoint(described: Described): Partial<Record<RecoveryPoint, Count>> {
    return this.counters({ ...described, label: 'recovery_point', values: unfinishedPoints });
  }

  private counters<Value extends string>({ label, values, ...described }: Labelled<Value>) {
    const counter = new Counter({ ...described, labelNames: [label], registers: [this.registry] });
    return forEach(values, value => fromZero(counter.labels(value)));
  }

  private gauges<Value extends string>({ label, values, ...described }: Labelled<Value>) {
    const gauge = new Gauge({ ...described, labelNames: [label], registers: [this.registry] });
    return forEach(values, value => gauge.labels(value));
  }

  private histograms<Value extends string>({
    label,
    values,
    ...described
  }: Labelled<Value> & { buckets: number[] }) {
    const histogram = new Histogram({ ...described, labelNames: [label], registers: [this.registry] });
    return forEach(values, value => {
      histogram.zero({ [label]: value });
      return histogram.labels(value);
    });
  }
}

interface Described {
  readonly name: string;
  readonly help: string;
}

interface Labelled<Value extends string> extends Described {
  readonly label: string;
  readonly values: readonly Value[];
}

function forEach<Value extends string, Series>(values: readonly Value[], series: (value: Value) => Series) {
  return Object.fromEntries(values.map(value => [value, series(value)])) as Record<Value, Series>;
}

function fromZero(count: Count): Count {
  count.inc(0);
  return count;
}

function show(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}

let processRegistry: Registry | undefined;

/** Each of these lists every open handle: with thousands of sockets that is a good part of what a scrape costs. */
const tooDear = [
  'handles',
  'handles_total',
  'requests',
  'requests_total',
  'resources',
  'resources_total',
].map(listed => `nodejs_active_${listed}`);

/** Of two scrapes in one moment, the second would be told nonsense: there is no mean, and no minimum, of nothing. */
const nonsense = ['min', 'mean', 'stddev'].map(figure => `nodejs_eventloop_lag_${figure}_seconds`);

/**
 * Memory, CPU, event loop, garbage collection: these belong to the process, however many applications it runs. What
 * observes them cannot be stopped, so there is one of each, from the first scrape on.
 */
function ofThisProcess(): Registry {
  if (processRegistry) return processRegistry;
  processRegistry = new Registry();
  collectDefaultMetrics({ register: processRegistry });
  for (const name of [...tooDear, ...nonsense]) processRegistry.removeSingleMetric(name);
  return processRegistry;
}
