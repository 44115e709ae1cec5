import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, escapeIdentifier } from 'pg';

/** The server of this run, and what puts the machine back as it was. */
interface TestServer {
  kind: string;
  url: string;
  stop: () => Promise<void>;
}

declare global {
  // Jest runs setup and teardown in one process; this is the only thing they share.
  var stopTestServer: (() => Promise<void>) | undefined;
}

/** Begins the name of every folder in which a run keeps its embedded server. */
const folderPrefix = 'paysam-test-';

/**
 * Before the first suite: one server, one migrated template. Suites clone the template (see database.ts).
 *
 * Jest loads this file without its module mapper, so it imports packages and what `npm test` has just built,
 * but no neighbour.
 */
export default async function startPostgres(_: unknown, { rootDir }: { rootDir: string }): Promise<void> {
  // Somebody who runs the suites many times has started one for all of them.
  if (process.env.TEST_SERVER_URL && process.env.TEST_TEMPLATE) return;
  const server = await chooseServer(rootDir);
  const template = 'paysam_test_' + randomBytes(4).toString('hex');
  globalThis.stopTestServer = async () => {
    delete process.env.TEST_SERVER_URL;
    delete process.env.TEST_TEMPLATE;
    await dropDatabases(server.url, template).finally(() => server.stop());
  };

  try {
    const version = await createTemplate(server.url, template, rootDir);
    console.log(`Tests run on PostgreSQL ${version} (${server.kind}).`);
  } catch (error) {
    await globalThis.stopTestServer();
    throw error;
  }
  process.env.TEST_SERVER_URL = server.url;
  process.env.TEST_TEMPLATE = template;
}

function chooseServer(rootDir: string): Promise<TestServer> {
  const url = process.env.TEST_DATABASE_URL;
  if (url) return Promise.resolve({ kind: 'TEST_DATABASE_URL', url, stop: () => Promise.resolve() });
  return process.env.TEST_POSTGRES === 'testcontainers' ? startContainer() : startEmbedded(rootDir);
}

/** The server of the quick start, on a cluster that is new for each run. */
async function startEmbedded(rootDir: string): Promise<TestServer> {
  const names = readdirSync(tmpdir()).filter(name => name.startsWith(folderPrefix));
  for (const name of names) await stopLeftover(join(tmpdir(), name), rootDir).catch(() => undefined);

  const folder = mkdtempSync(join(tmpdir(), folderPrefix));
  // As root, the server runs as another user, who has to get through.
  chmodSync(folder, 0o711);
  const { server, stop } = await embeddedIn(folder, rootDir);
  const patience = AbortSignal.timeout(60_000);
  await server.start(patience);
  // Two APIs, a hundred callers and the watchers; it takes effect with the next start.
  await asAdmin(server.url, admin => admin.query('ALTER SYSTEM SET max_connections = 200'));
  await server.stop();
  await server.start(patience);

  // The server is in a session of its own: Ctrl-C ends Jest, but does not reach it.
  process.once('SIGINT', () => void stop().finally(() => process.exit(130)));
  return { kind: 'embedded', url: server.url, stop };
}

/** Stops the server of a run that was killed: nobody else ever would. A run that is alive keeps its own. */
async function stopLeftover(folder: string, rootDir: string): Promise<void> {
  if (statSync(folder).uid !== process.getuid?.()) return;
  const { server, stop } = await embeddedIn(folder, rootDir);
  if (await server.takeOver(AbortSignal.timeout(5_000))) await stop();
}

async function embeddedIn(folder: string, rootDir: string) {
  const start = join(rootDir, 'dist/start');
  const { EmbeddedPostgres } = (await import(
    join(start, 'embedded-postgres.js')
  )) as typeof import('../../start/embedded-postgres.js');
  const { findBinaries } = (await import(
    join(start, 'postgres-binaries.js')
  )) as typeof import('../../start/postgres-binaries.js');
  const { deleteHome, findHome, makeHome } = (await import(
    join(start, 'postgres-home.js')
  )) as typeof import('../../start/postgres-home.js');

  const home = findHome(folder);
  makeHome(home);
  const server = new EmbeddedPostgres(home, findBinaries(home));
  const stop = async () => {
    await server.stop();
    deleteHome(home);
    rmSync(folder, { recursive: true });
  };
  return { server, stop };
}

async function startContainer(): Promise<TestServer> {
  // Loaded only when asked for: it takes a second, which most runs would spend for nothing.
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  try {
    const container = await new PostgreSqlContainer('postgres:18-alpine')
      .withCommand(['postgres', '-c', 'max_connections=200'])
      .start();
    return {
      kind: 'Testcontainers, postgres:18-alpine',
      url: container.getConnectionUri(),
      stop: async () => {
        await container.stop();
      },
    };
  } catch (error) {
    throw new Error(
      'TEST_POSTGRES=testcontainers, but no container engine could start postgres:18-alpine. ' +
        'Start Docker (or set DOCKER_HOST), or leave TEST_POSTGRES out to use the embedded server.',
      { cause: error },
    );
  }
}

function createTemplate(url: string, template: string, rootDir: string): Promise<string> {
  return asAdmin(url, async admin => {
    const { rows } = await admin.query<{ server_version: string }>('SHOW server_version');
    await admin.query('CREATE DATABASE ' + escapeIdentifier(template));
    migrate(withDatabase(url, template), rootDir);
    return rows[0]?.server_version.split(' ')[0] ?? 'of unknown version';
  });
}

/** The command that operators run, in a process of its own, so that it is tested too. */
function migrate(databaseUrl: string, rootDir: string): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(rootDir, 'dist/src/migrate.js')], {
    env: { ...process.env, DATABASE_URL: databaseUrl },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`The migrations failed:\n${stdout}${stderr}`);
}

/** The template and its clones, also those that a suite which died has left behind. */
function dropDatabases(url: string, template: string): Promise<void> {
  return asAdmin(url, async admin => {
    const { rows } = await admin.query<{ datname: string }>(
      'SELECT datname FROM pg_database WHERE starts_with(datname, $1)',
      [template],
    );
    for (const { datname } of rows) {
      await admin.query('DROP DATABASE ' + escapeIdentifier(datname) + ' WITH (FORCE)');
    }
  });
}

async function asAdmin<T>(url: string, work: (admin: Client) => Promise<T>): Promise<T> {
  const admin = new Client({ connectionString: url });
  await admin.connect();
  return work(admin).finally(() => admin.end());
}

function withDatabase(url: string, database: string): string {
  return Object.assign(new URL(url), { pathname: database }).href;
}
