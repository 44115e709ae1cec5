import type { ActResult } from '../act.js';
import { countFaults } from '../what-is-a-fault.js';
import { number, seconds, type Proof } from '../proof.js';
import type { Invariant } from '../violation.js';
import type { Evidence } from './evidence.js';
import { quantile } from './histogram.js';

/** One line of what the design aims at. `undefined`: the run did not have the part that measures it. */
export interface Goal {
  readonly measure: string;
  readonly gate: string;
  readonly long: string;
  readonly measured: (evidence: Evidence) => string | undefined;
}

/** Sums what an act has counted under the names that fit. */
function counted(act: string, name: RegExp) {
  return ({ proof }: Evidence): string | undefined => {
    const result = find(proof, act);
    if (!result) return undefined;
    const sum = Object.entries(result.counts).reduce(
      (total, [of, times]) => total + (name.test(of) ? times : 0),
      0,
    );
    return number(sum);
  };
}

function timed(act: string, name: RegExp, part: number) {
  return ({ proof }: Evidence) => atMost(timesIn(find(proof, act), name), part);
}

/** The time that so large a part of them does not exceed. */
function atMost(times: readonly number[], part: number): string | undefined {
  return times.length === 0 ? undefined : `${seconds(quantile(times, part))}, ${number(times.length)} timed`;
}

function summed(of: (result: ActResult) => number) {
  return ({ proof }: Evidence): string =>
    number(proof.results.reduce((total, result) => total + of(result), 0));
}

/** In the order in which they are told: charged twice, lost, declined falsely, drifting, answered otherwise. */
const harms: readonly Invariant[] = ['I1', 'I2', 'I6', 'I4', 'I3'];

const oneOfEach = (value: string) => ({ gate: value, long: value });

/** The table of the design, with its numbers. Not in it: what other commands measure, and their pages tell. */
export const goals: readonly Goal[] = [
  {
    measure: 'Kills at a known point: of an API, of a completer, of an API in the bank’s matrix',
    gate: '300',
    long: '3,000',
    measured: evidence => {
      const [apis, completers] = ['request', 'completer'].map(holder =>
        counted('kill points', new RegExp(`^kill of a ${holder}$`))(evidence),
      );
      const inMatrix = counted('bank matrix', /^APIs killed$/)(evidence);
      return apis && `${apis}, ${completers ?? '0'}, ${inMatrix ?? '–'}`;
    },
  },
  {
    measure: 'API kills at a random instant',
    gate: '200',
    long: '700',
    measured: counted('random faults', /^seen: APIs killed at a random instant$/),
  },
  {
    measure: 'PostgreSQL kills, all of its processes',
    gate: '100',
    long: '1,000',
    measured: counted('postgres kills', /^F22/),
  },
  {
    measure: 'Requests under faults',
    gate: '20,000',
    long: '300,000',
    measured: summed(({ requests }) => requests),
  },
  {
    measure: 'Faults in all',
    gate: '5,000',
    long: '100,000',
    measured: summed(countFaults),
  },
  {
    measure: 'Time with a fault active, random part',
    ...oneOfEach('80 %'),
    measured: evidence => {
      const percent = counted('random faults', /^seen: percent of the time/)(evidence);
      return percent && `${percent} %`;
    },
  },
  {
    measure: 'Lost COMMITs, half each way',
    gate: '500',
    long: '5,000',
    measured: counted('lost commits', /^COMMIT of .* lost/),
  },
  {
    measure: 'Races of 100 requests for one key',
    gate: '100',
    long: '1,000',
    measured: counted('races', /^races$/),
  },
  {
    measure: 'Pairs of a bank’s fault and a kill point',
    gate: 'each once',
    long: 'each 50 times',
    measured: counted('bank matrix', /^pairs$/),
  },
  {
    measure: 'Charged twice / lost / falsely declined / money drift / other answer',
    ...oneOfEach('0 / 0 / 0 / 0 / 0'),
    measured: ({ proof }) => {
      const found = harms.map(harm => countViolations(proof, harm));
      const operations = proof.results.reduce((sum, result) => sum + result.operations, 0);
      const bound = found.every(harm => harm === 0) && operations >= 3;
      const times = found.map(number).join(' / ');
      return bound ? `${times}, each at most 1 in ${number(Math.floor(operations / 3))}` : times;
    },
  },
  {
    measure: 'What happened too seldom (I15)',
    ...oneOfEach('0'),
    measured: ({ proof }) => number(countViolations(proof, 'I15')),
  },
  {
    measure: 'From healing to the end of every key: p99, longest',
    gate: '≤ 15 s',
    long: 'published',
    measured: ({ proof }) => {
      const times = proof.results.flatMap(result => timesIn(result, /^healing to the end$/));
      const longest = atMost(times, 1);
      return longest && `${seconds(quantile(times, 0.99))}, ${longest}`;
    },
  },
  {
    measure: 'First success after a PostgreSQL kill, p99',
    gate: '≤ 1 s',
    long: 'histogram',
    measured: timed('postgres kills', /^F22.*first payment/, 0.99),
  },
  {
    measure: 'Rolling restarts, calls that failed',
    gate: '20, 0',
    long: '200, 0',
    measured: evidence => {
      const restarts = counted('rolling restarts', /^rolling restarts$/)(evidence);
      return (
        restarts &&
        `${restarts}, ${counted('rolling restarts', /^client calls that failed$/)(evidence) ?? '0'}`
      );
    },
  },
  {
    measure: 'Drain after an outage of the bank',
    gate: '≤ 30 s',
    long: 'published',
    measured: timed('bank outage', /^drain$/, 1),
  },
  {
    measure: 'Soak: growth of memory in ten minutes; finished keys at first, at last',
    gate: '–',
    long: '< 1 %; as many',
    measured: evidence => {
      const seen = find(evidence.proof, 'random faults')?.counts ?? {};
      const [grown, first, last] = [
        'largest growth of a memory in ten minutes, in thousandths',
        'finished keys in its first third',
        'finished keys in its last third',
      ].map(what => seen[`seen: soak, ${what}`]);
      return grown === undefined
        ? undefined
        : `${(grown / 10).toFixed(1)} %; ${number(first ?? 0)}, ${number(last ?? 0)}`;
    },
  },
  {
    measure: 'Mutations caught',
    ...oneOfEach('all'),
    measured: ({ mutations }) => {
      if (!mutations) return undefined;
      const all = Object.values(mutations);
      return `${all.filter(({ caughtBy }) => caughtBy.length > 0).length} of ${all.length}`;
    },
  },
];

/** Acts are named with blanks here and with hyphens there. */
export function find({ results }: Proof, name: string): ActResult | undefined {
  const spelled = (text: string) => text.replaceAll('-', ' ');
  return results.find(result => spelled(result.name) === spelled(name));
}

export function countViolations({ results }: Proof, invariant: Invariant): number {
  return results.flatMap(({ violations }) => violations).filter(each => each.invariant === invariant).length;
}

function timesIn(result: ActResult | undefined, name: RegExp): readonly number[] {
  return Object.entries(result?.timesMs ?? {}).flatMap(([what, times]) => (name.test(what) ? times : []));
}
