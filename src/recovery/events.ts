import { channel } from 'node:diagnostics_channel';

/**
 * What the workers did, said after every run. Metrics and logs listen; the workers know neither.
 *
 * The channel tells of each run either what it did or the `error` that ended it. An error is no reason to act at
 * once: the worker rests and tries again. A difference is one.
 */
export const recoveryEvents = channel('paysam.recovery');

export type WorkerName = 'completer' | 'reaper' | 'reconciler';

export type RecoveryEvent = RunDone | RunFailed;

export type RunDone =
  | ({ readonly worker: 'completer' } & Completed)
  | ({ readonly worker: 'reaper' } & Reaped)
  | ({ readonly worker: 'reconciler' } & Reconciled);

export interface RunFailed {
  readonly worker: WorkerName;
  readonly error: unknown;
}

/** What became of the operations that a run of the completer took over. */
export interface Completed {
  readonly takenOver: number;
  readonly finished: number;
  /** Left for later: the bank could not say yet. */
  readonly postponed: number;
  /** Left for a person. */
  readonly parked: number;
  /** Somebody else took them over, or the database went away. */
  readonly lost: number;
}

/** What a run of the reaper did. */
export interface Reaped {
  /** Keys whose stored answers were deleted. */
  readonly reaped: number;
}

/** What a run of the reconciler found. */
export interface Reconciled {
  /** Bookings of the bank that were not known here before. */
  readonly copied: number;
  /** Our payments on rail bank, all of which were compared. */
  readonly payments: number;
  /** References on which the two sides differ, listed or not. It is to be 0. */
  readonly differencesFound: number;
  /** The first of them, 1,000 at most, in the order of their references. */
  readonly differences: readonly Difference[];
}

/**
 * - `unknown_to_bank`: we say that it succeeded, and the bank has charged nothing;
 * - `unknown_to_us`: the bank has booked something for which there is no bank payment here;
 * - `charged_twice`: there is more than one charge, returned or not;
 * - `returned_twice`: more was given back than taken;
 * - `amount_differs`: a booking is of another amount or currency than the payment;
 * - `charged_though_declined`, `charged_though_cancelled`: the bank keeps money that our caller believes to have;
 * - `returned_though_succeeded`: the bank has given back what our caller believes to have paid.
 */
export type DifferenceKind =
  | 'unknown_to_bank'
  | 'unknown_to_us'
  | 'charged_twice'
  | 'returned_twice'
  | 'amount_differs'
  | 'charged_though_declined'
  | 'charged_though_cancelled'
  | 'returned_though_succeeded';

/** One reference on which our books and the bank's do not agree. Where several kinds apply, the first in order. */
export interface Difference {
  readonly kind: DifferenceKind;
  /** What the bank calls it: the payment's id, where the payment is ours. */
  readonly reference: string;
  readonly ours: null | { readonly amount: bigint; readonly currency: string; readonly status: string };
  readonly theirs: null | {
    /** Charges less returns, in minor units. */
    readonly amount: bigint;
    /** Where the bookings are in several, the first and the last in the alphabet: `EUR/GBP`. */
    readonly currency: string;
    readonly charges: number;
    readonly returns: number;
  };
}

export function publish(event: RecoveryEvent): void {
  recoveryEvents.publish(event);
}
