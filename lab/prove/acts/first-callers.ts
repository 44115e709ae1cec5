import { join } from 'node:path';
import {
  DriverLog,
  monotonicMs,
  type Exchange,
  type Invoke,
  type PaymentAsked,
  type RefundAsked,
} from '../driver-log.js';
import { FetchSender } from '../fetch-sender.js';
import { requestHash } from '../log-holes.js';
import { Random } from '../random.js';
import { replyOf } from '../reply.js';
import type { Ended } from '../send.js';
import type { World } from '../world.js';

/** What is to be paid, or given back. */
export type Wish =
  | (Pick<PaymentAsked, 'to' | 'rail'> & { readonly amount: number })
  | (RefundAsked & { readonly rail?: undefined });

/**
 * Alice, as often as it takes: each request has a key of its own, is sent to one API, and written down as a driver does.
 * She does as she is told, so whoever is told anything but a first answer has sent a second request. See `notToldFirst`.
 */
export class FirstCallers {
  readonly path: string;
  private readonly log: DriverLog;
  private readonly sender: FetchSender;
  private readonly apiKey: string;
  private operations = 0;
  private exchanges = 0;

  constructor(
    world: World,
    private readonly door: 'api-1' | 'api-2',
    seed: number,
  ) {
    this.path = join(world.folder, `first-callers-of-${door}.jsonl`);
    this.log = new DriverLog(this.path);
    this.sender = new FetchSender([world.doors[door].url], Random.of(seed, door));
    this.apiKey = world.callers().find(({ name }) => name === 'alice')?.apiKey ?? '';
  }

  /** Sends all of them in one turn of the event loop. */
  send(wishes: readonly Wish[]): Promise<(Ended | null)[]> {
    return Promise.all(wishes.map(wish => this.sendOne(wish)));
  }

  close(): void {
    this.log.close();
  }

  private sendOne(wish: Wish): Promise<Ended | null> {
    const operation = `${this.door}-${(this.operations += 1)}`;
    const key = `key-${operation}`;
    const isRefund = 'payment_id' in wish;
    const params: PaymentAsked | RefundAsked = isRefund
      ? { payment_id: wish.payment_id, amount: wish.amount }
      : { ...wish, currency: 'GBP', from: 'alice', reference: operation };
    const asked = isRefund ? 'refund' : 'pay';
    let attempt = 0;
    const invoke = (exchange: string): Invoke => ({
      kind: 'invoke',
      exchange,
      operation,
      attempt: (attempt += 1),
      customer: 'alice',
      key,
      asked,
      request: requestHash({ params }),
      params,
      at: monotonicMs(),
    });
    const path = isRefund ? `/payments/${wish.payment_id}/refunds` : '/payments';
    const body = JSON.stringify(isRefund ? { amount: wish.amount } : params);
    return this.sender.send(
      { method: 'POST', path, body, apiKey: this.apiKey, key, asked },
      {
        begins: () => {
          const exchange = `${this.door}:${(this.exchanges += 1)}`;
          this.log.write(invoke(exchange));
          return exchange;
        },
        ends: (exchange, end) => {
          this.log.write(replyOf(end, { exchange, at: monotonicMs(), asked }));
        },
      },
      AbortSignal.timeout(60_000),
    );
  }
}

/** The payment's id, where it has succeeded. */
export function paidIn(end: Ended | null | undefined): string | undefined {
  if (end?.kind !== 'answered' || end.status !== 200) return undefined;
  return (JSON.parse(end.text) as { id: string }).id;
}

/** Its first request, answered with the outcome: not a replay, nor told to wait or to come back. */
export function isToldFirst({ invoke, reply }: Exchange): boolean {
  const isEnd = reply?.status === 200 || reply?.status === 402;
  return invoke.attempt === 1 && isEnd && reply.headers['idempotency-status'] === 'completed';
}
