import { isMeant, type Call, type Target } from './faults.js';

/** Before: the request is read, nothing is written. After: it is carried out, or refused; the answer is not sent. */
export type Moment = 'before' | 'after';

interface Barrier {
  at: Moment;
  target: Target;
  left: number;
  reached: boolean;
  held: (() => void)[];
  /** Those who wait for somebody to arrive. */
  watchers: Set<() => void>;
}

/** Where tests hold requests, to do something to the rest of the world meanwhile. */
export class Barriers {
  private readonly standing = new Map<string, Barrier>();
  private count = 0;

  /** @param times how many requests it holds; 0: all that come, until it is removed */
  raise(at: Moment, target: Target, times: number): string {
    const id = `bar_${(this.count += 1)}`;
    const left = times || Infinity;
    this.standing.set(id, { at, target, left, reached: false, held: [], watchers: new Set() });
    return id;
  }

  /** Returns when nothing holds this call any more. It is then carried on with, even if its caller has gone. */
  async pass(at: Moment, call: Call): Promise<void> {
    for (const barrier of this.standing.values()) {
      if (barrier.at !== at || barrier.left === 0 || !isMeant(barrier.target, call)) continue;
      barrier.left -= 1;
      barrier.reached = true;
      for (const arrived of barrier.watchers) arrived();
      return new Promise(release => barrier.held.push(release));
    }
  }

  /** Undefined: there is no such barrier. Otherwise waits, for `waitMs` at most, until a request is held there. */
  async watch(id: string, waitMs: number): Promise<{ reached: boolean; held: number } | undefined> {
    const barrier = this.standing.get(id);
    if (!barrier) return undefined;
    if (!barrier.reached) {
      await new Promise<void>(arrived => {
        const timer = setTimeout(arrived, waitMs).unref();
        barrier.watchers.add(() => {
          clearTimeout(timer);
          arrived();
        });
      });
    }
    return { reached: barrier.reached, held: barrier.held.length };
  }

  /** False: there is no such barrier. */
  remove(id: string): boolean {
    const barrier = this.standing.get(id);
    this.standing.delete(id);
    for (const release of barrier?.held ?? []) release();
    for (const gone of barrier?.watchers ?? []) gone();
    return barrier !== undefined;
  }

  clear(): void {
    for (const id of this.standing.keys()) this.remove(id);
  }
}
