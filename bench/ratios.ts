import { recoveryAgenda, type Situation } from './agenda.js';
import type { ServerName } from './child.js';
import {
  figure,
  readings,
  type CaseResult,
  type Figure,
  type FigureName,
  type Ratio,
  type RecoveryResult,
} from './result.js';

/** Ratios are taken within each round, so that what slows the machine for a while slows both sides. */
export function ratios(cases: readonly CaseResult[], recoveries: readonly RecoveryResult[]): Ratio[] {
  const of = (name: FigureName, situation: Situation, server: ServerName) =>
    readingsOf(cases, { name, situation, server });
  const wanted: [title: string, figure: Figure | null, target: '≥' | '≤', bound: number, unit?: string][] = [
    [
      'new payments, spread: throughput of ours ÷ naive',
      quotient(of('perSecond', 'spread', 'ours'), of('perSecond', 'spread', 'naive')),
      '≥',
      3,
    ],
    [
      'new payments, all to Sam: throughput of ours ÷ naive',
      quotient(of('perSecond', 'sam', 'ours'), of('perSecond', 'sam', 'naive')),
      '≥',
      5,
    ],
    [
      'spread: p99 of ours ÷ naive',
      quotient(of('p99Ms', 'spread', 'ours'), of('p99Ms', 'spread', 'naive')),
      '≤',
      1,
    ],
    [
      'all to Sam: p99 of ours ÷ naive',
      quotient(of('p99Ms', 'sam', 'ours'), of('p99Ms', 'sam', 'naive')),
      '≤',
      1,
    ],
    [
      'replays ÷ bare route: throughput',
      quotient(of('perSecond', 'replays', 'ours'), of('perSecond', 'spread', 'bare')),
      '≥',
      0.8,
    ],
    [
      'a lone client: p50 of ours ÷ naive',
      quotient(of('p50Ms', 'alone', 'ours'), of('p50Ms', 'alone', 'naive')),
      '≤',
      1.3,
    ],
    [
      'growth: CPU for a payment, API and database, at 1 million keys ÷ at 10 thousand',
      quotient(of('cpuUs', 'million keys', 'ours'), of('cpuUs', 'spread', 'ours')),
      '≤',
      1.2,
    ],
    [
      'growth: throughput at 10 thousand keys ÷ at 1 million',
      quotient(of('perSecond', 'spread', 'ours'), of('perSecond', 'million keys', 'ours')),
      '≤',
      1.2,
    ],
    [
      'peak memory of the API, rail ledger, in its worst situation',
      figure(worstPeaks(cases)),
      '≤',
      250,
      ' MiB',
    ],
    ['in flight: payments at once', figure(of('inFlight', 'in flight', 'ours')), '≥', 1_000, ''],
    ['in flight: peak memory of the API', figure(of('peakMemoryMib', 'in flight', 'ours')), '≤', 300, ' MiB'],
    [
      'in flight: connections to the database',
      figure(of('connectionsPeak', 'in flight', 'ours')),
      '≤',
      10,
      '',
    ],
  ];
  for (const { name, title } of recoveryAgenda) {
    const found = recoveries.find(each => each.name === name);
    wanted.push([title, found?.figures.seconds ?? null, '≤', 10, ' s']);
  }
  return wanted.flatMap(([title, figure, relation, bound, unit = ' ×']) => {
    if (!figure) return [];
    const reached = relation === '≥' ? figure.median >= bound : figure.median <= bound;
    return [{ title, figure, target: `${relation} ${bound.toLocaleString('en-GB')}${unit}`, reached }];
  });
}

/** The real API in a situation on rail bank, as a multiple of the same on rail ledger, in the same rounds. */
export function toLedger(
  cases: readonly CaseResult[],
  situation: Situation,
  name: FigureName,
): Figure | null {
  return quotient(
    readingsOf(cases, { name, situation, server: 'ours' }),
    readingsOf(cases, { name, situation: 'spread', server: 'ours' }),
  );
}

function readingsOf(
  cases: readonly CaseResult[],
  { name, situation, server }: { name: FigureName; situation: Situation; server: ServerName },
): (number | null)[] {
  const found = cases.find(each => each.situation === situation && each.server === server);
  return found?.rounds.map(readings[name]) ?? [];
}

function quotient(dividends: (number | null)[], divisors: (number | null)[]): Figure | null {
  return figure(
    dividends.map((dividend, round) => {
      const divisor = divisors[round];
      return dividend === null || divisor === null || divisor === undefined ? null : dividend / divisor;
    }),
  );
}

/** The largest of each round, where every situation tells it. Rail bank has a goal of its own. */
function worstPeaks(cases: readonly CaseResult[]): (number | null)[] {
  const ours = cases.filter(({ server, rounds }) => server === 'ours' && rounds.every(({ bank }) => !bank));
  const rounds = ours[0]?.rounds ?? [];
  return rounds.map((_, round) => {
    const peaks = ours.map(each => each.rounds[round]?.peakMemoryMib ?? null);
    return peaks.includes(null) ? null : Math.max(...peaks.filter(peak => peak !== null));
  });
}
