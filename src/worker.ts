import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { DataSource } from 'typeorm';
import { BankClient } from './bank/bank.client.js';
import { createDataSource } from './data-source.js';
import { createEngine } from './engine.js';
import { explain } from './recovery/explain.js';
import { recoveryEvents, type RecoveryEvent, type RunDone, type WorkerName } from './recovery/events.js';
import type { Worker } from './recovery/loop.js';
import { listParked, unpark } from './recovery/parked.js';
import { didSomething, differenceLines, parkedToLine, runToJson, runToLine } from './recovery/report.js';
import { allWorkers, Workers } from './recovery/workers.js';
import { readSettings, type Settings } from './settings.js';

const usage = `Usage: npm run recover -- [completer] [reaper] [reconciler] [--once] [--json]
       npm run recover -- --parked
       npm run recover -- --unpark <payment id>… | --unpark all

Runs what keeps payments from being forgotten, without the API. Without names, all of them:
  completer   finishes payments whose process died
  reaper      deletes stored answers whose time is over
  reconciler  compares our payments with the bank's statement; needs BANK_URL

  --once  run each once, say what it did, and end
  --json  with --once one JSON object; else one for each run that did something

  --parked  lists the payments that wait for a person, and why
  --unpark  gives them back to the completer, which asks the bank before it sends anything
  --help    this text

Settings come from the environment, DATABASE_URL first of all.
With --once the exit code says: 0 all is well, 1 something could not be done, 3 there are differences.`;

/** What the exit code of a run tells a script. */
const exitCodes = { well: 0, failed: 1, misused: 2, differing: 3 } as const;

const names: readonly WorkerName[] = ['completer', 'reaper', 'reconciler'];

interface Wish {
  /** Empty: all. */
  names: WorkerName[];
  once: boolean;
  json: boolean;
  parked: boolean;
  unpark: boolean;
  /** With `unpark`: which payments; empty: all. */
  payments: string[];
  help: boolean;
}

/** @throws Error with one sentence about what cannot be understood */
function readArguments(args: string[]): Wish {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      once: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      parked: { type: 'boolean', default: false },
      unpark: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.unpark) {
    if (positionals.length === 0) throw new Error('Say which payments to unpark, or all.');
    return { ...values, names: [], payments: positionals.filter(id => id !== 'all') };
  }
  const unknown = positionals.find(name => !names.includes(name as WorkerName));
  if (unknown !== undefined) throw new Error(`There is no worker called '${unknown}'.`);
  return { ...values, names: positionals as WorkerName[], payments: [] };
}

/** @returns the exit code */
async function recover(wish: Wish, settings: Settings, signal: AbortSignal): Promise<number> {
  const bank = settings.bankUrl === '' ? null : new BankClient(settings);
  const dataSource = createDataSource(settings);
  const engine = createEngine(dataSource, bank, settings);
  signal.addEventListener('abort', () => {
    engine.beforeApplicationShutdown();
  });
  try {
    await dataSource.initialize();
    if (wish.parked) return await tellParked(dataSource, wish);
    if (wish.unpark) return await unparkThem(dataSource, settings, wish);
    const workers = choose(allWorkers({ dataSource, settings, engine, bank }), wish);
    return await (wish.once ? runOnce(workers, wish, signal) : runUntil(signal, workers, wish));
  } finally {
    await engine.onApplicationShutdown();
    if (dataSource.isInitialized) await dataSource.destroy();
    await bank?.close();
  }
}

function choose(workers: Worker[], wish: Wish): Worker[] {
  const missing = wish.names.find(name => !workers.some(worker => worker.name === name));
  if (missing) throw new Error(`The ${missing} needs the bank: set BANK_URL.`);
  return workers.filter(({ name }) => wish.names.length === 0 || wish.names.includes(name));
}

async function tellParked(dataSource: DataSource, { json }: Wish): Promise<number> {
  const parked = await listParked(dataSource);
  if (json) print(JSON.stringify(parked));
  else if (parked.length === 0) print('Nothing is parked.');
  else print(...parked.map(parkedToLine));
  return exitCodes.well;
}

