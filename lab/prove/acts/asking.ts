import { DriverLog, monotonicMs, type PaymentAsked } from '../driver-log.js';
import { FetchSender } from '../fetch-sender.js';
import { requestHash } from '../log-holes.js';
import type { Caller } from '../plan.js';
import { Random } from '../random.js';
import { replyOf } from '../reply.js';
import type { Ended, Request } from '../send.js';
import { Turns } from '../turns.js';

/** A payment as it is to be asked for. Its name is its reference, and with `key-` before it its key. */
export interface Wanted {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  readonly rail: 'ledger' | 'bank';
  /** Whom it asks, in turn: the last of them first. */
  readonly urls: readonly string[];
}

/**
 * Requests under way at once. All of its callers live in one process: twenty thousand of them, let loose after a hiccup,
 * would keep it from hearing any answer in time, and so would come back for ever.
 */
const atOnceMax = 256;

/**
 * A caller of one payment at a time, who writes the same log as the driver does: for acts that have to know which
 * payment is where. It asks on with the same key until it is told how it ended, or to stop.
 */
export class Asking {
  private readonly log: DriverLog;
  private readonly random: Random;
  private readonly stops = new Map<string, AbortController>();
  private readonly attempts = new Map<string, number>();
  private readonly waiting = new Set<Promise<unknown>>();
  private readonly turns = new Turns(atOnceMax);
  private exchanges = 0;
  private closing: Promise<void> | undefined;

  /** @param how.patience how many times as long as `Retry-After` asks for it waits */
  constructor(
    path: string,
    private readonly caller: Caller,
    private readonly how: { readonly seed: number; readonly patience: number },
  ) {
    this.log = new DriverLog(path);
    this.random = Random.of(how.seed, 'asking');
  }

  /** How many have not been told yet. */
  get open(): number {
    return this.waiting.size;
  }

  /** @returns the last word, or `null`: it was told to stop asking, or has closed */
  pay(wanted: Wanted): Promise<Ended | null> {
    if (this.closing) return Promise.resolve(null);
    const told = this.send(wanted);
    const done = told.finally(() => this.waiting.delete(done));
    this.waiting.add(done);
    return told;
  }

  /** Asks no more under these keys, or under any, unless it is told to pay again. */
  stopAsking(keys: readonly string[] = [...this.stops.keys()]): void {
    for (const key of keys) {
      this.stops.get(key)?.abort();
      this.stops.delete(key);
    }
  }

  /** Once, however often it is asked for: a file closed twice may be somebody else's by then. */
  close(): Promise<void> {
    this.closing ??= this.lastWords();
    return this.closing;
  }

  private async lastWords(): Promise<void> {
    this.stopAsking();
    await Promise.allSettled(this.waiting);
    this.log.close();
  }

  private async send({ name: operation, urls, ...wanted }: Wanted): Promise<Ended | null> {
    const key = keyOf(operation);
    const { name: customer, apiKey } = this.caller;
    const params: PaymentAsked = { ...wanted, currency: 'GBP', reference: operation };
    const stop = this.stops.get(key) ?? new AbortController();
    this.stops.set(key, stop);
    const request: Request = {
      ...{ method: 'POST', path: '/payments', asked: 'pay' },
      ...{ apiKey, key, body: JSON.stringify(params) },
    };
    const sender = new FetchSender(urls, this.random, () => this.how.patience, this.turns);
    const listener = {
      begins: () => {
        const exchange = `${customer}:${(this.exchanges += 1)}`;
        const attempt = (this.attempts.get(operation) ?? 0) + 1;
        this.attempts.set(operation, attempt);
        this.log.write({
          ...{ kind: 'invoke', exchange, operation, attempt, customer, key, asked: 'pay' },
          ...{ request: requestHash({ params }), params, at: monotonicMs() },
        });
        return exchange;
      },
      ends: (exchange: string, end: Ended) => {
        this.log.write(replyOf(end, { exchange, at: monotonicMs(), asked: 'pay' }));
      },
    };
    return sender.send(request, listener, stop.signal);
  }
}

export function keyOf(operation: string): string {
  return `key-${operation}`;
}
