import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { admitApi, apiRole } from './api-role.js';
import { boundLog, lastLines } from './log-file.js';
import { freePort } from './ports.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { giveTo, type PostgresHome } from './postgres-home.js';
import { Refusal } from './refusal.js';

/** How long a server may take to start, to recover from a crash, or to shut down, in seconds. */
const patienceSeconds = 60;

/** How often a start is tried: another program may take the free port, a killed server's memory go late. */
const triesMax = 3;

/** How long the session of a parent that was killed may outlive it, in milliseconds. Its socket closes at once. */
const lockPatienceMs = 2_000;

/** Any number that nothing else in the database locks: "pay" in ASCII. */
const parentLock = 0x70_61_79;

/** SQLSTATE. */
const wrongPassword = '28P01';

class InUse extends Refusal {}

/**
 * The built-in PostgreSQL: a cluster in its home, and the server that runs on it.
 *
 * `pg_ctl` starts the server in a session of its own, so neither Ctrl-C nor the death of this process reaches
 * it. It ends by `stop`; or else the next start finds it in `postmaster.pid`, and takes it over.
 *
 * While it is in use, this process holds one session with a lock. That keeps a second copy off the same data,
 * and it is never left behind, because it ends with the process whatever ends the process.
 */
export class EmbeddedPostgres {
  #session: Client | undefined;
  #gone: Promise<unknown> | undefined;

  constructor(
    private readonly home: PostgresHome,
    private readonly binaries: PostgresBinaries,
  ) {}

  /** @returns how it came to run, in words */
  async start(signal: AbortSignal): Promise<string> {
    boundLog(this.home.log);
    const created = await this.#createCluster();
    this.#refuseOtherMajor();

    for (let tries = 1; tries <= triesMax; tries++) {
      if (await this.takeOver(signal)) return 'taken over from a start that was killed';
      if (await this.#launch()) return created ? 'created and started' : 'started';
      await sleep(500, undefined, { signal });
    }
    throw new Refusal(
      `The built-in PostgreSQL in ${this.home.folder} did not start.`,
      'Its last lines may say why; npm run reset starts over without the data, DATABASE_URL uses another server.',
      lastLines(this.home.log),
    );
  }

  /**
   * Takes over the server that an earlier start left running.
   *
   * @returns false if there is none
   * @throws Refusal if it belongs to a copy that is alive
   */
  async takeOver(signal: AbortSignal): Promise<boolean> {
    const until = Date.now() + patienceSeconds * 1_000;
    for (;;) {
      const left = this.#leftBehind();
      if (!left) return false;
      if (await this.#connect(left.port)) return true;
      // PostgreSQL itself clears up after a dead server, and better: it looks for orphans on the shared memory.
      if (!isAlive(left.pid)) return false;
      if (!this.#isOurs(left.pid)) {
        // After a reboot the number may be another program's, which PostgreSQL would take for a server.
        rmSync(this.#pidFile);
        return false;
      }
      if (Date.now() > until) {
        throw new Refusal(
          `The built-in PostgreSQL (process ${String(left.pid)}) neither answers nor ends.`,
          'End that process, then start again.',
          lastLines(this.home.log),
        );
      }
      await sleep(100, undefined, { signal });
    }
  }

  /** Throws when the server goes though nobody has asked it to. */
  async lost(): Promise<never> {
    await this.#gone;
    throw new Refusal(
      'The built-in PostgreSQL has stopped.',
      'Start again: it recovers what was committed. Its last lines:',
      lastLines(this.home.log),
    );
  }

  /** A fast shutdown: sessions are cut, what was committed is on disk. */
  async stop(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.end();
    const wait = ['-w', '-t', String(patienceSeconds)];
    const stopped = await this.#run('pg_ctl', ['stop', '-D', this.home.cluster, '-m', 'fast', ...wait]);
    if (!stopped) await this.#run('pg_ctl', ['stop', '-D', this.home.cluster, '-m', 'immediate', ...wait]);
  }

  /** For the owner of everything, who migrates. */
  get url(): string {
    return this.#urlFor('pay_sam', this.#password);
  }

  /**
   * For API and workers, who may do no more than they need. Call it once the schema, and the role with it, is there. The
   * password is set anew each time, so that a folder from before this role, or one that lost the file, works as well.
   */
  async urlForApi(): Promise<string> {
    const { apiPasswordFile: file, account } = this.home;
    if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('hex'), { mode: 0o600 });
    giveTo(account, file);
    const password = readFileSync(file, 'utf8');
    if (this.#session) await admitApi(this.#session, password);
    return this.#urlFor(apiRole, password);
  }

  #urlFor(user: string, password: string): string {
    if (!this.#session) throw new Error('The built-in PostgreSQL has no address before it has started.');
    return `postgres://${user}:${password}@127.0.0.1:${String(this.#session.port)}/pay_sam`;
  }

  async #createCluster(): Promise<boolean> {
    const { cluster, passwordFile, folder, account } = this.home;
    if (existsSync(cluster)) return false;

    // Made under another name and renamed when complete, so that a start cut short leaves no half cluster.
    const unfinished = `${cluster}.new`;
    rmSync(unfinished, { recursive: true, force: true });
    writeFileSync(passwordFile, randomBytes(24).toString('hex'), { mode: 0o600 });
    giveTo(account, passwordFile);
    const made = await this.#run('initdb', [
      `--pgdata=${unfinished}`,
      '--username=pay_sam',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
    ]);
    if (!made) {
      const remedy = 'Its last lines may say why; DATA_DIR sets another folder, DATABASE_URL another server.';
      throw new Refusal(
        `PostgreSQL could not make its files in ${folder}.`,
        remedy,
        lastLines(this.home.log),
      );
    }
    appendFileSync(join(unfinished, 'postgresql.conf'), "\ninclude 'pay-sam.conf'\n");
    renameSync(unfinished, cluster);
    return true;
  }

