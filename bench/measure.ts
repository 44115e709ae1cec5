import { agenda, type Situation } from './agenda.js';
import { readBankTime, type BankTime } from './api-metrics.js';
import { audit, type Audit } from './audit.js';
import { end, startServer, type Listening, type ServerName } from './child.js';
import { cpuBetween, using, type DatabaseServer, type Meter } from './database.js';
import type { LoadJob, LoadReport } from './load.js';
import { LoadGenerator } from './load-generator.js';
import { PretendBank } from './pretend-bank.js';
import { cpuSeconds, peakMemoryMib } from './processes.js';
import { allHaveEnded, comesTrue } from './until.js';
import { watch, type Seen } from './watch.js';

export interface Measurement {
  /** Answers within the measured time, per second of it. */
  perSecond: number;
  meanMs: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU seconds within the measured time; `null` where they cannot be read. */
  apiCpuSeconds: number | null;
  databaseCpuSeconds: number | null;
  loadCpuSeconds: number;
  answers: number;
  walBytes: number;
  peakMemoryMib: number | null;
  /** `null` on rail ledger. */
  bank: AtTheBank | null;
  /** `null` where nobody looked. */
  seen: Seen | null;
  errors: Record<string, number>;
  audit: Audit;
}

/** What a payment had to do with the other bank, on average, within the measured time. */
export interface AtTheBank {
  requests: number;
  /** From asking for a turn until the answer was read. What the caller waited beyond this, it waited for us. */
  waitMs: number;
  /** CPU seconds of the pretend bank, which shares the machine with us. */
  cpuSeconds: number | null;
  /** Since the bank began. */
  charges: number;
}

interface Plan {
  server: ServerName;
  situation: Situation;
  /** The database to use; nobody else uses it meanwhile. */
  databaseUrl: string;
  paymentsBefore: number;
  load: Pick<LoadJob, 'connections' | 'warmUpSeconds' | 'seconds'>;
}

/** One measurement: a fresh API process under load, then a count of what the database holds, and the bank's books. */
export async function measure(
  databases: DatabaseServer,
  { server, situation, databaseUrl, paymentsBefore, load }: Plan,
  signal: AbortSignal,
): Promise<Measurement> {
  const planned = agenda[situation];
  const job = {
    payee: 'another customer',
    keysRepeated: 0,
    ...load,
    ...planned.load,
    rail: planned.bank ? 'bank' : 'ledger',
  } as const;
  await databases.checkpoint();
  const bank = planned.bank ? await PretendBank.start(planned.bank, signal) : null;
  try {
    const environment = { DATABASE_URL: databaseUrl, ...bank?.environment };
    const api = await startServer(server, environment, signal);
    let run: Run;
    let atRest: BankTime | null = null;
    try {
      const scene = { api, bank, databases, watchedUrl: planned.watched ? databaseUrl : null };
      run = await underLoad(scene, job, signal);
      // What was in flight at the end has lost its caller, and goes on all the same. It is stopped only then.
      if (bank) {
        await using(databaseUrl, database => comesTrue(database, allHaveEnded, signal));
        atRest = await readBankTime(api.url);
      }
    } finally {
      // It finishes what it is at, so that the count below is of books at rest.
      await end(api.process);
    }

    const { done, before, after } = run;
    const { latenciesMs, errors } = done;
    const answers = latenciesMs.length;
    const charges = bank ? await bank.charges() : null;
    return {
      perSecond: answers / load.seconds,
      meanMs: latenciesMs.reduce((sum, ms) => sum + ms, 0) / answers,
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
      apiCpuSeconds: difference(before.apiCpu, after.apiCpu),
      databaseCpuSeconds: cpuBetween(before.database, after.database),
      loadCpuSeconds: done.cpuSeconds,
      answers,
      walBytes: after.database.walBytes - before.database.walBytes,
      peakMemoryMib: run.peakMemoryMib,
      bank: atRest && { ...atTheBank(before, after, atRest), charges: charges?.length ?? 0 },
      seen: run.seen,
      errors,
      audit:
        server === 'bare'
          ? { ...nothingAmiss, payments: paymentsBefore }
          : await using(databaseUrl, database =>
              audit(database, done, { paymentsBefore, keysStored: server !== 'naive', charges }),
            ),
    };
  } finally {
    await bank?.stop();
  }
}

const nothingAmiss = { lost: 0, doubled: 0, unfinished: 0, booksDiffer: 0, moneyAstray: 0 };

interface Scene {
  api: Listening;
  bank: PretendBank | null;
  databases: DatabaseServer;
  /** The database to look at meanwhile. */
  watchedUrl: string | null;
}

interface Run {
  done: Extract<LoadReport, { kind: 'done' }>;
  before: Reading;
  after: Reading;
  seen: Seen | null;
  peakMemoryMib: number | null;
}

async function underLoad(
  { api, bank, databases, watchedUrl }: Scene,
  job: Omit<LoadJob, 'url'>,
  signal: AbortSignal,
): Promise<Run> {
  const pid = api.process.pid ?? 0;
  const read = async (): Promise<Reading> => ({
    apiCpu: cpuSeconds(pid),
    bankCpu: bank && cpuSeconds(bank.pid),
    database: await databases.meter(),
    // Last: to tell its metrics costs the API a few milliseconds.
    bankTime: bank && (await readBankTime(api.url)),
  });
  const generator = new LoadGenerator({ ...job, url: `${api.url}/payments` }, signal);
  const over = new AbortController();
  try {
    await generator.reached('warm');
    const watching = watchedUrl === null ? null : watch(watchedUrl, over.signal);
    // Awaited below; should the run fail before, that is what is told.
    watching?.catch(() => undefined);
    const before = await read();
    await generator.reached('measured');
    over.abort();
    const after = await read();
    const done = await generator.done();
    return { done, before, after, seen: await watching, peakMemoryMib: peakMemoryMib(pid) };
  } finally {
    over.abort();
    await generator.end();
  }
}

interface Reading {
  apiCpu: number | null;
  bankCpu: number | null;
  database: Meter;
  bankTime: BankTime | null;
}

/**
 * How long a request takes is of the measured time. How many there are for a payment is of the whole run, and told at
 * its end: at any other moment some payments have had theirs and are not at their end.
 */
function atTheBank(before: Reading, after: Reading, atRest: BankTime): Omit<AtTheBank, 'charges'> {
  const requests = (after.bankTime?.requests ?? 0) - (before.bankTime?.requests ?? 0);
  const seconds = (after.bankTime?.seconds ?? 0) - (before.bankTime?.seconds ?? 0);
  const requestsOfEach = atRest.requests / atRest.payments;
  return {
    requests: requestsOfEach,
    waitMs: ((seconds * 1_000) / requests) * requestsOfEach,
    cpuSeconds: difference(before.bankCpu, after.bankCpu),
  };
}

function difference(before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : after - before;
}

/** @param sorted ascending */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
