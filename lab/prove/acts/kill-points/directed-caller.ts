import { DriverLog, monotonicMs, type PaymentAsked, type RefundAsked, type Reply } from '../../driver-log.js';
import { FetchSender } from '../../fetch-sender.js';
import { requestHash } from '../../log-holes.js';
import type { Caller } from '../../plan.js';
import { Random } from '../../random.js';
import { replyOf } from '../../reply.js';
import type { Listener, Request } from '../../send.js';
import type { Wish } from './places.js';

/** What part of the time that `Retry-After` asks for is waited. An impatient caller must not be able to do harm. */
const haste = 0.04;

/** T of invariant I5, in milliseconds: after that a caller gives up, and the checkers find out why it had to. */
export const endWithinMs = 15_000;

/** What all refunds together may give back, in minor units: more than are made, of two digits each. */
const paidInAdvance = 1_000_000;

/** One intended payment, or the refund of a part of one: it goes the same way, and can die in the same places. */
export interface Payment {
  /** Also its reference. */
  readonly operation: string;
  readonly customer: string;
  readonly key: string;
  readonly params: PaymentAsked | RefundAsked;
}

/**
 * Makes one payment after the other, each request at the time and the place that somebody else chooses, and writes all
 * of it into a driver's log: see driver-log.ts. The key is chosen once, and is the same on every attempt.
 */
export class DirectedCaller {
  private readonly log: DriverLog;
  private readonly random: Random;
  private readonly attempts = new Map<string, number>();
  private begun = 0;
  private exchanges = 0;
  /** The id of the payment that refunds give back. */
  private refundable: string | undefined;

  constructor(
    readonly path: string,
    private readonly caller: Caller,
    seed: number,
  ) {
    this.log = new DriverLog(path);
    this.random = Random.of(seed, 'amounts');
  }

  /** @param creditor whom the other bank pays; nobody else's, so that the bank can be told to hold just this one */
  newPayment(wish: Wish, creditor: string): Payment {
    if (wish === 'refund') {
      const { refundable: payment_id } = this;
      if (payment_id === undefined) throw new Error('there is nothing to give back yet');
      return this.named(() => ({ payment_id, amount: this.random.between(10, 99) }));
    }
    return this.named(reference => ({
      to: wish === 'ledger' ? 'sam' : creditor,
      // Of one length, so that answers are.
      amount: this.random.between(1_000, 9_999),
      currency: 'GBP',
      from: this.caller.name,
      rail: wish === 'ledger' ? 'ledger' : 'bank',
      reference,
    }));
  }

  /** Before anything dies: the payment that refunds give back, part by part. @throws Error when it is not paid */
  async payInAdvance(urls: readonly string[]): Promise<void> {
    const payment = this.newPayment('ledger', 'sam');
    const params = { ...payment.params, amount: paidInAdvance };
    const replies = await this.untilTold({ ...payment, params }, urls);
    const last = replies.at(-1);
    if (last?.status !== 200 || !last.told) throw new Error('what refunds are to give back was not paid');
    this.refundable = last.told.id;
  }

  /** Once, to this one. @returns what was told; that nothing came back is an answer, too */
  async once(payment: Payment, url: string): Promise<Reply> {
    const isTold = new AbortController();
    const [reply] = await this.send(payment, [url], isTold.signal, () => {
      isTold.abort();
    });
    if (!reply) throw new Error(`${payment.operation} was never sent`);
    return reply;
  }

  /** Again and again, in turns, until somebody knows. @returns every answer; the last is no end where T is over */
  untilTold(payment: Payment, urls: readonly string[]): Promise<Reply[]> {
    return this.send(payment, urls, AbortSignal.timeout(endWithinMs));
  }

  close(): void {
    this.log.close();
  }

  private named(paramsOf: (reference: string) => Payment['params']): Payment {
    const operation = `kill-${(this.begun += 1)}`;
    const params = paramsOf(operation);
    const key = `key-${operation}-${this.random.between(100_000, 999_999)}`;
    return { operation, customer: this.caller.name, key, params };
  }

  /** @param until aborted, it sends no more: what is on its way is waited for */
  private async send(
    { customer, key, operation, params }: Payment,
    urls: readonly string[],
    until: AbortSignal,
    told: () => void = () => undefined,
  ): Promise<Reply[]> {
    const replies: Reply[] = [];
    const { apiKey } = this.caller;
    const sender = new FetchSender(urls, this.random, () => haste);
    const asked = 'payment_id' in params ? 'refund' : 'pay';
    const request: Request = { apiKey, method: 'POST', key, asked, ...spelled(params) };
    const listener: Listener = {
      begins: () => {
        const exchange = `kill:${(this.exchanges += 1)}`;
        const attempt = (this.attempts.get(operation) ?? 0) + 1;
        this.attempts.set(operation, attempt);
        const what = {
          operation,
          attempt,
          customer,
          key,
          asked,
          request: requestHash({ params }),
          params,
        } as const;
        this.log.write({ kind: 'invoke', exchange, ...what, at: monotonicMs() });
        return exchange;
      },
      ends: (exchange, end) => {
        const reply = replyOf(end, { exchange, at: monotonicMs(), asked });
        this.log.write(reply);
        replies.push(reply);
        told();
      },
    };
    await sender.send(request, listener, until);
    return replies;
  }
}

function spelled(params: Payment['params']): Pick<Request, 'path' | 'body'> {
  if (!('payment_id' in params)) return { path: '/payments', body: JSON.stringify(params) };
  const { payment_id, ...body } = params;
  return { path: `/payments/${payment_id}/refunds`, body: JSON.stringify(body) };
}

/** Done before this caller asked, and told so. */
export function isReplay({ headers, kind }: Reply): boolean {
  return kind === 'ok' && headers['idempotent-replayed'] === 'true';
}

/** Done for this very request. */
export function isFirstAnswer({ headers, kind }: Reply): boolean {
  return kind === 'ok' && headers['idempotency-status'] === 'completed';
}
