import { AsyncLocalStorage } from 'node:async_hooks';
import { PaySam, type ClientEvent, type PaySamOptions } from '@pay-sam/client';
import { whyOf } from './fetch-sender.js';
import type { Ended, Listener } from './send.js';

/** Who is told of the attempts that some work makes, by key: to resume is to send under many keys. */
export interface Told {
  readonly listenerOf: (key: string | null) => Listener;
  /** A call was not tried again, although that might have helped. */
  readonly gaveUp?: () => void;
}

/** One attempt that is under way. */
interface Attempt {
  readonly listener: Listener;
  readonly exchange: string;
  response?: Response;
  text?: string;
  why?: string;
}

/** How a client's calls have ended, in its own words, and what became of those that it tried again. */
export type CallsEnded = Partial<Record<Extract<ClientEvent, { type: 'end' }>['outcome'], number>>;

/**
 * The published client, unchanged, with every attempt told before its first byte is sent and once its end is known.
 * `onEvent` says when that is; a `fetch` of its own keeps the answers, which the client does not show byte for byte.
 *
 * It rests on two things that the client does: it calls `fetch` in the same turn in which it tells of the attempt, and
 * it tells of the end before the call goes on. Should the first change, nothing is sent; should a log fail, neither.
 */
export class ToldClient {
  readonly client: PaySam;
  readonly ended: CallsEnded = {};
  private readonly told = new AsyncLocalStorage<Told>();
  private readonly attempts = new Map<number, Attempt>();
  private announced: Attempt | undefined;
  private turn = 0;

  /** @param urls of one service: it has several addresses, and is known by the first */
  constructor(
    private readonly urls: readonly string[],
    options: Omit<PaySamOptions, 'baseUrl' | 'fetch' | 'onEvent'>,
  ) {
    this.client = new PaySam({
      ...options,
      baseUrl: urls[0] ?? '',
      fetch: (input, init) => this.fetch(input as string, init),
      onEvent: event => {
        this.hear(event);
      },
    });
  }

  /** Whatever the work asks of the client is told. */
  run<Result>(told: Told, work: (client: PaySam) => Promise<Result>): Promise<Result> {
    return this.told.run(told, () => work(this.client));
  }

  private hear(event: ClientEvent): void {
    const attempt = this.attempts.get(event.call);
    switch (event.type) {
      case 'attempt': {
        const listener = this.told.getStore()?.listenerOf(event.idempotencyKey);
        if (!listener) return;
        this.announced = { listener, exchange: listener.begins() };
        this.attempts.set(event.call, this.announced);
        return;
      }
      case 'exchange':
        attempt?.listener.ends(attempt.exchange, endOf(attempt, event.exchange.kind));
        return;
      case 'give_up':
        this.told.getStore()?.gaveUp?.();
        return;
      case 'end':
        this.attempts.delete(event.call);
        if (event.attempts > 0) this.ended[event.outcome] = (this.ended[event.outcome] ?? 0) + 1;
        return;
      case 'wait':
        return;
    }
  }

  /** Each attempt to the next address. What is thrown, and what is answered, is what came. */
  private async fetch(url: string, init?: RequestInit): Promise<Response> {
    const attempt = this.announced;
    this.announced = undefined;
    if (!attempt) throw new Error('an attempt that is not in the log is not sent');
    const [first = ''] = this.urls;
    this.turn += 1;
    const address = this.urls[this.turn % this.urls.length] ?? first;
    try {
      const response = await fetch(address + url.slice(first.length), init);
      attempt.response = response;
      const read = response.text.bind(response);
      const text = async () => {
        try {
          return (attempt.text = await read());
        } catch (error) {
          attempt.why = whyOf(error);
          throw error;
        }
      };
      return Object.assign(response, { text });
    } catch (error) {
      attempt.why = whyOf(error);
      throw error;
    }
  }
}

/** A whole answer is one even where the client would not believe it: what was said was said. */
function endOf({ response, text, why }: Attempt, kind: string): Ended {
  if (!response || text === undefined) return { kind: 'silence', why: why ?? kind };
  return { kind: 'answered', status: response.status, headers: new Map(response.headers), text };
}
