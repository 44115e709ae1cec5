import type { Asked } from './driver-log.js';

/** What is to be sent, the same on every attempt: the key above all. */
export interface Request {
  readonly apiKey: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  /** `null`: the customer cannot send any. */
  readonly key: string | null;
  readonly asked: Asked;
  /** JSON, spelled as it is to be sent. */
  readonly body?: string;
  readonly prefer?: string;
  /** No client would send this, so none is asked to: somebody else's key, say. */
  readonly byHand?: true;
}

/** How one attempt ended: a whole answer arrived, or it did not. */
export type Ended =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: ReadonlyMap<string, string>;
      readonly text: string;
    }
  /** `ECONNREFUSED` says that certainly nothing was sent. Any other words say nothing about the payment. */
  | { readonly kind: 'silence'; readonly why: string };

/** Told of each attempt as it is made, so that it is in the log before the first byte is sent. */
export interface Listener {
  /** @returns the number by which its end is to be reported */
  readonly begins: () => string;
  readonly ends: (exchange: string, end: Ended) => void;
}

/**
 * All that a driver knows of HTTP. Behind it is a plain `fetch` with the retries of a patient caller (fetch-sender.ts),
 * or the published client: its `onEvent` tells of attempts in the same two steps.
 */
export interface Sender {
  /**
   * Sends, and sends again under the same key, for as long as the answers say that this helps.
   *
   * @returns the last word, or `null` once `signal` is aborted: then nobody knows
   */
  readonly send: (request: Request, listener: Listener, signal: AbortSignal) => Promise<Ended | null>;
  /** The run ends: whoever was told to come back in half a minute comes now. */
  readonly hurry?: () => void;
}
