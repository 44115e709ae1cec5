import type { Violation } from './violation.js';

/** What the harness measured while the run went on, and what it wanted to see. */
export interface RunRecord {
  readonly progress: ProgressAsked;
  readonly money: MoneyWatched;
  readonly resources: ResourcesWatched;
  readonly coverage: Coverage;
}

/** For I5. */
export interface ProgressAsked {
  /** When the last fault was healed: epoch milliseconds by the database's clock. `null`: there was none. */
  readonly healedAt: number | null;
  /** T: milliseconds after that in which each operation has to end. */
  readonly endWithinMs: number;
  /** How the reasons begin for which the faults of this run allow an operation to be parked. */
  readonly mayPark: readonly string[];
}

/** For I4: what was seen while the faults were on. */
export interface MoneyWatched {
  readonly reads: number;
  /** The longest time between two looks, in milliseconds: what went wrong and right again within it was not seen. */
  readonly longestGapMs: number;
  readonly violations: readonly Violation[];
}

/** For I11. */
export interface ResourcesWatched {
  readonly samples: readonly ResourceSample[];
  /** By process, or by the beginning of its name. */
  readonly bounds: Readonly<Record<string, ResourceBounds>>;
  /** No operation is taken up more often. */
  readonly attemptsMax: number;
  /** What was left behind once all was quiet, each in a sentence. */
  readonly leaks: readonly string[];
}

export interface ResourceSample {
  /** Milliseconds by the machine's monotonic clock. */
  readonly at: number;
  readonly process: string;
  readonly rssBytes: number;
  readonly sockets: number;
  /** As PostgreSQL counts them. */
  readonly connections: number;
  /** Attempts that wait for a transaction, where the process tells. */
  readonly waiting?: number;
}

/** What no sample may exceed. */
export type ResourceBounds = Readonly<Partial<Record<Measure, number>>>;

export const measures = ['rssBytes', 'sockets', 'connections', 'waiting'] as const;
export type Measure = (typeof measures)[number];

/** For I15: how often each thing was seen that the run is about, and how often it should have been. */
export interface Coverage {
  readonly seen: Readonly<Record<string, number>>;
  readonly wanted: Readonly<Record<string, number>>;
  /** Successful operations that make a run worth looking at, and their share of all, between 0 and 1. */
  readonly succeededMin: number;
  readonly shareSucceededMin: number;
}