  #refuseOtherMajor(): void {
    const major = readFileSync(join(this.home.cluster, 'PG_VERSION'), 'utf8').trim();
    if (major === this.binaries.major) return;
    throw new Refusal(
      `The data in ${this.home.folder} is PostgreSQL ${major}'s; the built-in one is ${this.binaries.version}.`,
      'Set DATA_DIR to another folder, or delete this data with npm run reset.',
    );
  }

  /** @returns whether the server runs and we hold its lock */
  async #launch(): Promise<boolean> {
    const port = await freePort();
    const settings = join(this.home.cluster, 'pay-sam.conf');
    writeFileSync(settings, serverSettings(port));
    giveTo(this.home.account, settings);
    const { cluster, log } = this.home;
    const started = await this.#run('pg_ctl', [
      ...['start', '--silent', '-D', cluster, '-l', log, '-w', '-t', String(patienceSeconds)],
    ]);
    if (!started) return false;
    try {
      return await this.#connect(port);
    } catch (error) {
      // Nobody else would ever stop it; unless another start was quicker, and has it now.
      if (!(error instanceof InUse)) await this.stop();
      throw error;
    }
  }

  async #connect(port: number): Promise<boolean> {
    const session = new Client({
      host: '127.0.0.1',
      port,
      user: 'pay_sam',
      password: this.#password,
      database: 'postgres',
      application_name: 'pay-sam-start',
      connectionTimeoutMillis: 2_000,
    });
    // Losing it is told by 'end' as well; without a listener, 'error' would end this process.
    session.on('error', () => undefined);
    const gone = new Promise(resolve => session.once('end', resolve));
    try {
      await session.connect();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== wrongPassword) return false;
      throw new Refusal(
        `The built-in PostgreSQL does not know the password in ${this.home.passwordFile}.`,
        'Put the old file back, or start over without the data: npm run reset',
      );
    }
    await this.#lock(session);
    const { rowCount } = await session.query("SELECT FROM pg_database WHERE datname = 'pay_sam'");
    if (rowCount === 0) await session.query('CREATE DATABASE pay_sam');
    this.#session = session;
    this.#gone = gone;
    return true;
  }

  async #lock(session: Client): Promise<void> {
    const until = Date.now() + lockPatienceMs;
    for (;;) {
      const { rows } = await session.query<{ got: boolean }>('SELECT pg_try_advisory_lock($1) AS got', [
        parentLock,
      ]);
      if (rows[0]?.got) return;
      if (Date.now() > until) {
        await session.end();
        throw new InUse(
          `Another copy is running on the data in ${this.home.folder}.`,
          'Stop it, or set DATA_DIR (and PORT) for this one.',
        );
      }
      await sleep(50);
    }
  }

  get #password(): string {
    return readFileSync(this.home.passwordFile, 'utf8');
  }

  get #pidFile(): string {
    return join(this.home.cluster, 'postmaster.pid');
  }

  /** The server that the pid file names: its first line is the process, its fourth the port. */
  #leftBehind(): { pid: number; port: number } | undefined {
    if (!existsSync(this.#pidFile)) return undefined;
    const [pid, , , port] = readFileSync(this.#pidFile, 'utf8').split('\n').map(Number);
    return pid && port ? { pid, port } : undefined;
  }

  #isOurs(pid: number): boolean {
    if (process.platform === 'win32') return true;
    const command = existsSync(`/proc/${String(pid)}/cmdline`)
      ? readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8')
      : spawnSync('ps', ['-ww', '-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout;
    return command.includes(this.home.cluster);
  }

  /** Runs a program of PostgreSQL's to its end, as the home's user; all it says goes to the log. */
  async #run(program: 'initdb' | 'pg_ctl', args: string[]): Promise<boolean> {
    const { account, folder } = this.home;
    const log = openSync(this.home.log, 'a', 0o600);
    giveTo(account, this.home.log);
    const child = spawn(join(this.binaries.folder, program), args, {
      ...(account && { uid: account.uid, gid: account.gid }),
      cwd: folder,
      // Messages in English; and on macOS a server without a locale takes itself for multithreaded, and ends.
      env: { ...process.env, LC_ALL: 'C' },
      stdio: ['ignore', log, log],
      // Ctrl-C reaches everybody in the terminal's group: a step under way is left to finish, and then undone.
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    closeSync(log);
    const [code] = (await once(child, 'exit')) as [number | null];
    return code === 0;
  }
}

/**
 * Loopback and TCP only. Whatever makes a commit durable stays at its default, on.
 *
 * 256 MB hold the whole demo; 2 GB of log spread the checkpoints of a benchmark. Two copies of the API, migrations
 * and a curious psql need a few dozen connections. A caller who hangs up is noticed within a second, so that no
 * statement runs on for nobody.
 */
function serverSettings(port: number): string {
  return [
    "listen_addresses = '127.0.0.1'",
    `port = ${String(port)}`,
    "unix_socket_directories = ''",
    'max_connections = 100',
    'shared_buffers = 256MB',
    'max_wal_size = 2GB',
    ...(process.platform === 'win32' ? [] : ["client_connection_check_interval = '1s'"]),
    '',
  ].join('\n');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
