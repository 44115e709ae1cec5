import type { KeyChange } from '../database-witness.js';
import { join } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I5, progress: within T after the last fault is healed every operation is finished, cancelled or parked, and parked
 * only where the faults of the run allow it. What never ended is shown with its whole row and its history.
 *
 * An operation that began after the healing has T from its own beginning.
 */
export function checkProgress(witnesses: Witnesses): Violation[] {
  const { database, run } = witnesses;
  const joined = join(witnesses);
  const found = new Findings('I5');
  const { endWithinMs, mayPark } = run.progress;

  for (const [owner, row] of joined.keys) {
    const history = joined.history.get(owner) ?? [];
    if (row.parkedBecause !== null) {
      const { parkedBecause } = row;
      if (!mayPark.some(reason => parkedBecause.startsWith(reason))) {
        found.add('nothing is parked that no fault of this run allows', owner, { row, history });
      }
    } else if (row.recoveryPoint !== 'finished' && row.recoveryPoint !== 'cancelled') {
      found.add('each operation ends', owner, { row, history });
    }
  }
  for (const payment of database.payments) {
    const row = joined.keys.get(joined.ownerOfEffect(payment));
    if (payment.status === 'pending' && row?.parkedBecause == null) {
      found.add('each payment ends', payment.id, { payment, row });
    }
  }
  for (const { owner, tookMs, history } of recoveries(witnesses)) {
    if (tookMs > endWithinMs) {
      found.add('each operation ends in time', owner, { tookMs, endWithinMs, history });
    }
  }
  return found.violations;
}

/** How long operations took: from being claimed to their end, and from the healing to it, if they outlasted that. */
export interface Progress {
  readonly endToEnd: Histogram;
  readonly afterHealing: Histogram;
}

/** The same, every single time, in milliseconds. `takenOver`: from claim to end of what was abandoned in between. */
export function progressTimes(witnesses: Witnesses) {
  const ends = [...recoveries(witnesses)];
  const wasTakenOver = ({ history }: Recovery) => history.some(({ epoch }) => epoch > 1);
  return {
    endToEnd: ends.map(({ endToEndMs }) => endToEndMs),
    takenOver: ends.filter(wasTakenOver).map(({ endToEndMs }) => endToEndMs),
    afterHealing: ends.filter(({ outlasted }) => outlasted).map(({ tookMs }) => tookMs),
  };
}

export interface Histogram {
  readonly count: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  /** How many took longer than the bound before, and at most this many milliseconds. */
  readonly atMost: Readonly<Record<string, number>>;
}

/** Doubling: fine where a customer waits for it, coarse where only the order of magnitude matters. */
const boundsMs = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, Infinity];

export function measureProgress(witnesses: Witnesses): Progress {
  const ends = [...recoveries(witnesses)];
  return {
    endToEnd: histogram(ends.map(({ endToEndMs }) => endToEndMs)),
    afterHealing: histogram(ends.filter(({ outlasted }) => outlasted).map(({ tookMs }) => tookMs)),
  };
}

interface Recovery {
  readonly owner: string;
  readonly history: readonly KeyChange[];
  readonly endToEndMs: number;
  /** From the healing, or from its own beginning if that came later. */
  readonly tookMs: number;
  readonly outlasted: boolean;
}

/** Of each key that has ended, by the database's clock. */
function* recoveries(witnesses: Witnesses): Generator<Recovery> {
  const { healedAt } = witnesses.run.progress;
  for (const [owner, history] of join(witnesses).history) {
    const [first] = history;
    const end = history.find(isEnd);
    if (!first || !end || first.change !== 'INSERT') continue;
    const countsFrom = Math.max(first.at, healedAt ?? -Infinity);
    yield {
      owner,
      history,
      endToEndMs: end.at - first.at,
      tookMs: end.at - countsFrom,
      outlasted: healedAt !== null && first.at <= healedAt && end.at > healedAt,
    };
  }
}

function isEnd({ change, recoveryPoint, parkedBecause }: KeyChange): boolean {
  if (change === 'DELETE') return false;
  return recoveryPoint === 'finished' || recoveryPoint === 'cancelled' || parkedBecause !== null;
}

function histogram(times: number[]): Histogram {
  const sorted = Float64Array.from(times).sort();
  const atMost: Record<string, number> = {};
  let counted = 0;
  for (const bound of boundsMs) {
    const from = counted;
    while (counted < sorted.length && (sorted[counted] ?? 0) <= bound) counted += 1;
    if (counted > from) atMost[String(bound)] = counted - from;
  }
  const share = (part: number) => sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
  return { count: sorted.length, p50: share(0.5), p99: share(0.99), worst: sorted.at(-1) ?? 0, atMost };
}
