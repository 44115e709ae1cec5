import { DriverLog, monotonicMs, type Invoke } from './driver-log.js';
import type { DriverPast } from './driver-past.js';
import { requestHash } from './log-holes.js';
import { replyOf } from './reply.js';
import type { Listener } from './send.js';

/** What is asked for, as the log has it. */
export interface Wish extends Pick<Invoke, 'operation' | 'customer' | 'key' | 'asked' | 'params' | 'prefer'> {
  /** Values of the request that this one collides with, which are none of its business. */
  readonly notToTell?: readonly string[];
}

/** Writes a driver's log, and counts: the attempts of each operation, however many are made at once, and all of them. */
export class Scribe {
  private readonly log: DriverLog;
  private readonly attempts: Map<string, number>;
  private exchanges: number;

  /**
   * @param name begins the name of each exchange
   * @param past where an earlier life of the driver has stopped, in the same log
   */
  constructor(
    path: string,
    private readonly name: string,
    past?: DriverPast,
  ) {
    this.log = new DriverLog(path);
    this.attempts = new Map(past?.attempts);
    this.exchanges = past?.exchanges ?? 0;
  }

  /** Each attempt is in the log before its first byte is sent, and its end before anything else is done. */
  listen({ notToTell, ...wish }: Wish): Listener {
    const { asked, operation, params } = wish;
    return {
      begins: () => {
        const exchange = `${this.name}:${(this.exchanges += 1)}`;
        const attempt = (this.attempts.get(operation) ?? 0) + 1;
        this.attempts.set(operation, attempt);
        const request = requestHash({ params });
        this.log.write({ kind: 'invoke', exchange, attempt, ...wish, request, at: monotonicMs() });
        return exchange;
      },
      ends: (exchange, end) => {
        const about = { exchange, at: monotonicMs(), asked, ...(notToTell && { notToTell }) };
        this.log.write(replyOf(end, about));
      },
    };
  }

  close(): void {
    this.log.close();
  }
}
