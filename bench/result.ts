import type { Machine } from './machine.js';
import type { Measurement, ServerName } from './measure.js';

/** What is asked of a server. Each is measured on a database that holds the same rows at the start. */
export type Situation = 'spread' | 'sam' | 'replays' | 'alone' | 'million keys';

/** A run of the benchmark, complete: what is printed, and written as JSON and Markdown, comes from here. */
export interface BenchResult {
  at: string;
  machine: Machine;
  database: Record<string, string>;
  plan: { seconds: number; warmUpSeconds: number; rounds: number; connections: number };
  cases: CaseResult[];
  ratios: Ratio[];
}

/** One server in one situation, once a round. */
export interface CaseResult {
  situation: Situation;
  server: ServerName;
  figures: Record<FigureName, Figure | null>;
  lost: number;
  doubled: number;
  moneyAstray: number;
  errors: Record<string, number>;
  rounds: Measurement[];
}

/** Over the rounds of a run. */
export interface Figure {
  median: number;
  min: number;
  max: number;
}

const readings = {
  perSecond: (m: Measurement) => m.perSecond,
  p50Ms: (m: Measurement) => m.p50Ms,
  p99Ms: (m: Measurement) => m.p99Ms,
  apiCpuSeconds: (m: Measurement) => m.apiCpuSeconds,
  /** Microseconds of CPU for one answer. */
  apiCpuUs: (m: Measurement) => each(m.apiCpuSeconds, m.answers),
  databaseCpuUs: (m: Measurement) => each(m.databaseCpuSeconds, m.answers),
  cpuUs: (m: Measurement) =>
    each(
      m.apiCpuSeconds === null || m.databaseCpuSeconds === null
        ? null
        : m.apiCpuSeconds + m.databaseCpuSeconds,
      m.answers,
    ),
  walBytes: (m: Measurement) => m.walBytes / m.answers,
  peakMemoryMib: (m: Measurement) => m.peakMemoryMib,
};
export type FigureName = keyof typeof readings;

function each(seconds: number | null, answers: number): number | null {
  return seconds === null ? null : (seconds * 1e6) / answers;
}

export function summarise(situation: Situation, server: ServerName, rounds: Measurement[]): CaseResult {
  const errors: Record<string, number> = {};
  for (const [kind, count] of rounds.flatMap(round => Object.entries(round.errors))) {
    errors[kind] = (errors[kind] ?? 0) + count;
  }
  const total = (name: 'lost' | 'doubled' | 'moneyAstray') =>
    rounds.reduce((sum, round) => sum + round.audit[name], 0);
  return {
    situation,
    server,
    figures: Object.fromEntries(
      Object.entries(readings).map(([name, read]) => [name, figure(rounds.map(read))]),
    ) as CaseResult['figures'],
    lost: total('lost'),
    doubled: total('doubled'),
    moneyAstray: total('moneyAstray'),
    errors,
    rounds,
  };
}

function figure(values: (number | null)[]): Figure | null {
  const sorted = values.filter(value => value !== null).sort((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) return null;
  const middle = sorted.length / 2;
  const median = ((sorted[Math.ceil(middle) - 1] ?? min) + (sorted[Math.floor(middle)] ?? max)) / 2;
  return { median, min, max };
}

/** One of the figures this project set out to reach. Whether it was is reported; a run never fails on it. */
export interface Ratio {
  title: string;
  figure: Figure;
  target: string;
  reached: boolean;
}

/** Ratios are taken within each round, so that what slows the machine for a while slows both sides. */
export function ratios(cases: readonly CaseResult[]): Ratio[] {
  const of = (name: FigureName, situation: Situation, server: ServerName): (number | null)[] => {
    const found = cases.find(each => each.situation === situation && each.server === server);
    return found?.rounds.map(readings[name]) ?? [];
  };
  const by = (dividends: (number | null)[], divisors: (number | null)[]): Figure | null =>
    figure(
      dividends.map((dividend, round) => {
        const divisor = divisors[round];
        return dividend === null || divisor === null || divisor === undefined ? null : dividend / divisor;
      }),
    );
  const wanted: [title: string, figure: Figure | null, target: '≥' | '≤', bound: number, unit?: string][] = [
    [
      'new payments, spread: throughput of ours ÷ naive',
      by(of('perSecond', 'spread', 'ours'), of('perSecond', 'spread', 'naive')),
      '≥',
      3,
    ],
    [
      'new payments, all to Sam: throughput of ours ÷ naive',
      by(of('perSecond', 'sam', 'ours'), of('perSecond', 'sam', 'naive')),
      '≥',
      5,
    ],
    [
      'spread: p99 of ours ÷ naive',
      by(of('p99Ms', 'spread', 'ours'), of('p99Ms', 'spread', 'naive')),
      '≤',
      1,
    ],
    ['all to Sam: p99 of ours ÷ naive', by(of('p99Ms', 'sam', 'ours'), of('p99Ms', 'sam', 'naive')), '≤', 1],
    [
      'replays ÷ bare route: throughput',
      by(of('perSecond', 'replays', 'ours'), of('perSecond', 'spread', 'bare')),
      '≥',
      0.8,
    ],
    [
      'a lone client: p50 of ours ÷ naive',
      by(of('p50Ms', 'alone', 'ours'), of('p50Ms', 'alone', 'naive')),
      '≤',
      1.3,
    ],
    [
      'growth: CPU for a payment, API and database, at 1 million keys ÷ at 10 thousand',
      by(of('cpuUs', 'million keys', 'ours'), of('cpuUs', 'spread', 'ours')),
      '≤',
      1.2,
    ],
    [
      'growth: throughput at 10 thousand keys ÷ at 1 million',
      by(of('perSecond', 'spread', 'ours'), of('perSecond', 'million keys', 'ours')),
      '≤',
      1.2,
    ],
    ['peak memory of the API, ours, in its worst situation', figure(worstPeaks(cases)), '≤', 250, ' MiB'],
  ];
  return wanted.flatMap(([title, figure, relation, bound, unit = ' ×']) => {
    if (!figure) return [];
    const reached = relation === '≥' ? figure.median >= bound : figure.median <= bound;
    return [{ title, figure, target: `${relation} ${bound}${unit}`, reached }];
  });
}

/** The largest of each round, where every situation tells it. */
function worstPeaks(cases: readonly CaseResult[]): (number | null)[] {
  const ours = cases.filter(({ server }) => server === 'ours');
  const rounds = ours[0]?.rounds ?? [];
  return rounds.map((_, round) => {
    const peaks = ours.map(each => each.rounds[round]?.peakMemoryMib ?? null);
    return peaks.includes(null) ? null : Math.max(...peaks.filter(peak => peak !== null));
  });
}

/** What no run may show: rows lost or doubled, money astray, requests answered with an error. */
export function failures({ cases }: BenchResult): string[] {
  return cases.flatMap(({ situation, server, lost, doubled, moneyAstray, errors }) => {
    const counts = { lost, doubled, 'minor units astray': moneyAstray, ...errors };
    return Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => `${situation}, ${server}: ${count} ${kind}`);
  });
}
