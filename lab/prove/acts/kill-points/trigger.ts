/**
 * Loaded into a real API or worker with `node --import`. It listens to what the engine publishes for logs and metrics,
 * and strikes where it is told to: production code carries no test hook.
 *
 * Unlike test/support/fault-points.ts it is told while the process runs, so that a process is up before it is known
 * where it will die, and one that was only stopped can be stopped again elsewhere. An order is used up by one strike.
 *
 * Node strips the types by itself, so this file imports only what Node brings.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';

export interface Order {
  /** A point of the engine's events. */
  readonly point: string;
  /** Only attempts that had come to this recovery point before count. */
  readonly recoveryPoint: string;
  /** So many of them in one batch. */
  readonly atLeast: number;
  /** A signal to itself, or for how many milliseconds the event loop stands still. */
  readonly strike: 'SIGKILL' | 'SIGSTOP' | number;
}

/** What it says as it strikes, on one line of stderr after `struck`. */
export interface Struck {
  /** Epoch milliseconds. */
  readonly at: number;
  /** The ids of the attempts that count. */
  readonly attempts: readonly string[];
}

interface Event {
  readonly point: string;
  readonly attempts: readonly { readonly attemptId: string; readonly recoveryPoint: string }[];
}

let order: Order | undefined;

process.on('message', message => {
  order = message as Order;
  say('armed');
});

subscribe('paysam.engine', message => {
  const event = message as Event;
  if (event.point !== order?.point) return;
  const { atLeast, recoveryPoint, strike } = order;
  const attempts = event.attempts.filter(attempt => attempt.recoveryPoint === recoveryPoint);
  if (attempts.length < atLeast) return;
  order = undefined;
  const struck: Struck = { at: Date.now(), attempts: attempts.map(({ attemptId }) => attemptId) };
  say(`struck ${JSON.stringify(struck)}`);
  if (typeof strike === 'string') process.kill(process.pid, strike);
  // Nothing else runs meanwhile, as in a busy loop, but the processor is left to the others.
  else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, strike);
});

/** Past the stream and its buffer: the harness has to see this line, whatever comes next. */
function say(line: string): void {
  writeSync(process.stderr.fd, `${line}\n`);
}
