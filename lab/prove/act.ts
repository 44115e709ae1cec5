import type { Violation } from './violation.js';

/**
 * One part of a proof: a kind of fault, struck on purpose so many times, and judged. Each act runs in a world of its own,
 * so that what one of them found can be repeated alone.
 */
export interface Act {
  /** As `--act` takes it. */
  readonly name: string;
  /** What it does, in half a sentence. */
  readonly about: string;
  /** Most of its time somebody waits in it, so that another act can have the machine meanwhile. */
  readonly waits?: true;
  perform(stage: Stage): Promise<ActResult>;
}

export interface Stage {
  readonly seed: number;
  /** Which column of targets: of the gate, in minutes, or of the long run, in an hour and more. */
  readonly scale: 'gate' | 'long';
  /** How long the random part takes, where it was said; else `scale` says. */
  readonly minutes?: number;
  /** A folder of its own, for logs. Kept when something was found, else thrown away. */
  readonly folder: string;
  /** One line of progress. */
  readonly say: (line: string) => void;
}

/** What came of it. Figures only: the page that people read is made from these. */
export interface ActResult {
  readonly name: string;
  readonly violations: readonly Violation[];
  /** Intended payments and refunds, and requests sent for them. */
  readonly operations: number;
  readonly requests: number;
  /**
   * How often each thing happened: faults by the name they are counted under, fault points, kinds of answer. What is
   * no fault says so by its name; see what-is-a-fault.ts.
   */
  readonly counts: Readonly<Record<string, number>>;
  /** How often it had to happen, so that the act proves something: the same names. Fewer is a violation of I15. */
  readonly wanted: Readonly<Record<string, number>>;
  /** What was timed, in milliseconds, every single time: `claim to end after a kill`. */
  readonly timesMs: Readonly<Record<string, readonly number[]>>;
}
