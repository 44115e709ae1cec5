import type { Settings } from '../settings.js';
import { fullJitter, halfJitter, type Bounds } from './backoff.js';
import { judgeAnswer, judgeFailure, type NotSent, type Unknown, type Verdict } from './bank-answer.js';
import { BankLine, type LineSettings } from './bank-line.js';
import type { BankOrder, BankTransfer } from './bank-order.js';
import type { Call } from './call.js';
import { publish } from './events.js';
import { RetryBudget, repeatAfterTimeoutCost, repeatCost } from './retry-budget.js';
import { judgeStatement, type Statement } from './statement.js';

export type { BankOrder, BankTransfer } from './bank-order.js';
export type { Booking } from './statement.js';

/** What a call comes to. Only a decline is a failure; a time-out never is. */
export type BankAnswer =
  | { readonly kind: 'done'; readonly transfer: BankTransfer }
  | { readonly kind: 'declined'; readonly code: string; readonly message: string }
  /** Surely this call has not sent the order, so it changed nothing: whatever was known before still holds. */
  | { readonly kind: 'not_sent'; readonly reason: string }
  /** It may have happened or not. Whoever waits long enough, and asks, will know. */
  | { readonly kind: 'unknown'; readonly reason: string }
  /** The bank says what cannot be true. It is never guessed at: a person has to look. */
  | { readonly kind: 'contradicted'; readonly reason: string };

export type BankSettings = LineSettings &
  Pick<Settings, 'bankRequestsMax' | 'bankBackoffMs' | 'bankBackoffMaxMs' | 'bankRetryTokens'>;

/** Between two questions whether a transfer has settled: a demo's settles at once, a real one's takes its time. */
const settlingPause = { firstMs: 50, maxMs: 1_000 };

/** Repeats of requests that could not be sent. With the waits between them that is a fifth of a second. */
const notSentMax = 2;

/**
 * The one call we cannot take back.
 *
 * A payment is one reference at the bank, however often it is sent; the bank charges a reference once, for as long
 * as it remembers it. So the rule of a call is short: what may have been sent is asked for before it is sent again.
 *
 *                 ┌── surely not sent ──┐
 *                 ▼                     │
 *     new ──▶   send ───────────────────┴─▶ done | declined | contradicted
 *               │    ▲
 *       unknown │    │ not found, and the bank still remembers
 *               ▼    │
 *     old ──▶   ask ──────────────────────▶ done | declined | contradicted
 *
 * A call ends early when it has made `bankRequestsMax` requests or its time is over, when the retry budget is empty,
 * the circuit is open or its caller gives up; then it tells what is known so far: `not_sent`, or else `unknown`. A
 * call that never reached the bank is `not_sent` whatever earlier calls did: it has not made the doubt any greater.
 */
export class BankClient {
  private readonly line: BankLine;
  private readonly budget: RetryBudget;
  private readonly bounds: Bounds;

  /** @throws TypeError where `bankUrl` is no URL; an empty one is none */
  constructor(private readonly settings: BankSettings) {
    this.line = new BankLine(settings);
    this.budget = new RetryBudget(settings.bankRetryTokens);
    this.bounds = { firstMs: settings.bankBackoffMs, maxMs: settings.bankBackoffMaxMs };
  }

  /** False while the circuit is open: whoever may wait had better wait. */
  get isAnswering(): boolean {
    return this.line.isAnswering;
  }

  /**
   * Has an order paid, exactly once.
   *
   * @param options.mayBeSent an earlier call may have sent it, so ask first
   * @param options.maySend false once the bank may have forgotten the reference: only ask, for the bank would take
   *   a repeat for a new payment
   */
  pay(
    order: BankOrder,
    options: { mayBeSent: boolean; maySend: boolean; signal: AbortSignal },
  ): Promise<BankAnswer> {
    return this.line.during(options.signal, call => this.payDuring(call, order, options));
  }

