import type { ActResult, Stage } from './act.js';
import type { Machine } from '../../bench/machine.js';
import { countFaults } from './what-is-a-fault.js';
import type { Violation } from './violation.js';

/** All that a run of acts brought to light, as `--json` writes it and the page is made from. */
export interface Proof {
  readonly at: string;
  readonly seed: number;
  readonly scale: Stage['scale'];
  readonly minutes: number | null;
  readonly machine: Machine;
  readonly postgres: string;
  readonly tookMs: number;
  readonly results: readonly ActResult[];
  /** Acts that came to no verdict, and why. */
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly act: string;
  readonly error: string;
}

export const exitCodes = { well: 0, broken: 1, harnessFailed: 2, stopped: 130 } as const;

/** What was found is a fact, whatever else failed; a harness that failed says nothing about the product. */
export function exitCodeOf({ failures, results }: Pick<Proof, 'failures' | 'results'>): number {
  if (results.some(({ violations }) => violations.length > 0)) return exitCodes.broken;
  return failures.length > 0 ? exitCodes.harnessFailed : exitCodes.well;
}

/** What an act did not do as often as it had to: without it a zero would say little. */
export function withVacuity(result: ActResult): ActResult {
  const missing = Object.entries(result.wanted).flatMap(([about, wanted]): Violation[] => {
    const seen = result.counts[about] ?? 0;
    if (seen >= wanted) return [];
    return [{ invariant: 'I15', about, what: 'what the act is about was seen', evidence: { seen, wanted } }];
  });
  return { ...result, violations: [...result.violations, ...missing] };
}

/**
 * With nothing found in n trials, the rate is below 3/n with 95 % confidence; a zero is never written alone. Where
 * something was found there is no such bound, and the number speaks.
 */
export function boundOf({ operations, violations }: Pick<ActResult, 'operations' | 'violations'>): string {
  if (violations.length > 0) return number(violations.length);
  return operations < 3 ? '0' : `0, at most 1 in ${number(Math.floor(operations / 3))}`;
}

export function worstOf({ timesMs }: Pick<ActResult, 'timesMs'>): { what: string; ms: number } | undefined {
  const worst = Object.entries(timesMs).map(([what, times]) => ({ what, ms: largest(times) }));
  return worst.filter(({ ms }) => ms >= 0).sort((one, other) => other.ms - one.ms)[0];
}

/** A table for a terminal or a pipe: one line for each act, and their sum where there are several. */
export function toText({ failures, results }: Pick<Proof, 'failures' | 'results'>): string {
  const sum = (of: (result: ActResult) => number) => results.reduce((total, result) => total + of(result), 0);
  const rows = results.map(result => {
    const worst = worstOf(result);
    return [
      result.name,
      number(result.operations),
      number(result.requests),
      number(countFaults(result)),
      boundOf(result),
      worst ? `${seconds(worst.ms)} ${worst.what}` : '–',
    ];
  });
  rows.push(...failures.map(({ act }) => [act, '–', '–', '–', 'no verdict', '–']));
  if (results.length > 1) {
    const all = {
      operations: sum(result => result.operations),
      violations: results.flatMap(result => result.violations),
    };
    const faults = number(sum(result => countFaults(result)));
    rows.push([
      'all',
      number(all.operations),
      number(sum(result => result.requests)),
      faults,
      boundOf(all),
      '',
    ]);
  }
  return aligned([['act', 'operations', 'requests', 'faults', 'violations (95 %)', 'longest'], ...rows]);
}

/** The same sentence counted once, with the first place where it was not true. */
export function tellViolations(violations: readonly Violation[]): string[] {
  const bySentence = Map.groupBy(violations, ({ invariant, what }) => `${invariant}: ${what}`);
  return [...bySentence].flatMap(([sentence, some]) => [
    `BROKEN ${sentence} (${number(some.length)} times), first at ${some[0]?.about ?? ''}:`,
    `  ${JSON.stringify(some[0]?.evidence).slice(0, 1_500)}`,
  ]);
}

export function number(value: number): string {
  return value.toLocaleString('en-GB');
}

export function seconds(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** Not `Math.max(...times)`: there may be more of them than a call takes. */
export function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -1);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const isText = (column: number) => column === 0 || column >= 4;
  return rows
    .map(row =>
      row
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return isText(column) ? cell.padEnd(width) : cell.padStart(width);
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
