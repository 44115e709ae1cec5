import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { apiNodeFlags } from '../start/node-flags.js';
import { audit, type Audit } from './audit.js';
import { cpuBetween, using, type DatabaseServer, type Meter } from './database.js';
import type { LoadJob, LoadReport } from './load.js';
import { cpuSeconds, peakMemoryMib } from './processes.js';

export type ServerName = 'bare' | 'naive' | 'classic' | 'ours';

export interface Measurement {
  /** Answers within the measured time, per second of it. */
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU seconds within the measured time; `null` where they cannot be read. */
  apiCpuSeconds: number | null;
  databaseCpuSeconds: number | null;
  loadCpuSeconds: number;
  answers: number;
  walBytes: number;
  peakMemoryMib: number | null;
  errors: Record<string, number>;
  audit: Audit;
}

interface Plan {
  server: ServerName;
  /** The database to use; nobody else uses it meanwhile. */
  databaseUrl: string;
  paymentsBefore: number;
  load: Omit<LoadJob, 'url'>;
}

/** One measurement: a fresh API process under load, then a count of what the database holds. */
export async function measure(
  databases: DatabaseServer,
  { server, databaseUrl, paymentsBefore, load }: Plan,
  signal: AbortSignal,
): Promise<Measurement> {
  await databases.checkpoint();
  const api = await startApi(server, databaseUrl, signal);
  let done: Extract<LoadReport, { kind: 'done' }>;
  let before: Reading;
  let after: Reading;
  let peak: number | null;
  try {
    const pid = api.process.pid ?? 0;
    const generator = new LoadGenerator({ ...load, url: `${api.url}/payments` }, signal);
    try {
      await generator.reached('warm');
      before = { api: cpuSeconds(pid), database: await databases.meter() };
      await generator.reached('measured');
      after = { api: cpuSeconds(pid), database: await databases.meter() };
      done = await generator.done();
      peak = peakMemoryMib(pid);
    } finally {
      await generator.end();
    }
  } finally {
    // Whatever is in flight is finished, so that the count below is of a database at rest.
    await end(api.process);
  }

  const { latenciesMs, errors } = done;
  const answers = latenciesMs.length;
  return {
    perSecond: answers / load.seconds,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    apiCpuSeconds: before.api === null || after.api === null ? null : after.api - before.api,
    databaseCpuSeconds: cpuBetween(before.database, after.database),
    loadCpuSeconds: done.cpuSeconds,
    answers,
    walBytes: after.database.walBytes - before.database.walBytes,
    peakMemoryMib: peak,
    errors,
    audit:
      server === 'bare'
        ? { payments: paymentsBefore, lost: 0, doubled: 0, moneyAstray: 0 }
        : await using(databaseUrl, database =>
            audit(database, done, { paymentsBefore, keysStored: server !== 'naive' }),
          ),
  };
}

interface Reading {
  api: number | null;
  database: Meter;
}

/** How long a process may take to listen, in milliseconds. It takes one second; a slow machine ten. */
const startPatienceMs = 30_000;

/** How long a process may take to end once asked, in milliseconds, before it is made to. */
const endPatienceMs = 15_000;

async function startApi(
  server: ServerName,
  databaseUrl: string,
  signal: AbortSignal,
): Promise<{ process: ChildProcess; url: string }> {
  const root = join(import.meta.dirname, '..');
  const script =
    server === 'ours' ? [join(root, 'src/main.js')] : [join(root, 'bench/servers/serve.js'), server];
  const child = spawn(process.execPath, [...apiNodeFlags, ...script], {
    env: { ...process.env, NODE_ENV: 'production', PORT: '0', HOST: '127.0.0.1', DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Ctrl-C reaches everybody in the terminal's group; this process alone decides in which order things stop.
    detached: process.platform !== 'win32',
  });
  let output = '';
  const patience = AbortSignal.any([signal, AbortSignal.timeout(startPatienceMs)]);
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        output += chunk.toString();
        const [, listening] = /listens on (http\S+)/.exec(output) ?? [];
        if (listening) resolve(listening);
      };
      child.stdout?.on('data', read);
      child.stderr?.on('data', read);
      child.once('exit', () => {
        reject(new Error(`The ${server} server ended before it listened:\n${output}`));
      });
      patience.addEventListener('abort', () => {
        reject(new Error(`The ${server} server was not ready in time:\n${output}`));
      });
    });
    return { process: child, url };
  } catch (error) {
    await end(child);
    throw error;
  }
}

class LoadGenerator {
  private readonly child: ChildProcess;
  private readonly reports = new Map<LoadReport['kind'], PromiseWithResolvers<LoadReport>>(
    (['warm', 'measured', 'done'] as const).map(kind => [kind, Promise.withResolvers()]),
  );

  constructor(job: LoadJob, signal: AbortSignal) {
    this.child = fork(join(import.meta.dirname, 'load.js'), {
      serialization: 'advanced',
      detached: process.platform !== 'win32',
    });
    const fail = (error: Error) => {
      for (const { reject } of this.reports.values()) reject(error);
    };
    for (const { promise } of this.reports.values()) promise.catch(() => undefined);
    this.child.on('message', (message: LoadReport) => this.reports.get(message.kind)?.resolve(message));
    this.child.once('exit', () => {
      fail(new Error('The load generator ended too early.'));
    });
    signal.addEventListener('abort', () => {
      fail(new Error('Stopped.'));
    });
    this.child.send(job);
  }

  async reached(kind: LoadReport['kind']): Promise<LoadReport | undefined> {
    return this.reports.get(kind)?.promise;
  }

  async done(): Promise<Extract<LoadReport, { kind: 'done' }>> {
    const report = await this.reached('done');
    if (report?.kind !== 'done') throw new Error('The load generator reported nothing.');
    return report;
  }

  async end(): Promise<void> {
    await end(this.child);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const impatience = setTimeout(() => child.kill('SIGKILL'), endPatienceMs);
  await exited;
  clearTimeout(impatience);
}

/** @param sorted ascending */
function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
