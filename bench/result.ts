import type { RecoveryName, Situation } from './agenda.js';
import type { Audit } from './audit.js';
import type { ServerName } from './child.js';
import type { Machine } from './machine.js';
import type { Measurement } from './measure.js';
import type { Recovery } from './recovery.js';

/** One of the figures this project set out to reach. Whether it was is reported; a run never fails on it. */
export interface Ratio {
  title: string;
  figure: Figure;
  target: string;
  reached: boolean;
}

/** A run of the benchmark, complete: what is printed, and written as JSON and Markdown, comes from here. */
export interface BenchResult {
  at: string;
  machine: Machine;
  database: Record<string, string>;
  plan: { seconds: number; warmUpSeconds: number; rounds: number; connections: number };
  cases: CaseResult[];
  recoveries: RecoveryResult[];
  ratios: Ratio[];
}

/** What the audits of all rounds found, added up. */
export type Amiss = Omit<Audit, 'payments'>;

/** One server in one situation, once a round. */
export interface CaseResult {
  situation: Situation;
  server: ServerName;
  figures: Record<FigureName, Figure | null>;
  amiss: Amiss;
  errors: Record<string, number>;
  rounds: Measurement[];
}

export interface RecoveryResult {
  name: RecoveryName;
  figures: Record<'seconds' | 'abandoned' | 'charges', Figure | null>;
  amiss: Amiss;
  rounds: Recovery[];
}

/** Over the rounds of a run. */
export interface Figure {
  median: number;
  min: number;
  max: number;
}

export const readings = {
  perSecond: (m: Measurement) => m.perSecond,
  meanMs: (m: Measurement) => m.meanMs,
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
  bankCpuUs: (m: Measurement) => each(m.bank?.cpuSeconds ?? null, m.answers),
  walBytes: (m: Measurement) => m.walBytes / m.answers,
  peakMemoryMib: (m: Measurement) => m.peakMemoryMib,
  bankRequests: (m: Measurement) => m.bank?.requests ?? null,
  bankMs: (m: Measurement) => m.bank?.waitMs ?? null,
  ourMs: (m: Measurement) => m.bank && m.meanMs - m.bank.waitMs,
  /**
   * The share of a payment's latency that was not spent waiting for the bank.
   *
   * Ours are: HTTP both ways, authentication, the queue for a transaction, PostgreSQL, two or three commits, and the
   * load generator's own delays. The bank's are: a turn among the requests at once, the network, the bank's own
   * time, and how late our busy event loop reads its answer; so the more our process has to do, the more of it is
   * put down to the bank. Where one looks for waste, milliseconds of ours say more than the share does.
   */
  ourShare: (m: Measurement) => m.bank && 1 - m.bank.waitMs / m.meanMs,
  inFlight: (m: Measurement) => m.seen?.inFlightMedian ?? null,
  inFlightPeak: (m: Measurement) => m.seen?.inFlightPeak ?? null,
  connectionsPeak: (m: Measurement) => m.seen?.connectionsPeak ?? null,
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
  return {
    situation,
    server,
    figures: Object.fromEntries(
      Object.entries(readings).map(([name, read]) => [name, figure(rounds.map(read))]),
    ) as CaseResult['figures'],
    amiss: addUp(rounds),
    errors,
    rounds,
  };
}

export function summariseRecovery(name: RecoveryName, rounds: Recovery[]): RecoveryResult {
  return {
    name,
    figures: {
      seconds: figure(rounds.map(({ seconds }) => seconds)),
      abandoned: figure(rounds.map(({ abandoned }) => abandoned)),
      charges: figure(rounds.map(({ charges }) => charges)),
    },
    amiss: addUp(rounds),
    rounds,
  };
}

function addUp(rounds: readonly { audit: Audit }[]): Amiss {
  const total = (name: keyof Amiss) => rounds.reduce((sum, { audit }) => sum + audit[name], 0);
  return {
    lost: total('lost'),
    doubled: total('doubled'),
    unfinished: total('unfinished'),
    booksDiffer: total('booksDiffer'),
    moneyAstray: total('moneyAstray'),
  };
}

/** What cannot be told of a round, because nothing was answered in it say, is left out. */
export function figure(values: readonly (number | null)[]): Figure | null {
  const told = values.filter(value => value !== null).filter(Number.isFinite);
  const sorted = told.sort((a, b) => a - b);
  const [min, max] = [sorted[0], sorted.at(-1)];
  if (min === undefined || max === undefined) return null;
  const middle = sorted.length / 2;
  const median = ((sorted[Math.ceil(middle) - 1] ?? min) + (sorted[Math.floor(middle)] ?? max)) / 2;
  return { median, min, max };
}

/** What no run may show: rows lost or doubled, money astray, requests answered with an error. */
export function failures({ cases, recoveries }: BenchResult): string[] {
  const found = [
    ...cases.map(({ situation, server, amiss, errors }) => ({
      where: `${situation}, ${server}`,
      counts: { ...named(amiss), ...errors },
    })),
    ...recoveries.map(({ name, amiss }) => ({ where: name, counts: named(amiss) })),
  ];
  return found.flatMap(({ where, counts }) =>
    Object.entries(counts)
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => `${where}: ${count} ${kind}`),
  );
}

function named({ booksDiffer, moneyAstray, ...others }: Amiss): Record<string, number> {
  return {
    ...others,
    'differences from the books of the bank': booksDiffer,
    'minor units astray': moneyAstray,
  };
}
