import { join } from '../joined.js';
import { measures } from '../run-record.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I11, bounded: connections, memory, sockets, waiters and attempts stay within their settings, also in the middle of
 * the worst, and nothing is left behind once all is quiet.
 */
export function checkBounded(witnesses: Witnesses): Violation[] {
  const { attemptsMax, bounds, leaks, samples } = witnesses.run.resources;
  const found = new Findings('I11');

  // The worst of each process and measure, so that a leak over an hour is one violation, not ten thousand.
  const worst = new Map<string, { value: number; bound: number; at: number }>();
  for (const sample of samples) {
    const bound = bounds[sample.process] ?? bounds[sample.process.replace(/-\d+$/, '')] ?? {};
    for (const measure of measures) {
      const [value, most] = [sample[measure] ?? 0, bound[measure] ?? Infinity];
      const name = `${measure} of ${sample.process}`;
      if (value > most && value > (worst.get(name)?.value ?? 0)) {
        worst.set(name, { value, bound: most, at: sample.at });
      }
    }
  }
  for (const [name, evidence] of worst) found.add('each process stays within its bounds', name, evidence);

  for (const [owner, row] of join(witnesses).keys) {
    if (row.attempts > attemptsMax) found.add('attempts are bounded', owner, { row, attemptsMax });
  }
  for (const leak of leaks) found.add('nothing is left behind', leak, { leak });
  return found.violations;
}
