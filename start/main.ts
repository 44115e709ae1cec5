import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createDataSource } from '../src/data-source.js';
import { migrate } from '../src/migrate.js';
import { accessTo, patienceWith, pretendBank } from './bank.js';
import { Child } from './child.js';
import { killCommand, recoverCommand } from './commands.js';
import { curls } from './curls.js';
import { EmbeddedPostgres } from './embedded-postgres.js';
import { reachDatabase } from './own-database.js';
import { refuseBusyPort } from './ports.js';
import { apiNodeFlags } from './node-flags.js';
import { findBinaries } from './postgres-binaries.js';
import { findHome, makeHome } from './postgres-home.js';
import { explain } from './refusal.js';
import { colours, complain, say, step } from './screen.js';
import { hasCustomers, hasDemo, seedDemo } from './seed.js';
import { readSettings, type StartSettings } from './settings.js';

/** What this process has started. It stops all of it, in the opposite order. */
const started: { stop: () => Promise<void> }[] = [];

/** Aborted as soon as everything is to stop. */
const stopping = new AbortController();
const { signal } = stopping;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    stopping.abort();
  });
}
// A signal to npm reaches npm and its shell, and not what the shell runs. That they are gone can be told, though:
// this process then has another parent.
const { ppid } = process;
const watch = setInterval(() => {
  if (process.env.npm_lifecycle_event && process.ppid !== ppid) stopping.abort();
}, 500);
watch.unref();

try {
  await runUntilStopped(readSettings(process.env));
} catch (error) {
  if (!signal.aborted) {
    complain(explain(error));
    process.exitCode = 1;
  }
}
stopping.abort();
if (started.length > 0) say('\nStopping …');
for (const part of started.reverse()) await part.stop();
if (started.length > 0) say('Stopped. Nothing is left running; the data is kept.');
process.exit();

/** The whole quick start. Ends only by throwing: a refusal, or that it is time to stop. */
async function runUntilStopped(settings: StartSettings): Promise<never> {
  const { host, port, bankUrl, bankPort, dataDir } = settings;
  makeFolder(dataDir);
  await refuseBusyPort({ host, port, variable: 'PORT' }, signal);
  if (!bankUrl) await refuseBusyPort({ host: '127.0.0.1', port: bankPort, variable: 'BANK_PORT' }, signal);

  const database = settings.databaseUrl
    ? await openOwnDatabase(settings.databaseUrl)
    : await startEmbeddedPostgres(dataDir);
  // A migration may wait long, for a lock or for a server that is silent; Ctrl-C does not.
  const demo = await Promise.race([prepare(database), whenStopped()]);
  const apiUrl = await database.urlForApi();

  const bank = bankUrl ? undefined : await startPretendBank(bankPort, dataDir);
  if (bankUrl) say(`${colours.green('✓')} Using the bank of BANK_URL; the pretend one is not started`);

  const api = new Child(
    {
      name: 'The API',
      script: join(import.meta.dirname, '../src/main.js'),
      nodeFlags: apiNodeFlags,
      environment: {
        ...process.env,
        ...bank?.access,
        ...bank?.patience,
        PORT: String(port),
        DATABASE_URL: apiUrl,
      },
      readyUrl: `http://${reachable(host)}:${String(port)}/health/ready`,
      log: join(dataDir, 'api.log'),
      pidFile: join(dataDir, 'api.pid'),
    },
    signal,
  );
  started.push(api);
  const address = `http://${reachable(host) === '127.0.0.1' ? 'localhost' : host}:${String(port)}`;
  await step('Starting the API', async () => {
    await api.start();
    return `API on ${address}, logging to ${join(dataDir, 'api.log')}`;
  });

  if (demo) printCurls(address, bank !== undefined);
  else say('\nThe database has customers of its own: use your own API keys.');
  if (bank) printExperiments(bank, { ...database, url: apiUrl }, dataDir);
  say(colours.dim(`\nReady ${process.uptime().toFixed(1)} s after the start. Ctrl-C stops everything.`));

  const ends = [api.stayUp(), ...(bank ? [bank.child.stayUp()] : []), database.lost(), whenStopped()];
  return await Promise.race(ends);
}

interface Bank {
  child: Child;
  access: Record<string, string>;
  patience: Record<string, string>;
}

