import type { ResourceSample } from './run-record.js';
import type { Violation } from './violation.js';

/** A figure that was read again and again. `at`: milliseconds, from whenever. */
export interface Point {
  readonly at: number;
  readonly value: number;
}

const tenMinutesMs = 600_000;

/** What memory may grow by in ten minutes under steady load, as a part of itself. */
const growthMax = 0.01;

/** Below this many points, or this long, noise is larger than what is looked for. */
const enough = { points: 100, lengthMs: tenMinutesMs };

/**
 * How much it grows in ten minutes, as a part of its mean: the slope of the straight line that fits best. `undefined`:
 * there is too little of it to say.
 */
export function growthPerTenMinutes(points: readonly Point[]): number | undefined {
  const [first, last] = [points[0], points.at(-1)];
  if (!first || !last || points.length < enough.points || last.at - first.at < enough.lengthMs)
    return undefined;
  const at = mean(points.map(point => point.at));
  const value = mean(points.map(point => point.value));
  let [together, alone] = [0, 0];
  for (const point of points) {
    together += (point.at - at) * (point.value - value);
    alone += (point.at - at) ** 2;
  }
  return ((together / alone) * tenMinutesMs) / value;
}

/** I11 over time: memory that grows though the load is steady, and nobody is killed. */
export function checkMemorySlope(samples: readonly ResourceSample[]): Violation[] {
  return growths(samples).flatMap(({ process, growth, some }): Violation[] => {
    if (growth <= growthMax) return [];
    const evidence = { growth, growthMax, rssMibByTenth: tenthsOf(some) };
    return [{ invariant: 'I11', about: process, what: 'memory does not grow under a steady load', evidence }];
  });
}

/**
 * The rows of finished keys come and go at the same rate. Judged by the medians of the first third and the last: their
 * number rises and falls with each visit of the reaper. What was cancelled or parked stays on purpose, and is not in it;
 * nor is what was recognised by a fingerprint, for as long as its window is open.
 */
export function checkTableIsFlat(rows: readonly Point[]): Violation[] {
  const ends = endsOf(rows);
  if (!ends || ends.last <= 1.5 * ends.first + 100) return [];
  const evidence = { ...ends, looks: rows.length };
  return [{ invariant: 'I11', about: 'idempotency_keys', what: 'finished keys do not pile up', evidence }];
}

/** Both slopes as counts of an act, for whoever wants more than that nothing was found. Thousandths, since counts are whole. */
export function countSlopes(
  samples: readonly ResourceSample[],
  rows: readonly Point[],
): Record<string, number> {
  const grown = growths(samples).map(({ growth }) => growth);
  const ends = endsOf(rows);
  return {
    ...(grown.length > 0 && {
      'seen: soak, largest growth of a memory in ten minutes, in thousandths': Math.round(
        1_000 * Math.max(...grown),
      ),
    }),
    ...(ends && {
      'seen: soak, finished keys in its first third': ends.first,
      'seen: soak, finished keys in its last third': ends.last,
    }),
  };
}

function growths(samples: readonly ResourceSample[]) {
  return [...Map.groupBy(samples, ({ process }) => process)].flatMap(([process, some]) => {
    const growth = growthPerTenMinutes(some.map(({ at, rssBytes }) => ({ at, value: rssBytes })));
    return growth === undefined ? [] : [{ process, growth, some }];
  });
}

/** Its course, for whoever asks whether it climbs, jumps or levels off: the median of each tenth of the time. */
function tenthsOf(samples: readonly ResourceSample[]): number[] {
  return Array.from({ length: 10 }, (_, nth) => {
    const [from, to] = [nth, nth + 1].map(each => Math.floor((each * samples.length) / 10));
    const some = samples.slice(from, to).map(({ at, rssBytes }) => ({ at, value: rssBytes }));
    return Math.round(median(some) / 2 ** 20);
  });
}

/** The medians of the first third and the last. `undefined`: there is too little of it to say. */
function endsOf(rows: readonly Point[]): { first: number; last: number } | undefined {
  const third = Math.floor(rows.length / 3);
  if (third < 10) return undefined;
  return { first: median(rows.slice(0, third)), last: median(rows.slice(-third)) };
}

function median(points: readonly Point[]): number {
  const sorted = points.map(({ value }) => value).sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
