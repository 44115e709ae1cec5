import type { Clock } from './clock.js';

/**
 * Bounds how many requests are under way at once. The others wait, first come first served: a connection costs the
 * process far more memory than a call that waits for one, and the server as well.
 */
export class Turns {
  private readonly waiting = new Set<() => void>();
  private free: number;

  constructor(
    atOnceMax: number,
    private readonly clock: Clock,
  ) {
    this.free = atOnceMax;
  }

  /**
   * Waits for a turn, `patienceMs` at most, or until the signal aborts.
   *
   * @returns whether it came: then `end` has to follow, whatever happens in between
   */
  begin(patienceMs: number, signal: AbortSignal | undefined): boolean | Promise<boolean> {
    if (signal?.aborted) return false;
    if (this.free > 0) {
      this.free -= 1;
      return true;
    }
    // Ends with whatever is first: the turn, the patience, the caller's signal.
    return new Promise(resolve => {
      const end = (isMine: boolean) => {
        callOff();
        signal?.removeEventListener('abort', giveUp);
        this.waiting.delete(turn);
        resolve(isMine);
      };
      const turn = () => {
        end(true);
      };
      const giveUp = () => {
        end(false);
      };
      const callOff = this.clock.alarm(patienceMs, giveUp);
      signal?.addEventListener('abort', giveUp);
      this.waiting.add(turn);
    });
  }

  /** Hands the turn to whoever waits longest. */
  end(): void {
    const [next] = this.waiting;
    if (!next) {
      this.free += 1;
      return;
    }
    next();
  }
}
