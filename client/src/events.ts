import type { Exchange } from './exchange.js';

/** Why a call is not tried again, although trying again might help. */
export type GaveUp = 'attempts' | 'deadline' | 'budget' | 'circuit_open' | 'aborted';

/** What happens in a call, as it happens. `call` is the same in all events of one call, and in no others. */
export type ClientEvent = { readonly call: number; readonly idempotencyKey: string | null } & (
  | { readonly type: 'attempt'; readonly attempt: number; readonly method: string; readonly path: string }
  | {
      readonly type: 'exchange';
      readonly attempt: number;
      readonly exchange: Exchange;
      readonly requestId: string | null;
      readonly replayed: boolean;
      readonly tookMs: number;
    }
  | {
      readonly type: 'wait';
      /** The attempt that comes after the wait. */
      readonly attempt: number;
      readonly waitMs: number;
      /** Whether the server named the time, or the backoff did. */
      readonly because: 'retry_after' | 'backoff';
    }
  | { readonly type: 'give_up'; readonly why: GaveUp; readonly attempts: number }
  | {
      readonly type: 'end';
      readonly outcome: 'answered' | 'refused' | 'unknown' | 'not_sent';
      readonly attempts: number;
    }
);
