import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EmbeddedPostgres } from '../../start/embedded-postgres.js';
import { findBinaries, type PostgresBinaries } from '../../start/postgres-binaries.js';
import { freePort } from '../../start/ports.js';
import { deleteHome, findHome, giveTo, makeHome, type PostgresHome } from '../../start/postgres-home.js';
import { demoKeys } from '../../start/seed.js';
import { connect, type Customer, type Sql } from './database.js';

/** A crash recovery takes a fraction of a second; a slow disk may need more. */
const patienceMs = 20_000;

/** What a fast shutdown may take: some milliseconds, and its checkpoint. */
const fastShutdownMs = 5_000;

/**
 * A PostgreSQL of a test's own, to be killed as a machine dies: the postmaster and every backend at once. It comes
 * back on the same port, with the same data. The demo is in it, and nothing else.
 *
 * It is this process's own child, unlike the quick start's. `pg_ctl` would hide it in a session where nobody reaps
 * it, and a server that finds its dead predecessor still listed refuses to start.
 */
export class KillablePostgres {
  private server: ChildProcess | undefined;
  /** Ends the server when this process has died without doing so: its end of the pipe closes then. */
  private readonly watchdog: ChildProcess;

  private constructor(
    readonly url: string,
    private readonly folder: string,
    private readonly home: PostgresHome,
    private readonly binaries: PostgresBinaries,
  ) {
    const pidFile = join(home.cluster, 'postmaster.pid');
    const script = 'cat >/dev/null; kill -QUIT $(head -n 1 "$0")';
    this.watchdog = spawn('sh', ['-c', script, pidFile], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.watchdog.unref();
  }

  /** @returns why there can be none here; nothing if there can */
  static whyNot(): string | undefined {
    // Its processes are found, stopped and killed one by one: Windows has other words for all of that.
    if (process.platform === 'win32') return 'it takes signals';
    const { folder, home } = makeFolder(tmpdir());
    try {
      findBinaries(home);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    } finally {
      deleteHome(home);
      rmSync(folder, { recursive: true });
    }
  }

  /** @param within where its folder is made: on a disk of its own, say, which the server's user must be able to enter */
  static async create(within = tmpdir()): Promise<KillablePostgres> {
    const { folder, home } = makeFolder(within);
    const binaries = findBinaries(home);
    // The quick start's own way to a cluster and a free port. Its server is stopped again; the port stays.
    const made = new EmbeddedPostgres(home, binaries);
    await made.start(AbortSignal.timeout(patienceMs));
    const { url } = made;
    await made.stop();

    const postgres = new KillablePostgres(url, folder, home, binaries);
    await postgres.start();
    for (const command of ['dist/src/migrate.js', 'dist/start/seed-demo.js']) {
      const env = { ...process.env, DATABASE_URL: url };
      const { status, stderr } = spawnSync(process.execPath, [command], { env, encoding: 'utf8' });
      if (status !== 0) throw new Error(`${command} failed:\n${stderr}`);
    }
    return postgres;
  }

  /** Each statement on a connection of its own: none outlives a kill. */
  readonly sql: Sql = async <R extends object>(text: string, params?: unknown[]) => {
    const connection = await connect(this.url);
    return connection.sql<R & Record<string, unknown>>(text, params).finally(connection.end);
  };

  /** Whether the postmaster is gone: it may have given up by itself, on a full disk. */
  get isDown(): boolean {
    return !this.server || hasEnded(this.server);
  }

  async alice(): Promise<Customer> {
    const [row] = await this.sql<{ id: string }>("SELECT id FROM customers WHERE name = 'alice'");
    const apiKey = demoKeys.find(({ customer }) => customer === 'alice')?.key;
    if (!row || !apiKey) throw new Error('the demo is not in this database');
    return { id: row.id, name: 'alice', apiKey, accountId: 'alice' };
  }

  /** @returns how long it took until it could be asked something, in milliseconds */
  async start(): Promise<number> {
    const began = performance.now();
    let server = (this.server = this.launch());
    while (!(await this.sql('SELECT').then(isTrue, isFalse))) {
      if (performance.now() - began > patienceMs) {
        throw new Error(`the server did not start:\n${readFileSync(this.home.log, 'utf8').slice(-2_000)}`);
      }
      // Processes that were killed a moment ago may still hold the old memory. It refuses then, and rightly.
      if (hasEnded(server)) server = this.server = this.launch();
      await sleep(10);
    }
    return performance.now() - began;
  }

  private launch(): ChildProcess {
    const { account, cluster, folder, log } = this.home;
    const logFile = openSync(log, 'a');
    const server = spawn(join(this.binaries.folder, 'postgres'), ['-D', cluster], {
      ...(account && { uid: account.uid, gid: account.gid }),
      cwd: folder,
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', logFile, logFile],
      // Ctrl-C is for Jest, which then ends it in good order.
      detached: true,
    });
    closeSync(logFile);
    return server;
  }

  /**
   * SIGKILL for all of it. The postmaster is stopped first, so that it forks nobody while its children are counted,
   * and does not tidy up after the first of them: a machine that loses power does not either.
   *
   * @returns how many processes that were
   */
  async kill(): Promise<number> {
    const { server } = this;
    if (server?.pid === undefined || hasEnded(server)) throw new Error('it does not run');
    const gone = once(server, 'exit');
    server.kill('SIGSTOP');
    const children = childrenOf(server.pid);
    for (const pid of children) process.kill(pid, 'SIGKILL');
    server.kill('SIGKILL');
    await gone;
    return children.length + 1;
  }

  /**
   * A signal to the postmaster: SIGINT is a fast shutdown, SIGQUIT one at once, to be recovered from. A fast one that
   * meets the recovery after a backend's crash never ends (PostgreSQL 18.4: startup is gone, and nobody tells the
   * checkpointer), so it becomes the other one after a while, as an operator would have it.
   */
  async shutDown(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const { server } = this;
    if (!server || hasEnded(server)) return;
    const gone = once(server, 'exit');
    server.kill(signal);
    const impatience = setTimeout(() => server.kill('SIGQUIT'), fastShutdownMs);
    await gone;
    clearTimeout(impatience);
  }

  /** SIGKILL for one backend that is not ours: the postmaster ends all others, and recovers by itself. */
  async killOneBackend(): Promise<void> {
    for (;;) {
      const [backend] = await this.sql<{ pid: number }>(`
        SELECT pid FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()
         ORDER BY state <> 'active', random() LIMIT 1`);
      if (!backend) throw new Error('nobody is connected');
      if (isKilled(backend.pid)) return;
    }
  }

  /**
   * A hot standby that streams from this server: a copy of its files, for which it is stopped and started again.
   *
   * @param port where it finds this server, if something stands between the two
   */
  async makeStandby(port = new URL(this.url).port): Promise<KillablePostgres> {
    await this.shutDown('SIGINT');
    const { folder, home } = makeFolder(tmpdir());
    // Unlike Node's own copy, this one leaves the files to the user they belong to.
    spawnSync('cp', ['-a', this.home.cluster, home.cluster]);
    const { username, password } = new URL(this.url);
    const url = Object.assign(new URL(this.url), { port: String(await freePort()) }).href;
    const primary = `host=127.0.0.1 port=${port} user=${username} password=${password} application_name=standby`;
    const settings = [`port = ${new URL(url).port}`, `primary_conninfo = '${primary}'`, ''];
    // What is written there comes after whatever else is set.
    appendFileSync(join(home.cluster, 'postgresql.auto.conf'), settings.join('\n'));
    writeFileSync(join(home.cluster, 'standby.signal'), '');
    giveTo(home.account, join(home.cluster, 'standby.signal'));

    const standby = new KillablePostgres(url, folder, home, this.binaries);
    await this.start();
    await standby.start();
    return standby;
  }

  /** Ends it, and throws its data away. */
  async stop(): Promise<void> {
    await this.shutDown('SIGINT');
    this.watchdog.stdin?.end();
    deleteHome(this.home);
    rmSync(this.folder, { recursive: true });
  }
}

function makeFolder(within: string) {
  // Not a name that another run takes for its own leftover, and tidies away.
  const folder = mkdtempSync(join(within, 'paysam-killable-'));
  // As root, the server runs as another user, who has to get through.
  chmodSync(folder, 0o711);
  const home = findHome(folder);
  makeHome(home);
  return { folder, home };
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

const isTrue = () => true;
const isFalse = () => false;

/** Backends call `setsid`: they are in nobody's process group, and only their parent's number tells whose they are. */
export function childrenOf(parent: number): number[] {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('pgrep', ['-P', String(parent)], { encoding: 'utf8' });
    return stdout.split('\n').filter(Boolean).map(Number);
  }
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .filter(pid => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    // After the name, which may hold anything, in brackets: state, then parent.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    // It ended while we looked.
    return undefined;
  }
}

/** False: it has ended by itself, since somebody hung up. */
function isKilled(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}