async function startPretendBank(port: number, dataDir: string): Promise<Bank> {
  const child = pretendBank(port, dataDir, signal);
  const access = accessTo(port, process.env);
  started.push(child);
  await step('Starting the pretend bank', async () => {
    await child.start();
    return `Pretend bank on ${access.BANK_URL ?? ''}, logging to ${join(dataDir, 'bank.log')}`;
  });
  return { child, access, patience: patienceWith(process.env) };
}

/** Not by `recursive: true`: below /proc, Node 24 then tries for ever. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path);
}

interface Database {
  /** For whoever owns the tables. */
  url: string;
  /** For API and workers, once the schema is there. */
  urlForApi: () => Promise<string>;
  isEmbedded: boolean;
  /** Throws when the database is gone for good. */
  lost: () => Promise<never>;
}

async function openOwnDatabase(url: string): Promise<Database> {
  await step(
    'Connecting to the database of DATABASE_URL',
    async () => `Using the ${await reachDatabase(url, signal)}`,
  );
  // One that goes away may come back. Until then the API answers 503, which is no reason to stop it.
  return { url, urlForApi: () => Promise.resolve(url), isEmbedded: false, lost: whenStopped };
}

async function startEmbeddedPostgres(dataDir: string): Promise<Database> {
  // Meant for another server, these would lead our clients and PostgreSQL's own programs there.
  for (const name of Object.keys(process.env))
    if (name.startsWith('PG')) Reflect.deleteProperty(process.env, name);

  const home = findHome(dataDir);
  if (home.account) explainAccount(home.account.name, home.folder, dataDir);
  makeHome(home);
  const binaries = findBinaries(home);
  const postgres = new EmbeddedPostgres(home, binaries);
  await step(`Starting PostgreSQL ${binaries.version}`, async () => {
    const how = await postgres.start(signal);
    started.push(postgres);
    return `PostgreSQL ${binaries.version} ${how}, in ${home.folder}`;
  });
  return {
    url: postgres.url,
    urlForApi: () => postgres.urlForApi(),
    isEmbedded: true,
    lost: () => postgres.lost(),
  };
}

function explainAccount(name: string, folder: string, dataDir: string): void {
  const elsewhere = folder.startsWith(realpathSync(dataDir))
    ? ''
    : `\n  That user cannot enter ${dataDir}: programs and data are in ${folder}.`;
  say(`  You are root, and PostgreSQL refuses to run as root: it runs as ${name}.${elsewhere}`);
}

/** Brings the schema up to date and the demo in. @returns whether the demo is there */
async function prepare({ url, isEmbedded }: Database): Promise<boolean> {
  await step('Bringing the schema up to date', async () => {
    const applied = await migrate(url);
    return applied.length === 0
      ? 'Schema is up to date'
      : `Schema brought up to date, migrations applied: ${String(applied.length)}`;
  });
  const dataSource = await createDataSource({ databaseUrl: url }).initialize();
  try {
    await step('Seeding the demo', () =>
      dataSource.transaction(async tx => {
        if (!isEmbedded && (await hasCustomers(tx))) return 'Database has customers: the demo is not added';
        await seedDemo(tx);
        return 'Demo customers are in: alice, bob, sam and others';
      }),
    );
    return await hasDemo(dataSource.manager);
  } finally {
    await dataSource.destroy();
  }
}

function printCurls(address: string, hasBank: boolean): void {
  say('\nTry it, in another terminal:');
  const all = curls(address, randomBytes(3).toString('hex'));
  for (const { says, command, status } of all.filter(({ rail }) => hasBank || rail === 'ledger')) {
    say(`\n${colours.dim(`# ${says} → ${String(status)}`)}\n${command}`);
  }
}

function printExperiments({ access, patience }: Bank, { url, isEmbedded }: Database, dataDir: string): void {
  const lease = patience.LEASE_MS
    ? ` What it left is taken up after ${patience.LEASE_MS} ms (LEASE_MS).`
    : '';
  // The address of somebody's own database may hold a real password.
  const environment = { ...(isEmbedded && { DATABASE_URL: url }), ...access };
  const first = isEmbedded ? '' : ' Set DATABASE_URL there first.';
  const experiments = {
    [`Kill the API in the middle of something. It is started again.${lease}`]: killCommand(dataDir),
    [`Finish what was left behind, and compare our books with the bank’s.${first}`]:
      recoverCommand(environment),
  };
  for (const [says, command] of Object.entries(experiments)) say(`\n${colours.dim(`# ${says}`)}\n${command}`);
}

/** Where a browser or curl on this machine reaches what listens on `host`. */
function reachable(host: string): string {
  return ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host;
}

function whenStopped(): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
  });
}
