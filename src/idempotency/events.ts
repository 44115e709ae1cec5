import { channel } from 'node:diagnostics_channel';
import type { Attempt, Held, Outcome, RecoveryPoint } from './operation.js';

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
 *
 * And around it:
 * - `call_begins`: what came before is committed, the other company is about to be asked;
 * - `call_ended`: its answer is in memory, and recorded nowhere;
 * - `taken_over`: an abandoned operation has a new holder, with a higher epoch;
 * - `fenced`: somebody took over meanwhile: nothing was written;
 * - `postponed`, `parked`, `cancelled`: committed, with the reason; `parked` is for a person to look at;
 * - `stranded`: its holder could not go on (the error says why); its lease will run out, and somebody takes over;
 * - `answered`: what the caller is told, `outcome` says which way; without one, `error` was thrown.
 */
export type EnginePoint =
  | 'boarding'
  | 'keys_claimed'
  | 'books_opened'
  | 'outcomes_recorded'
  | 'committed'
  | 'batch_repeated'
  | 'batch_split'
  | 'call_begins'
  | 'call_ended'
  | 'taken_over'
  | 'fenced'
  | 'postponed'
  | 'parked'
  | 'cancelled'
  | 'stranded'
  | 'answered';

/** Never the key itself: it is the caller's. */
export interface EngineEvent {
  readonly point: EnginePoint;
  readonly batchSize: number;
  readonly attempts: readonly AttemptSeen[];
  readonly error?: unknown;
  readonly reason?: string;
  readonly outcome?: Outcome['kind'];
}

/** `recoveryPoint` is the one the attempt had come to before; what is under way leads to the next. */
export interface AttemptSeen {
  readonly operation: string;
  readonly attemptId: string;
  readonly epoch: number;
  readonly recoveryPoint: RecoveryPoint;
}

export const engineEvents = channel('paysam.engine');

/** An attempt, and how far it has come: `held` is null for one that has not claimed its key yet. */
export interface Underway {
  readonly attempt: Attempt;
  readonly held: Pick<Held, 'epoch' | 'point'> | null;
}

export function publish(
  point: EnginePoint,
  underway: readonly Underway[],
  more: Pick<EngineEvent, 'error' | 'reason' | 'outcome'> = {},
): void {
  if (engineEvents.hasSubscribers) engineEvents.publish(new Event(point, underway, more));
}

/** Most listeners count, and look at no attempt: those are spelled out when somebody asks. */
class Event implements EngineEvent {
  readonly batchSize: number;
  readonly error?: unknown;
  readonly reason?: string;
  readonly outcome?: Outcome['kind'];

  constructor(
    readonly point: EnginePoint,
    private readonly underway: readonly Underway[],
    more: Pick<EngineEvent, 'error' | 'reason' | 'outcome'>,
  ) {
    this.batchSize = underway.length;
    Object.assign(this, more);
  }

  get attempts(): AttemptSeen[] {
    return this.underway.map(({ attempt, held }) => ({
      operation: attempt.operation.name,
      attemptId: attempt.id,
      epoch: held?.epoch ?? 1,
      recoveryPoint: held?.point ?? 'started',
    }));
  }
}