async function unparkThem(
  dataSource: DataSource,
  settings: Settings,
  { payments, json }: Wish,
): Promise<number> {
  const unparked = await unpark(dataSource, settings, payments.length === 0 ? null : payments);
  const missing = payments.filter(id => !unparked.includes(id));
  if (json) print(JSON.stringify({ unparked, missing }));
  else if (unparked.length > 0) print(...unparked.map(id => `${id} is the completer’s again.`));
  else if (missing.length === 0) print('Nothing is parked.');
  for (const id of missing) console.error(`${id} is not parked.`);
  return missing.length > 0 ? exitCodes.failed : exitCodes.well;
}

/** One after the other. One that fails does not keep the next from its work. */
async function runOnce(workers: Worker[], { json }: Wish, signal: AbortSignal): Promise<number> {
  const results: Record<string, object> = {};
  const ends = new Set<number>();
  for (const worker of workers) {
    try {
      const run = { worker: worker.name, ...(await worker.runOnce(signal)) } as RunDone;
      results[worker.name] = runToJson(run);
      if (!json) print(runToLine(run), ...differenceLines(run));
      if (run.worker === 'reconciler' && run.differencesFound > 0) ends.add(exitCodes.differing);
    } catch (error) {
      results[worker.name] = { error: complain(worker.name, error) };
      ends.add(exitCodes.failed);
    }
  }
  if (json) print(JSON.stringify(results));
  // A failure says more: what was not looked at may differ as well.
  return [exitCodes.failed, exitCodes.differing].find(end => ends.has(end)) ?? exitCodes.well;
}

/** Tells of each run that did something. Differences stay until somebody acts, so each is told once. */
async function runUntil(signal: AbortSignal, chosen: Worker[], { json }: Wish): Promise<number> {
  let known = new Set<string>();
  recoveryEvents.subscribe(message => {
    const event = message as RecoveryEvent;
    if ('error' in event) {
      complain(event.worker, event.error);
      return;
    }
    const run: RunDone = event;
    const differences = differenceLines(run);
    const news = differences.filter(line => !known.has(line));
    if (run.worker === 'reconciler') known = new Set(differences);
    if (!didSomething(run) && news.length === 0) return;
    if (json) print(JSON.stringify({ [run.worker]: runToJson(run) }));
    else print(runToLine(run), ...news);
  });

  const workers = new Workers(chosen);
  workers.start();
  if (!signal.aborted) await once(signal, 'abort');
  await workers.stop();
  return exitCodes.well;
}

/** @returns what was told */
function complain(worker: WorkerName, error: unknown): string {
  const why = explain(error);
  console.error(`${worker} could not do its work. ${why}`);
  return why;
}

function print(...lines: string[]): void {
  console.log(lines.join('\n'));
}

/** Finishes what is in hand, within the grace time. A second signal does not wait. */
function abortOnSignal(): AbortController {
  const stopping = new AbortController();
  const stop = () => {
    stopping.abort();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  // Started by a parent that is gone, perhaps since before this line: nobody is left to stop this process.
  if (process.connected) process.once('disconnect', stop);
  else if (process.send) stop();
  return stopping;
}

async function runAsCommand(args: string[], environment: NodeJS.ProcessEnv): Promise<number> {
  let wish: Wish;
  try {
    wish = readArguments(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    return exitCodes.misused;
  }
  if (wish.help) {
    print(usage);
    return exitCodes.well;
  }

  const stopping = abortOnSignal();
  try {
    if (!environment.DATABASE_URL) throw new Error(noDatabase);
    const settings = readSettings(environment);
    stopping.signal.addEventListener('abort', () => {
      setTimeout(() => process.exit(exitCodes.failed), settings.shutdownGraceMs).unref();
    });
    return await recover(wish, settings, stopping.signal);
  } catch (error) {
    console.error(`Nothing was recovered. ${explain(error)}`);
    return exitCodes.failed;
  }
}

const noDatabase =
  'DATABASE_URL is not set. Set it to the database of the payments; npm start prints that of the quick start.';

if (import.meta.main) {
  // A reader that is gone, as in `| head -1`, is no reason to stop in the middle of something.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
  process.exitCode = await runAsCommand(process.argv.slice(2), process.env);
  // What listens for the parent's end would keep this process alive after its own.
  if (process.connected) process.disconnect();
}
