import type { Arguments } from './arguments.js';
import { UsageError } from './usage-error.js';

/** What one command may spend, by its flags. The defaults are those of the library. */
export interface Bounds {
  readonly attemptsMax: number;
  readonly attemptTimeoutMs: number;
  readonly deadlineMs: number;
  /** Undefined: as the service likes, which is up to 10 s on rail bank and nothing to speak of on its own. */
  readonly waitSeconds: number | undefined;
}

/** What an answer takes on top of the wait that was asked for. */
const graceMs = 5_000;

/** @throws UsageError for a wait that the time-out would always cut short: every attempt would be for nothing */
export function readBounds(args: Arguments): Bounds {
  const waitSeconds = args.wholeNumber('wait', { min: 0, max: 30 });
  const timeoutMs = args.secondsAsMs('timeout', { max: 600 });
  const waitMs = (waitSeconds ?? 0) * 1_000;
  if (timeoutMs !== undefined && timeoutMs <= waitMs) {
    throw new UsageError('--timeout has to outlast --wait.', 'Leave it out: it then does.');
  }
  return {
    attemptsMax: args.wholeNumber('attempts', { min: 1, max: 100 }) ?? 4,
    attemptTimeoutMs: timeoutMs ?? Math.max(15_000, waitMs + graceMs),
    deadlineMs: args.secondsAsMs('deadline', { max: 86_400 }) ?? 60_000,
    waitSeconds,
  };
}
