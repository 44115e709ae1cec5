import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { boundLog, lastLines } from './log-file.js';
import { Refusal } from './refusal.js';
import { say } from './screen.js';

export interface Program {
  name: string;
  script: string;
  nodeFlags: string[];
  environment: NodeJS.ProcessEnv;
  /** Answers 200 once the program is ready. */
  readyUrl: string;
  log: string;
  /** Holds the number of the process, as long as it runs: for whoever wants to kill it. */
  pidFile: string;
}

/** How long a child may take until it is ready, in milliseconds. It takes one second; a slow machine ten. */
const readyWithinMs = 30_000;

/** How long a child may take to stop, in milliseconds: longer than the API's own 10 s for what is in flight. */
const graceMs = 12_000;

/** Starts in a row that come to nothing before we give up. With the doubling pauses that is about three seconds. */
const failuresMax = 4;

/** A child that has lived this long, in milliseconds, was well: its end is news, not the same trouble again. */
const wellAfterMs = 10_000;

/**
 * A program that runs beside this one, and is started again when it dies.
 *
 * It is started with an IPC channel. Nothing is sent over it; but when this process dies, even by SIGKILL, the
 * channel closes, and the child shuts down by itself. In a group of its own, it does not see the terminal's
 * Ctrl-C: this process alone decides in which order things stop.
 */
export class Child {
  #process: ChildProcess | undefined;
  #exit: Promise<string> = Promise.resolve('never started');

  /** Once `signal` is aborted, an end is no surprise any more. */
  constructor(
    private readonly program: Program,
    private readonly signal: AbortSignal,
  ) {
    boundLog(program.log);
  }

  /** Starts it and waits until it is ready. */
  async start(): Promise<void> {
    const { script, nodeFlags, environment, log, pidFile, readyUrl } = this.program;
    const output = openSync(log, 'a');
    const child = spawn(process.execPath, [...nodeFlags, script], {
      env: environment,
      stdio: ['ignore', output, output, 'ipc'],
      detached: process.platform !== 'win32',
      windowsHide: true,
    });
    closeSync(output);
    this.#process = child;
    if (child.pid !== undefined) writeFileSync(pidFile, `${String(child.pid)}\n`);
    this.#exit = new Promise(resolve => {
      child.once('exit', (code, signal) => {
        // The number may soon be another program's.
        rmSync(pidFile, { force: true });
        resolve(signal ?? `exit code ${String(code)}`);
      });
    });

    const until = Date.now() + readyWithinMs;
    while (!(await isReady(readyUrl))) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw this.#refusal(`stopped before it was ready (${await this.#exit})`);
      if (Date.now() > until) {
        await this.stop();
        throw this.#refusal(`was not ready within ${String(readyWithinMs / 1_000)} s`);
      }
      await sleep(25, undefined, { signal: this.signal });
    }
  }

  /** Starts it again whenever it dies. Ends by throwing, when it keeps dying. */
  async stayUp(): Promise<never> {
    for (let failures = 0; ;) {
      const startedAt = Date.now();
      const end = await this.#exit;
      this.signal.throwIfAborted();
      failures = Date.now() - startedAt > wellAfterMs ? 1 : failures + 1;
      if (failures > failuresMax) throw this.#refusal(`keeps stopping (${end})`);

      say(`${this.program.name} has stopped (${end}); starting it again …`);
      await sleep(100 * 2 ** failures, undefined, { signal: this.signal });
      try {
        await this.start();
        say(`${this.program.name} is ready again.`);
      } catch {
        // Its end is what the next round reports, and counts.
      }
    }
  }

  async stop(): Promise<void> {
    this.#process?.kill('SIGTERM');
    const impatience = setTimeout(() => this.#process?.kill('SIGKILL'), graceMs);
    await this.#exit;
    clearTimeout(impatience);
  }

  #refusal(whatItDid: string): Refusal {
    const { name, log } = this.program;
    return new Refusal(`${name} ${whatItDid}.`, `The end of ${log} may say why:`, lastLines(log));
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const { status } = await fetch(url, {
      // A connection kept open would be one more for the API to wait for when it stops.
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(2_000),
    });
    return status === 200;
  } catch {
    return false;
  }
}