  private async payDuring(
    call: Call,
    order: BankOrder,
    { mayBeSent, maySend }: { mayBeSent: boolean; maySend: boolean },
  ): Promise<BankAnswer> {
    let isInDoubt = mayBeSent;
    let wasReached = false;
    let timesNotSent = 0;
    let step: 'pay' | 'ask' = mayBeSent || !maySend ? 'ask' : 'pay';
    let timesNotFound = 0;

    for (;;) {
      const verdict = await this.request(call, step, order);
      if (verdict.kind !== 'not_sent') wasReached = true;
      let end: string | undefined;
      switch (verdict.kind) {
        case 'done':
        case 'contradicted':
          return verdict;

        case 'declined':
          // An approval that we never heard of wins: after a request of unknown fate, only the books can decline.
          if (step === 'ask' || !isInDoubt) return verdict;
          step = 'ask';
          end = this.whyEnough(call);
          break;

        case 'not_found':
          if (maySend) {
            // The same reference. If the request we have lost is only late, the bank knows this one for a repeat.
            step = 'pay';
            end = this.whyEnough(call);
          } else if ((timesNotFound += 1) === 1) {
            // Perhaps it cannot be seen yet. One more look costs nothing.
            end = this.whyEnough(call) ?? (await this.pauseFor(call, fullJitter(this.bounds, timesNotFound)));
          } else {
            end = 'the bank does not know it, and it is too late to send it';
          }
          break;

        case 'unknown':
          if (step === 'pay') isInDoubt = true;
          step = 'ask';
          end = await this.prepareRepeat(call, verdict);
          break;

        case 'not_sent':
          timesNotSent += 1;
          // A bank that cannot be reached is no matter of patience: the caller is told at once that it takes longer.
          end = timesNotSent > notSentMax ? verdict.reason : await this.prepareRepeat(call, verdict);
          break;
      }
      if (end !== undefined) return { kind: isInDoubt && wasReached ? 'unknown' : 'not_sent', reason: end };
    }
  }

  /**
   * Asks what became of a transfer that the bank has accepted, until it is settled or returned, or the call's time is
   * over: then `done` with the status `accepted` says: not yet. `not_sent` says that the bank was not reached.
   */
  settlement(order: BankOrder, transferId: string, options: { signal: AbortSignal }): Promise<BankAnswer> {
    return this.line.during(options.signal, call => this.settlementDuring(call, order, transferId));
  }

  private async settlementDuring(call: Call, order: BankOrder, transferId: string): Promise<BankAnswer> {
    let notYet: BankAnswer | undefined;
    let wasReached = false;
    let timesNotSent = 0;
    for (let questions = 0; ; questions += 1) {
      const verdict = await this.request(call, 'ask', order);
      if (verdict.kind !== 'not_sent') wasReached = true;
      let end: string | undefined;
      switch (verdict.kind) {
        case 'done':
          if (verdict.transfer.id !== transferId)
            return contradiction('the bank has another transfer for it now');
          if (verdict.transfer.status !== 'accepted') return verdict;
          notYet = verdict;
          // Asking again after an answer is no repeat: it costs no token, and the count begins anew.
          call.requests = 0;
          end = await this.pauseFor(call, halfJitter(settlingPause, questions));
          break;

        case 'declined':
          return contradiction('the bank declines what it has accepted');

        case 'not_found':
          return { kind: 'unknown', reason: 'the bank does not know a transfer that it has accepted' };

        case 'contradicted':
          return verdict;

        case 'unknown':
          end = await this.prepareRepeat(call, verdict);
          break;

        case 'not_sent':
          timesNotSent += 1;
          end = timesNotSent > notSentMax ? verdict.reason : await this.prepareRepeat(call, verdict);
          break;
      }
      if (end !== undefined) return notYet ?? { kind: wasReached ? 'unknown' : 'not_sent', reason: end };
    }
  }

