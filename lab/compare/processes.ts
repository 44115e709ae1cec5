import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { end, startServer, type Listening } from '../../bench/child.js';
import { apiNodeFlags } from '../../start/node-flags.js';
import type { Entry } from './roster.js';

/** How long a process may take to listen, in milliseconds. */
const startPatienceMs = 30_000;

type Environment = Record<string, string> & { DATABASE_URL: string };

/** A server of this design, in a process of its own, under the conditions of the benchmark. */
export async function startCompared(
  { name, isReal }: Entry,
  environment: Environment,
  signal: AbortSignal,
): Promise<Listening> {
  if (isReal) return startServer('ours', environment, signal);
  const child = spawn(process.execPath, [...apiNodeFlags, join(import.meta.dirname, 'serve.js'), name], {
    env: {
      ...process.env,
      NODE_ENV: 'production',
      PORT: '0',
      HOST: '127.0.0.1',
      BANK_URL: '',
      REQUESTS_PER_SECOND_MAX: '1000000',
      IN_FLIGHT_PER_CUSTOMER_MAX: '100000',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: process.platform !== 'win32',
  });
  const patience = AbortSignal.any([signal, AbortSignal.timeout(startPatienceMs)]);
  let output = '';
  try {
    const url = await new Promise<string>((resolve, reject) => {
      const read = (chunk: Buffer) => {
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
