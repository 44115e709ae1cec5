import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerName } from './events.js';

/** Does one job, over and over. Any number of instances may run at once, on any number of machines. */
export interface Worker<Counts extends object = object> {
  readonly name: WorkerName;

  /** Works and rests until `signal` is aborted. Never ends by an error: that is published. */
  run(signal: AbortSignal): Promise<void>;

  /**
   * Does once whatever there is to do, and publishes what that was.
   *
   * @throws what the database, the bank or the way to them throws. Nothing is half done then: the next run goes on.
   */
  runOnce(signal?: AbortSignal): Promise<Counts>;
}

/** How far a rest may be off, each way: instances that were started together drift apart. */
const jitter = 0.25;

/** The longest a timer can wait: 24.8 days. Anything above would fire at once. */
const restMaxMs = 2 ** 31 - 1;

/**
 * Works, rests, works again, until `signal` is aborted; then returns as soon as the work at hand does, or at once
 * from a rest. It begins with a random part of a rest, so that instances do not sweep in step after a deployment.
 *
 * An error is reported, and then rested on like any other end.
 */
export async function loop(
  signal: AbortSignal,
  restMs: number,
  { work, onError }: { work: (signal: AbortSignal) => Promise<unknown>; onError: (error: unknown) => void },
): Promise<void> {
  await rest(restMs * Math.random(), signal);
  while (!isOver(signal)) {
    try {
      await work(signal);
    } catch (error) {
      // Once we are stopping, that is what ended the work. What else it may be, the next start meets again.
      if (!isOver(signal)) onError(error);
    }
    await rest(restMs * (1 - jitter + 2 * jitter * Math.random()), signal);
  }
}

/** Asked anew each time: it changes while we wait. */
function isOver(signal: AbortSignal): boolean {
  return signal.aborted;
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.min(ms, restMaxMs), undefined, { signal }).catch(() => undefined);
}