  /**
   * One page of the bank's books about us: what was booked after `since`. It is not repeated; whoever reconciles
   * comes again anyway.
   *
   * @throws BankUnavailable when there was no answer that could be read, BankContradicted when it cannot be true
   */
  statement(since: number, signal: AbortSignal): Promise<Statement> {
    return this.line.during(signal, async call => {
      const began = performance.now();
      const end = await this.line.exchange(call, 'GET', `/transfers?since=${since}`);
      const verdict = judgeStatement(end, since);
      const reason = verdict.kind === 'ok' ? {} : { reason: verdict.reason };
      publish({ call: 'statement', kind: verdict.kind, ms: performance.now() - began, ...reason });

      if (verdict.kind === 'ok') return verdict.statement;
      throw verdict.kind === 'contradicted'
        ? new BankContradicted(verdict.reason)
        : new BankUnavailable(verdict.reason);
    });
  }

  /** Ends what is still under way, as unknown or not sent, and leaves no connection behind. */
  close(): Promise<void> {
    return this.line.close();
  }

  /** One request about an order: what it taught us. */
  private async request(call: Call, name: 'pay' | 'ask', order: BankOrder): Promise<Verdict> {
    const began = performance.now();
    call.requests += 1;
    const method = name === 'pay' ? 'PUT' : 'GET';
    const path = `/transfers/${encodeURIComponent(order.reference)}`;
    const end = await this.line.exchange(call, method, path, name === 'pay' ? toJson(order) : undefined);
    const verdict = 'answer' in end ? judgeAnswer(method, end.answer, order) : judgeFailure(end.failure);

    const { kind } = verdict;
    if (kind === 'done' || kind === 'declined' || kind === 'not_found') this.budget.give();
    const reason = 'reason' in verdict ? { reason: verdict.reason } : {};
    publish({ call: name, kind: kind === 'done' ? 'ok' : kind, ms: performance.now() - began, ...reason });
    return verdict;
  }

  /** Waits until the call may repeat a request that failed, or says why it ends here. */
  private async prepareRepeat(call: Call, failed: NotSent | Unknown): Promise<string | undefined> {
    const askedForMs = failed.kind === 'unknown' ? (failed.retryAfterMs ?? 0) : 0;
    const ms = Math.max(fullJitter(this.bounds, call.requests - 1), Math.min(askedForMs, this.bounds.maxMs));
    const end = this.whyNoRepeat(call, failed) ?? (await this.pauseFor(call, ms));
    return end === undefined || end === failed.reason ? end : `${failed.reason}; ${end}`;
  }

  private whyNoRepeat(call: Call, failed: NotSent | Unknown): string | undefined {
    if (call.whyOver !== undefined) return call.whyOver;
    if (failed.kind === 'not_sent' && !failed.mayRepeat) return failed.reason;
    if (!this.line.isAnswering) return 'the bank does not answer at the moment';
    const isTimeout = failed.kind === 'unknown' && failed.isTimeout === true;
    return (
      this.whyEnough(call) ??
      (this.budget.take(isTimeout ? repeatAfterTimeoutCost : repeatCost)
        ? undefined
        : 'no more repeats for now')
    );
  }

  private whyEnough(call: Call): string | undefined {
    const { bankRequestsMax } = this.settings;
    return call.requests < bankRequestsMax
      ? undefined
      : `${bankRequestsMax} requests are enough for one call`;
  }

  private async pauseFor(call: Call, ms: number): Promise<string | undefined> {
    if (await call.pause(ms)) return undefined;
    return call.whyOver ?? 'there is no time left for another request';
  }
}

function contradiction(reason: string): BankAnswer {
  return { kind: 'contradicted', reason };
}

/** Written by hand, since JSON.stringify refuses a bigint, and a double could not hold every one. */
function toJson({ amount, currency, creditor }: BankOrder): string {
  return `{"amount":${amount},"currency":${JSON.stringify(currency)},"creditor":${JSON.stringify(creditor)}}`;
}

/** There was no answer, or none that could be read. Nothing is wrong with the books for all we know. */
export class BankUnavailable extends Error {
  override readonly name = 'BankUnavailable';
}

/** The bank's books say what cannot be true. Repeating helps nobody: a person has to look. */
export class BankContradicted extends Error {
  override readonly name = 'BankContradicted';
}
