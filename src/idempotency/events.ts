import { channel } from 'node:diagnostics_channel';
import type { Attempt } from './operation.js';

/**
 * What the engine does, said while it happens. Metrics, logs and traces listen; so do the tests that kill this
 * process at a chosen point. The engine knows none of them, and an event nobody listens to costs one `if`.
 *
 * Points, in the order of a transaction:
 * - `boarding`: a batch is about to begin its transaction; nothing is written yet;
 * - `keys_claimed`: the claims are inserted, the accounts are about to be locked;
 * - `books_opened`: the accounts are locked, nothing is decided;
 * - `outcomes_recorded`: everything is written, nothing committed;
 * - `committed`: it is true now, and nobody has been told;
 * - `batch_repeated`: the transaction failed in a way that is worth another try;
 * - `batch_split`: one attempt of it cannot work; the halves are tried apart.
 */
export type EnginePoint =
  | 'boarding'
  | 'keys_claimed'
  | 'books_opened'
  | 'outcomes_recorded'
  | 'committed'
  | 'batch_repeated'
  | 'batch_split';

/** Never the key itself: it is the caller's. */
export interface EngineEvent {
  readonly point: EnginePoint;
  readonly batchSize: number;
  readonly attempts: readonly { readonly operation: string; readonly attemptId: string }[];
  readonly error?: unknown;
}

export const engineEvents = channel('paysam.engine');

export function publish(point: EnginePoint, attempts: readonly Attempt[], error?: unknown): void {
  if (!engineEvents.hasSubscribers) return;
  engineEvents.publish({
    point,
    batchSize: attempts.length,
    attempts: attempts.map(({ id, operation }) => ({ operation: operation.name, attemptId: id })),
    ...(error === undefined ? {} : { error }),
  } satisfies EngineEvent);
}
