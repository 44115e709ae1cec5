import type { Clock } from '../../src/clock.js';

/**
 * Time for tests: it stands still while anything is left to do, and then jumps to whatever happens next. An hour of
 * waiting takes no time, and every run takes the same course.
 */
export class VirtualClock implements Clock {
  private time = 0;
  private readonly sleepers = new Set<{ at: number; ring: () => void }>();

  constructor(readonly random: () => number = () => 0.5) {}

  now(): number {
    return this.time;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const wake = () => {
        callOff();
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const callOff = this.alarm(ms, wake);
      signal?.addEventListener('abort', wake);
    });
  }

  alarm(ms: number, ring: () => void): () => void {
    const sleeper = { at: this.time + ms, ring };
    this.sleepers.add(sleeper);
    return () => {
      this.sleepers.delete(sleeper);
    };
  }

  /** Lets time pass until the work is done. */
  async until<T>(work: Promise<T>): Promise<T> {
    const progress = { isDone: false };
    const over = () => {
      progress.isDone = true;
    };
    work.then(over, over);
    for (let idleTurns = 0; ;) {
      // By then everything has been done that can be done now.
      await new Promise(resolve => setImmediate(resolve));
      if (progress.isDone) return work;
      const next = [...this.sleepers].sort((one, other) => one.at - other.at)[0];
      // What is neither done nor asleep is at work on another thread: hashing, say.
      if (!next && (idleTurns += 1) > 100_000) throw new Error('everybody waits for what will never happen');
      if (!next) continue;
      this.time = Math.max(this.time, next.at);
      this.sleepers.delete(next);
      next.ring();
    }
  }
}
