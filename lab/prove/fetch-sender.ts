import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './random.js';
import type { Ended, Listener, Request, Sender } from './send.js';
import { Turns } from './turns.js';

/** Longer than any answer may take: a caller is kept waiting for 10 s, or as long as it asked, at most 5 s here. */
const attemptTimeoutMs = 15_000;

/** The first wait after a silence; it doubles to the second, and is drawn between nothing and itself (full jitter). */
const backoffMs = { first: 20, most: 1_000 };

/** How long is waited at most once the run ends, in milliseconds. */
const lastWaitMs = 1_000;

/**
 * A caller that does what the answers say, and nothing else: the same request with the same key, to one API and then
 * the next, until an answer says that another try would not help.
 */
export class FetchSender implements Sender {
  private turn = 0;
  private readonly ending = new AbortController();

  /**
   * @param haste what part of the time that `Retry-After` asks for is waited: 1 is a well-behaved caller. One who waits
   *   longer than that does so after a silence, too
   * @param turns how many are sent at once, by all senders that share them
   */
  constructor(
    private readonly urls: readonly string[],
    private readonly random: Random,
    private readonly haste: () => number = () => 1,
    private readonly turns = new Turns(Infinity),
  ) {}

  async send(request: Request, listener: Listener, signal: AbortSignal): Promise<Ended | null> {
    const haste = this.haste();
    for (let silences = 0; ;) {
      const end = await this.turns.take(() => this.exchange(request, listener, signal));
      if (end === null) return null;
      if (end.kind === 'silence') silences += 1;
      const waitMs = end.kind === 'silence' ? this.backoff(silences) : whenToComeBack(request, end);
      if (waitMs === null) return end;
      await this.rest(waitMs * (end.kind === 'silence' ? Math.max(1, haste) : haste), signal);
    }
  }

  /** Those who wait come now, and nobody waits for long any more. */
  hurry(): void {
    this.ending.abort();
  }

  private async rest(ms: number, signal: AbortSignal): Promise<void> {
    const isEnding = this.ending.signal.aborted;
    const until = isEnding ? signal : AbortSignal.any([signal, this.ending.signal]);
    await sleep(isEnding ? Math.min(ms, lastWaitMs) : ms, undefined, { signal: until }).catch(
      () => undefined,
    );
  }

  /** @returns `null`: by the time it was its turn, nobody wanted to know any more */
  private async exchange(request: Request, listener: Listener, signal: AbortSignal): Promise<Ended | null> {
    if (signal.aborted) return null;
    const exchange = listener.begins();
    const end = await this.attempt(request);
    listener.ends(exchange, end);
    return end;
  }

  private async attempt(request: Request): Promise<Ended> {
    const { apiKey, asked, body, key, method, path, prefer } = request;
    this.turn += 1;
    const url = this.urls[this.turn % this.urls.length] ?? '';
    try {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${apiKey}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...(key !== null && (asked === 'pay' || asked === 'refund') && { 'idempotency-key': `"${key}"` }),
          ...(prefer !== undefined && { prefer }),
        },
        ...(body !== undefined && { body }),
        signal: AbortSignal.timeout(attemptTimeoutMs),
      });
      // A body that is cut short is no answer: this throws then.
      const text = await response.text();
      return { kind: 'answered', status: response.status, headers: new Map(response.headers), text };
    } catch (error) {
      return { kind: 'silence', why: whyOf(error) };
    }
  }

  private backoff(silences: number): number {
    return this.random.next() * Math.min(backoffMs.first * 2 ** silences, backoffMs.most);
  }
}

/** Milliseconds; `null`: this was the last word. */
function whenToComeBack(request: Request, { headers, status }: Ended & { kind: 'answered' }): number | null {
  const isRetryable = status === 202 || headers.get('should-retry') === 'true';
  // Looking at something that is under way is no retry: whoever looks has seen it.
  if (!isRetryable || (status === 202 && request.method === 'GET')) return null;
  return Number(headers.get('retry-after') ?? '1') * 1_000;
}

/** The system's word for what went wrong: only `ECONNREFUSED` says that nothing was sent. */
export function whyOf(error: unknown): string {
  const { cause, name, message } = error as Error & { cause?: { code?: string } };
  return cause?.code ?? (name === 'TimeoutError' ? name : message);
}
