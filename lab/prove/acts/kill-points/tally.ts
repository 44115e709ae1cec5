import type { Invariant, Violation } from '../../violation.js';

/** What an act has counted, timed and found so far. */
export class Tally {
  readonly counts: Record<string, number> = {};
  readonly timesMs: Record<string, number[]> = {};
  readonly violations: Violation[] = [];

  count(what: string, times = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + times;
  }

  time(what: string, ms: number): void {
    (this.timesMs[what] ??= []).push(Math.round(ms));
  }

  found(invariant: Invariant, what: string, about: string, evidence: object): void {
    this.violations.push({ invariant, what, about, evidence });
  }
}
