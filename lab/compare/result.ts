import type { Machine } from '../../bench/machine.js';
import type { FaultName } from './fault-name.js';
import { harms, isHarmless, type Harm, type Verdict } from './judge.js';
import type { Entry } from './roster.js';
import type { Load, Speed } from './speed.js';

/** What came of one design. */
export interface DesignResult {
  name: string;
  /** Of the package that is compared; null: it is ours. */
  version: string | null;
  verdicts: Partial<Record<FaultName, Verdict>>;
  /** One for each round; none: it was not measured. */
  speeds: Speed[];
}

export interface CompareResult {
  at: string;
  machine: Machine;
  database: Record<string, string>;
  /** null: nobody used one. */
  redis: string | null;
  load: Load & { rounds: number };
  designs: DesignResult[];
  leftOut: { name: string; reason: string }[];
}

/** How often each harm came of all faults together. */
export function totals({ verdicts }: DesignResult): Verdict {
  const each = Object.values(verdicts);
  const sum = (harm: Harm) => each.reduce((total, verdict) => total + verdict[harm], 0);
  return Object.fromEntries(harms.map(harm => [harm, sum(harm)])) as Verdict;
}

/** What must not be: harm done by our own, or a wrong turn that no longer shows what it is here to show. */
export function complaints(designs: readonly DesignResult[], entries: readonly Entry[]): string[] {
  return designs.flatMap(({ name, verdicts }) => {
    const entry = entries.find(each => each.name === name);
    if (entry?.shows) {
      const { fault, harm } = entry.shows;
      const verdict = verdicts[fault];
      return verdict && verdict[harm] === 0 ? [`${name} no longer shows "${harm}" at ${fault}.`] : [];
    }
    if (!entry?.isReal) return [];
    return Object.entries(verdicts)
      .filter(([, verdict]) => !isHarmless(verdict))
      .map(([fault, verdict]) => `${name} has come to harm at ${fault}: ${JSON.stringify(verdict)}.`);
  });
}
