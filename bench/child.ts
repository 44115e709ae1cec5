import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { apiNodeFlags } from '../start/node-flags.js';

/** What is compared: `ours` is the real API, the others are in servers/. */
export type ServerName = 'bare' | 'naive' | 'classic' | 'ours';

export interface Listening {
  process: ChildProcess;
  url: string;
}

/** How long a process may take to listen, in milliseconds. It takes one second; a slow machine ten. */
const startPatienceMs = 30_000;

/** How long a process may take to end once asked, in milliseconds, before it is made to. */
const endPatienceMs = 15_000;

export async function startServer(
  server: ServerName,
  environment: { DATABASE_URL: string; [name: string]: string },
  signal: AbortSignal,
): Promise<Listening> {
  const script = server === 'ours' ? ['src/main.js'] : ['bench/servers/serve.js', server];
  return startListening([...apiNodeFlags, ...inDist(script)], {
    name: `The ${server} server`,
    // No bank but the one that is given: whoever runs this may have set another.
    environment: {
      NODE_ENV: 'production',
      PORT: '0',
      HOST: '127.0.0.1',
      BANK_URL: '',
      // A lone customer may be a thousand callers here. The limits are checked all the same.
      REQUESTS_PER_SECOND_MAX: '1000000',
      IN_FLIGHT_PER_CUSTOMER_MAX: '100000',
      ...environment,
    },
    signal,
  });
}

export async function startBankServer(
  environment: Record<string, string>,
  signal: AbortSignal,
): Promise<Listening> {
  return startListening(inDist(['bank/main.js']), {
    name: 'The bank',
    environment: { NODE_ENV: 'production', BANK_PORT: '0', BANK_HOST: '127.0.0.1', ...environment },
    signal,
  });
}

function inDist([script = '', ...args]: string[]): string[] {
  return [join(import.meta.dirname, '..', script), ...args];
}

/** Starts a program and waits until it says where it listens. */
async function startListening(
  args: string[],
  { name, environment, signal }: { name: string; environment: NodeJS.ProcessEnv; signal: AbortSignal },
): Promise<Listening> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Ctrl-C reaches everybody in the terminal's group; this process alone decides in which order things stop.
    detached: process.platform !== 'win32',
  });
  let output = '';
  const patience = AbortSignal.any([signal, AbortSignal.timeout(startPatienceMs)]);
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        // Only its first words are of interest. What it says later is read, or it would have to wait.
        if (output.length < 10_000) output += chunk.toString();
        const [, listening] = /listens on (http\S+)/.exec(output) ?? [];
        if (listening) resolve(listening);
      };
      child.stdout?.on('data', read);
      child.stderr?.on('data', read);
      child.once('exit', () => {
        reject(new Error(`${name} ended before it listened:\n${output}`));
      });
      patience.addEventListener('abort', () => {
        reject(new Error(`${name} was not ready in time:\n${output}`));
      });
    });
    return { process: child, url };
  } catch (error) {
    await end(child);
    throw error;
  }
}

/** Asks a process to end, or makes it: `SIGKILL` is how one dies in a crash. */
export async function end(child: ChildProcess, how: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(how);
  const impatience = setTimeout(() => child.kill('SIGKILL'), endPatienceMs);
  await exited;
  clearTimeout(impatience);
}
