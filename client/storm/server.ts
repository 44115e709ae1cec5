import type { Exchange } from '../src/exchange.js';
import { exponential, type Chance } from './chance.js';
import type { VirtualTime } from './virtual-time.js';

/** One attempt, as the server sees it. */
export interface Request {
  /** True once the caller has stopped waiting. The server cannot see that, and works on. */
  hasLeft: boolean;
  answer(exchange: Exchange): void;
}

export type Condition =
  /** Takes requests; the work takes so many times as long as it should. Infinity: it hangs. */
  | { readonly kind: 'works'; readonly slowness: number }
  /** Works, but for this share of the requests, drawn anew for each: they get 503. */
  | { readonly kind: 'patchy'; readonly failing: number }
  /** The connection is refused: nothing of the request was sent. */
  | { readonly kind: 'refuses' }
  /** A black hole: packets vanish, and there is neither answer nor refusal. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'unavailable'; readonly retryAfterMs: (now: number) => number };

export interface ServerSettings {
  /** How many requests it works on at once. */
  readonly workers: number;
  /** The mean; each request draws its own. */
  readonly serviceMs: number;
  /** What finds so many before it in the queue is turned away: 503, at once. Infinity: nothing is. */
  readonly queueMax: number;
}

/** A refusal comes at once, but not at the very same moment. */
const refusalMs = 1;

const answered = { kind: 'answered', code: null, shouldRetry: null, retryAfterMs: null } as const;
const done = { ...answered, status: 200 };

/**
 * So many workers and one queue before them, first come, first served.
 *
 * It carries out what nobody waits for any longer, because it cannot see that the caller has left. That is what keeps a
 * meltdown alive. (Pay Sam's API answers a repeat from what is stored, at a fraction of the price, and turns requests
 * away when it has too much to do: it fares better than a server without a bound here.)
 */
export class Server {
  /** Worker milliseconds spent, and those of them spent for callers who had left. */
  workedMs = 0;
  wastedMs = 0;
  private condition: Condition = { kind: 'works', slowness: 1 };
  private idle: number;
  private queue: Request[] = [];
  /** The queue is read from here: taking off the front of an array would move all the rest. */
  private front = 0;
  private readonly atWork = new Set<Request>();

  constructor(
    private readonly time: VirtualTime,
    private readonly settings: ServerSettings,
    private readonly draw: Chance,
  ) {
    this.idle = settings.workers;
  }

  become(condition: Condition): void {
    this.condition = condition;
    this.takeUp();
  }

  /** The process dies, and another takes its place, which is well: every connection breaks at the same moment. */
  restart(): void {
    this.condition = { kind: 'works', slowness: 1 };
    const lost = [...this.atWork, ...this.queue.slice(this.front)];
    this.atWork.clear();
    this.queue = [];
    this.front = 0;
    this.idle = this.settings.workers;
    for (const request of lost) request.answer({ kind: 'broken' });
  }

  receive(request: Request): void {
    const { condition } = this;
    switch (condition.kind) {
      case 'patchy':
        if (this.draw() < condition.failing) this.turnAway(request, null);
        else this.admit(request);
        break;
      case 'works':
        // A process that hangs does not even turn anybody away.
        if (condition.slowness < Infinity && this.waiting >= this.settings.queueMax)
          this.turnAway(request, null);
        else this.admit(request);
        break;
      case 'refuses':
        this.time.after(refusalMs, () => {
          request.answer({ kind: 'not_sent' });
        });
        break;
      case 'unavailable':
        this.turnAway(request, condition.retryAfterMs(this.time.now));
        break;
      case 'silent':
        break;
    }
  }

  private get waiting(): number {
    return this.queue.length - this.front;
  }

  private admit(request: Request): void {
    this.queue.push(request);
    this.takeUp();
  }

  private turnAway(request: Request, retryAfterMs: number | null): void {
    this.time.after(refusalMs, () => {
      request.answer({ ...answered, status: 503, shouldRetry: true, retryAfterMs });
    });
  }

  private takeUp(): void {
    const slowness = 'slowness' in this.condition ? this.condition.slowness : 1;
    if (slowness === Infinity) return;
    while (this.idle > 0 && this.waiting > 0) {
      const request = this.queue[this.front] as Request;
      this.front += 1;
      this.workOn(request, slowness * exponential(this.settings.serviceMs, this.draw));
    }
    if (this.front > 10_000 && this.front * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.front);
      this.front = 0;
    }
  }

  private workOn(request: Request, tookMs: number): void {
    this.idle -= 1;
    this.atWork.add(request);
    this.time.after(tookMs, () => {
      // What a restart has broken off is not finished by the process that died.
      if (!this.atWork.delete(request)) return;
      this.idle += 1;
      this.workedMs += tookMs;
      if (request.hasLeft) this.wastedMs += tookMs;
      else request.answer(done);
      this.takeUp();
    });
  }
}
