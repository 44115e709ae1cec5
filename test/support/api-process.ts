import { spawn } from 'node:child_process';
import type { Stream } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiNodeFlags, workerNodeFlags } from '../../start/node-flags.js';
import { unlimited } from './api.js';
import { ownPort } from './own-port.js';

export interface ApiOptions {
  databaseUrl: string;
  /** Strike when the engine publishes this event, `committed` or `committed:3`; see fault-points.ts. */
  faultPoint?: string;
  faultSignal?: 'SIGKILL' | 'SIGSTOP' | 'STALL';
  /** Modules to load before everything else. */
  imports?: string[];
  env?: Record<string, string>;
  /** Where its stdout goes, if it is not to be collected. */
  stdout?: Stream;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ApiProcess extends RealProcess {
  url: string;
  port: number;
}

export interface RealProcess {
  pid: number;
  exited: Promise<Exit>;
  /** Resolves once the fault point was reached, also if the process died there. */
  faultPointReached: () => Promise<void>;
  stdout: () => string;
  stderr: () => string;
  /** SIGTERM asks politely, SIGKILL is a crash, SIGCONT wakes it up. */
  signal: (signal: NodeJS.Signals) => void;
  /** To a module that was loaded with `imports` and listens; production code does not. */
  send: (message: object) => void;
  kill: (signal?: 'SIGKILL' | 'SIGTERM') => Promise<Exit>;
}

/**
 * How long an API may take to get ready, or to come to its fault point. It boots in less than a second; a dozen of them
 * on two busy cores do not.
 */
const patienceMs = 60_000;

/** A real API in a process of its own, as it is shipped. Resolves once it says that it is ready. */
export async function startApi(options: ApiOptions): Promise<ApiProcess> {
  const port = await ownPort();
  const began = performance.now();
  const env = { ...options.env, PORT: String(port) };
  const api = startProcess([...flagsOf(apiNodeFlags, options), scriptOf('main')], { ...options, env });
  const url = `http://127.0.0.1:${port}`;
  if (!(await api.comesTrue(() => isReady(url)))) {
    const { code, signal } = await api.kill();
    const how = `ended with ${signal ?? String(code)} after ${Math.round(performance.now() - began)} ms`;
    throw new Error(`the API did not get ready (${how}):\n${api.stdout()}${api.stderr()}`);
  }
  return { ...api, url, port };
}

/** `src/worker.ts` alone, in a process of its own. `args`: which workers, and how. */
export function startWorker({ args = [], ...options }: ApiOptions & { args?: string[] }): RealProcess {
  return startProcess([...flagsOf(workerNodeFlags, options), scriptOf('worker'), ...args], options);
}

/** As it is shipped, unless a test wants Node to be run otherwise. */
function flagsOf(shipped: readonly string[], { env }: ApiOptions): readonly string[] {
  return env?.NODE_OPTIONS === undefined ? shipped : [];
}

/** As it was built, or as somebody who starts thousands of them has bundled it: see lab/prove/bundle-app.ts. */
function scriptOf(name: 'main' | 'worker'): string {
  const { APP_BUNDLE: bundle } = process.env;
  return bundle === undefined ? `dist/src/${name}.js` : `${bundle}/${name}.mjs`;
}

function startProcess(
  command: string[],
  { databaseUrl, faultPoint, faultSignal, imports = [], env, ...to }: ApiOptions,
): RealProcess & { comesTrue: (isTrue: () => boolean | Promise<boolean>) => Promise<boolean> } {
  const preloads = ['./test/support/fault-points.ts', ...imports].flatMap(file => ['--import', file]);
  const child = spawn(process.execPath, [...preloads, ...command], {
    env: {
      ...process.env,
      NODE_ENV: 'production',
      DATABASE_URL: databaseUrl,
      ...unlimited,
      ...(faultPoint && { FAULT_POINT: faultPoint }),
      ...(faultSignal && { FAULT_SIGNAL: faultSignal }),
      ...env,
    },
    // The channel is what tells the API that a test run was killed: it then stops by itself.
    stdio: ['ignore', to.stdout ?? 'pipe', 'pipe', 'ipc'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command.join(' ')} could not be started`);

  let stdout = '';
  let stderr = '';
  let isGone = false;
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  // 'close' rather than 'exit': by then all of its output has arrived.
  const exited = new Promise<Exit>(resolve => {
    child.once('close', (code, signal) => {
      isGone = true;
      resolve({ code, signal });
    });
  });

  /** False when it did not come true in time, or before the process was gone. */
  async function comesTrue(isTrue: () => boolean | Promise<boolean>): Promise<boolean> {
    const until = Date.now() + patienceMs;
    while (!isGone && Date.now() < until) {
      if (await isTrue()) return true;
      await sleep(25);
    }
    return isTrue();
  }

  return {
    comesTrue,
    pid,
    exited,
    stdout: () => stdout,
    stderr: () => stderr,
    faultPointReached: async () => {
      if (!(await comesTrue(() => stderr.includes('fault point reached')))) {
        throw new Error(`it never reached ${faultPoint ?? 'a fault point'}:\n${stdout}${stderr}`);
      }
    },
    signal: signal => void child.kill(signal),
    send: message => void child.send(message),
    kill: (signal = 'SIGKILL') => {
      child.kill(signal);
      return exited;
    },
  };
}

async function isReady(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(10_000) }).catch(
    () => undefined,
  );
  return answer?.ok ?? false;
}
