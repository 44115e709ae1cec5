import type { Dispatcher } from 'undici';

export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string | undefined;
  readonly retryAfter: string | undefined;
  readonly body: Buffer;
}

/** A request that came to no answer. */
export interface HttpFailure {
  /** False is a promise: not one byte of this request has left. True means only that some may have. */
  readonly isSent: boolean;
  readonly isTimeout: boolean;
  /** Whose doing it was. What we gave up ourselves says nothing about the bank. */
  readonly blame: 'bank' | 'us';
  /** One sentence, made here: it never quotes a header, a path or a body. */
  readonly reason: string;
}

export type HttpEnd = { readonly answer: HttpAnswer } | { readonly failure: HttpFailure };

/**
 * One request to the bank, over undici.
 *
 *     waiting ──▶ connecting ──▶ sent ──▶ answered
 *        │            │            │
 *        └────────────┴─ not sent  └─ unknown
 *
 * What proves that nothing was sent is not a list of error codes but an order of events. undici calls
 * `onRequestStart` on an open connection (TLS included), just before it writes the first byte, and writes nothing
 * if the request is aborted in there (`writeH1` in its `lib/dispatcher/client-h1.js`). So a request that never
 * got that call was never sent, whatever the error; and one that did may have been, whatever the error: also an
 * ECONNRESET that came before the bank read anything. That errs on the safe side.
 *
 * undici puts a running request back into its queue when its connection ends for reasons of undici's own. With one
 * request per connection that does not happen; if it ever does, the second `onRequestStart` is refused here, since
 * what is sent again is for the loop in `bank.client.ts` to decide, after asking.
 *
 * `undici.request` would hide all this, and cannot give up a request that is still connecting.
 */
export class BankRequest implements Dispatcher.DispatchHandler {
  /** Never rejects. */
  readonly end: Promise<HttpEnd>;
  private resolve!: (end: HttpEnd) => void;
  /** True once `end` is settled, or about to be. */
  isOver = false;
  private controller: Dispatcher.DispatchController | undefined;
  private timer: NodeJS.Timeout | undefined;
  private status = 0;
  private headers: NodeJS.Dict<string | string[]> = {};
  private readonly chunks: Buffer[] = [];

  constructor(
    private readonly options: Dispatcher.DispatchOptions,
    private readonly timeoutMs: number,
  ) {
    this.end = new Promise(resolve => {
      this.resolve = resolve;
    });
  }

  /**
   * Its turn has come: from here on `timeoutMs` counts, connecting and the last byte of the body included, so that
   * a byte a second does not help. Must not be called once it is over.
   */
  run(dispatcher: Dispatcher): Promise<HttpEnd> {
    this.timer = setTimeout(timeOut, this.timeoutMs, this);
    dispatcher.dispatch(this.options, this);
    return this.end;
  }

  /** We give it up, for a reason of ours. */
  cut(reason: string): void {
    this.giveUp({ reason, blame: 'us', isTimeout: false });
  }

  timeOut(): void {
    this.giveUp({ reason: `no answer within ${this.timeoutMs} ms`, blame: 'bank', isTimeout: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.isOver || this.controller) controller.abort(new Error('given up, or sent already'));
    else this.controller = controller;
  }

  onResponseStart(_: unknown, status: number, headers: NodeJS.Dict<string | string[]>): void {
    this.status = status;
    this.headers = headers;
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first] = this.chunks;
    this.settle({
      answer: {
        status: this.status,
        contentType: single(this.headers['content-type']),
        retryAfter: single(this.headers['retry-after']),
        body: this.chunks.length === 1 && first ? first : Buffer.concat(this.chunks),
      },
    });
  }

  onResponseError(_: unknown, error: Error & { code?: unknown }): void {
    // The code only: a message may quote what it complains of.
    const code = typeof error.code === 'string' ? error.code : error.name;
    this.fail({
      reason: this.controller ? `the connection broke (${code})` : `could not connect (${code})`,
      blame: 'bank',
      isTimeout: code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT',
    });
  }

  private giveUp(failure: Omit<HttpFailure, 'isSent'>): void {
    if (this.isOver) return;
    this.fail(failure);
    // Its connection goes with it: the answer may still come, and must not be taken for another request's.
    this.controller?.abort(new Error(failure.reason));
  }

  private fail(failure: Omit<HttpFailure, 'isSent'>): void {
    this.settle({ failure: { ...failure, isSent: this.controller !== undefined } });
  }

  private settle(end: HttpEnd): void {
    if (this.isOver) return;
    this.isOver = true;
    clearTimeout(this.timer);
    this.resolve(end);
  }
}

function timeOut(request: BankRequest): void {
  request.timeOut();
}

/** A field that is there twice means nothing. */
function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
