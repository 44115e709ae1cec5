import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../start/ports.js';

/** All that these tests put on disk. Others may enter: for root, PostgreSQL runs as another user. */
export const folder = mkdtempSync(join(tmpdir(), 'pay-sam-start-'));
chmodSync(folder, 0o755);

const copies: Copy[] = [];

/** One `npm start`, less npm: the built program, in processes and folders of its own. */
export class Copy {
  output = '';
  private readonly process: ChildProcess;
  private readonly end: Promise<unknown>;

  constructor(
    readonly environment: { PORT?: string; BANK_PORT?: string; DATA_DIR?: string; DATABASE_URL?: string },
    { command = [process.execPath, 'dist/start/main.js'], cwd = '.', uid = process.getuid?.() } = {},
  ) {
    const [program = '', ...args] = command;
    this.process = spawn(program, args, {
      cwd,
      uid,
      env: { ...ordinaryEnvironment(), ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, as a terminal gives: a signal to the whole group is what Ctrl-C sends.
      detached: true,
    });
    this.process.stdout?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.process.stderr?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.end = once(this.process, 'close');
    copies.push(this);
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get url(): string {
    return `http://localhost:${String(this.environment.PORT)}`;
  }

  /** The number that its pid file holds: what a reader of the README kills. */
  pidOf(program: 'api' | 'bank'): number {
    return Number(readFileSync(this.pidFile(program), 'utf8'));
  }

  pidFile(program: 'api' | 'bank'): string {
    return join(String(this.environment.DATA_DIR), `${program}.pid`);
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async says(text: string | RegExp): Promise<this> {
    const until = Date.now() + 25_000;
    while (!this.output.match(text)) {
      if (this.hasEnded || Date.now() > until)
        throw new Error(`It never said "${String(text)}":\n${this.output}`);
      await sleep(20);
    }
    return this;
  }

  /** Resolves with the exit code, or the signal, once everybody who held its output is gone. */
  async ends(): Promise<number | string | null> {
    await this.end;
    return this.process.exitCode ?? this.process.signalCode;
  }

  async stop(): Promise<number | string | null> {
    if (!this.hasEnded) process.kill(this.pid, 'SIGTERM');
    return this.ends();
  }
}

export async function start(name: string, environment: object = {}, options: object = {}): Promise<Copy> {
  const [PORT, BANK_PORT] = [String(await freePort()), String(await freePort())];
  return new Copy({ PORT, BANK_PORT, DATA_DIR: join(folder, name), ...environment }, options);
}

export function startAgain({ environment }: Copy): Copy {
  return new Copy(environment);
}

/** Ours must not depend on what the shell of whoever runs the tests happens to have set. */
export function ordinaryEnvironment(): NodeJS.ProcessEnv {
  const ours = [
    'PORT',
    'HOST',
    'DATA_DIR',
    'DATABASE_URL',
    'LEASE_MS',
    'WORKERS',
    'npm_config_force',
    'FORCE_COLOR',
  ];
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !ours.includes(name) && !/^(PG|BANK_)/.test(name)),
  );
}

/** Everything on this machine that was started for the data in `dataDir`: its path is in their environment. */
export function stillRunning(dataDir: string | undefined): string[] {
  const { stdout } = spawnSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8', maxBuffer: 1e9 });
  return stdout.split('\n').filter(line => line.includes(String(dataDir)));
}

export function postmasterPid(home: string): string {
  return join(home, 'data', 'postmaster.pid');
}

/** The address of the PostgreSQL that runs in `dataDir`. */
export function postgresUrl(dataDir: string | undefined, database = 'pay_sam'): string {
  const home = join(String(dataDir), 'postgres');
  const port = readFileSync(postmasterPid(home), 'utf8').split('\n')[3];
  return `postgres://pay_sam:${readFileSync(join(home, 'password'), 'utf8')}@127.0.0.1:${String(port)}/${database}`;
}

/** A start that must not succeed: it ends by itself with one line that matches, and leaves nothing behind. */
export async function isRefused(copy: Copy, reason: RegExp): Promise<void> {
  expect(await copy.ends()).toBe(1);
  const complaints = copy.output.split('\n').filter(line => line.startsWith('✗'));
  expect(complaints).toEqual([expect.stringMatching(reason)]);
  expect(copy.output).not.toMatch(/^ +at /m);
  expect(stillRunning(copy.environment.DATA_DIR)).toEqual([]);
}

/** `npm run reset`, less npm. */
export function reset(
  dataDir: string | undefined,
  ...args: string[]
): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('dist/start/reset.js'), ...args], {
    env: { ...ordinaryEnvironment(), DATA_DIR: dataDir },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { status, output: stdout + stderr };
}

/** For `afterAll`: nothing is left running, whatever a failed test has left, and nothing on the disk. */
export async function stopCopies(): Promise<void> {
  for (const copy of copies) await copy.stop();
  for (const line of stillRunning(folder)) process.kill(Number.parseInt(line), 'SIGKILL');
  rmSync(folder, { recursive: true });
}
