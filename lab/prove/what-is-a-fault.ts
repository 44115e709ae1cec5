import type { ActResult } from './act.js';

/**
 * Which of an act's counts are things that were done to the product, each counted once. The others are what came of it,
 * what was planned, or the same again by another name.
 */
const faults: Readonly<Record<string, RegExp>> = {
  // A holder that stood still, or whose bank did, is not among the kills.
  'kill points': /^(kill of a \w+$|F(14|15|16|88) )/,
  'bank matrix': /^(kill at|bank F)/,
  'bank outage': /^bank F/,
  'postgres kills': /^F2\d /,
  'lost commits': /^(COMMIT of .* lost|F29)/,
  'database troubles': /^F\d+ (refused|silence|latency|disk full)/,
  'rolling restarts': /^rolling restarts$/,
  herd: /^(F\d+ |drivers killed$)/,
  'random faults': /^(?!answer |no answer|no line|replay|taken over|parked|seen: |planned: )/,
};

/** Elsewhere a fault has its number in the catalogue. */
const byNumber = /^F\d+/;

export function faultsIn({ counts, name }: Pick<ActResult, 'counts' | 'name'>): [string, number][] {
  const isFault = faults[name.replaceAll('-', ' ')] ?? byNumber;
  return Object.entries(counts).filter(([what]) => isFault.test(what));
}

/** How often an act did what a row of the catalogue is about, where it counts by the row's id: F04, K2p, bank F49. */
export function countOf(id: string, result: Pick<ActResult, 'counts' | 'name'>): number {
  const all = Object.entries(result.counts).filter(([what]) => what === id || isKillAt.test(what));
  const some = new Map([...all, ...faultsIn(result)]);
  const isOfRow = new RegExp(`^(kill of a \\w+ at |kill at |bank )?${id}[pq]?( |$)`);
  return [...some].reduce((sum, [what, times]) => sum + (isOfRow.test(what) ? times : 0), 0);
}

const isKillAt = /^kill of a \w+ at K/;

export function countFaults(result: Pick<ActResult, 'counts' | 'name'>): number {
  return faultsIn(result).reduce((sum, [, times]) => sum + times, 0);
}
