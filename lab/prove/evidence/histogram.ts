import { largest, number, seconds } from '../proof.js';

/** Doubling, more or less: fine where a customer waits for it, coarse where only the order of magnitude matters. */
const boundsMs = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, Infinity];

/** The longest bar, in characters. */
const width = 40;

/** Bars of text, so that a page shows them anywhere: one line for each bound between the shortest and the longest. */
export function histogram(times: readonly number[]): string[] {
  const counts = boundsMs.map((bound, index) => {
    const above = boundsMs[index - 1] ?? -Infinity;
    return { bound, count: times.filter(time => time > above && time <= bound).length };
  });
  const some = counts.filter(({ count }) => count > 0);
  const [first, last] = [some[0], some.at(-1)];
  if (!first || !last) return [];
  const most = largest(counts.map(({ count }) => count));
  return counts.slice(counts.indexOf(first), counts.indexOf(last) + 1).map(({ bound, count }) => {
    // What happened is seen, however seldom.
    const bar = '█'.repeat(count === 0 ? 0 : Math.max(1, Math.round((count / most) * width)));
    const label = bound === Infinity ? 'longer' : `≤ ${seconds(bound).replace('.0', '')}`;
    return `${label.padStart(9)}  ${bar.padEnd(width)}  ${number(count)}`.trimEnd();
  });
}

/** The value that so large a part of them does not exceed. */
export function quantile(times: readonly number[], part: number): number {
  const sorted = Float64Array.from(times).sort();
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
}

/** `p50 17 ms, p99 4.0 s, longest 10.8 s`. */
export function inShort(times: readonly number[]): string {
  const of = (part: number) => seconds(quantile(times, part));
  return `${number(times.length)} timed: p50 ${of(0.5)}, p99 ${of(0.99)}, longest ${of(1)}`;
}
