import type { CallOptions, IntentOptions, PaySam, PaySamOptions } from '../src/client.js';

/** What a command works with. */
export interface Session {
  readonly client: PaySam;
  /** One like it, where it is told otherwise. What happens there is no part of the story. */
  readonly another: (options: Partial<PaySamOptions>) => PaySam;
  /** Of the service, as entries of the journal name it. */
  readonly address: string;
  /** Whether the journal has this key, from an earlier command. */
  isWrittenDown(key: string): Promise<boolean>;
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal;
  /** For a call that moves money: the caller's key, the time there is, the signal. */
  readonly intent: IntentOptions;
  /** For every other call. All calls of a command share its deadline. */
  call(): CallOptions;
  /** A line of the story. */
  say(text: string): void;
  /** Drawn over by the next; on a terminal only. */
  draw(text: string): void;
}
