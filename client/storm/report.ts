import {
  ladders,
  partialOutages,
  storms,
  totalOutages,
  type Ladder,
  type Promised,
  type Storm,
} from './experiments.js';
import { goodShare } from './figures.js';
import { outages, type OutageName } from './outages.js';
import type { Setting } from './simulate.js';
import { goodWithinMs } from './tally.js';
import { aligned, marked, type Table } from './table.js';

/** Everything that one run of the command finds out. */
export interface Findings {
  readonly setting: Setting;
  readonly storms: readonly Storm[];
  readonly ladders: readonly Ladder[];
  readonly refused: readonly Promised[];
  readonly timedOut: readonly Promised[];
  readonly partial: readonly Promised[];
}

/** @param only these outages; without it all of them, and what waits and budgets alone come to */
export function findOut(setting: Setting, only?: OutageName): Findings {
  const { seed } = setting;
  if (only) {
    return { setting, storms: storms(setting, [only]), ladders: [], refused: [], timedOut: [], partial: [] };
  }
  return {
    setting,
    storms: storms(setting, Object.keys(outages) as OutageName[]),
    ladders: ladders(setting),
    refused: totalOutages(seed, 'refuses'),
    timedOut: totalOutages(seed, 'black-hole'),
    partial: partialOutages(seed),
  };
}

interface Section {
  /** The section's mark in a page. */
  readonly name: string;
  readonly title: string;
  readonly table: Table;
}

export function toText(findings: Findings): string {
  const { clients, betweenCallsMs, server, seed } = findings.setting;
  const perSecond = (times: number, ms: number) => count((times * 1_000) / ms);
  return [
    `${count(clients)} clients make ${perSecond(clients, betweenCallsMs)} calls a second of a server that can do ` +
      `${perSecond(server.workers, server.serviceMs)}. Seed ${seed}.`,
    '',
    ...sections(findings).flatMap(({ title, table }) => [title, '', aligned(table), '']),
    `in it, in all: sends for each call, while the outage lasted and in the whole run. as before: seconds from the`,
    `end of the outage until ${percent(goodShare)} of each second's calls end well within ${goodWithinMs / 1_000} s, and go on to do so.`,
    `wasted: the share of the server's work that was for callers who had left.`,
  ].join('\n');
}

/**
 * Puts each section into a page, between `<!-- storm: its name -->` and `<!-- storm: end -->`.
 *
 * @throws RangeError where the page has a mark of a section that there is not
 */
export function putInto(page: string, findings: Findings): string {
  const texts = new Map(sections(findings).map(({ name, table }) => [name, marked(table)]));
  return page.replace(blocks, (_, mark: string, name: string) => {
    const text = texts.get(name);
    if (text === undefined) throw new RangeError(`There is no section "${name}".`);
    return `${mark}\n${text}\n`;
  });
}

const blocks = /(<!-- storm: (?!end)([\w -]+) -->\n)[^]*?(?=\n<!-- storm: end -->)/g;

function sections({ storms, ladders, refused, timedOut, partial }: Findings): Section[] {
  const byOutage = new Set(storms.map(({ outage }) => outage));
  return [
    ...[...byOutage].map(outage => ({
      name: outage,
      title: `${outage}: ${outages[outage].tells}`,
      table: stormTable(storms.filter(storm => storm.outage === outage)),
    })),
    { name: 'waits', title: 'What the waits bridge, and how well they spread', table: ladderTable(ladders) },
    {
      name: 'refused',
      title: 'Extra load in an outage that refuses, by the calls that a process makes while it lasts',
      table: promiseTable('calls of a process', refused, ({ of }) => count(of)),
    },
    {
      name: 'timed out',
      title: 'The same where attempts time out',
      table: promiseTable('calls of a process', timedOut, ({ of }) => count(of)),
    },
    {
      name: 'partial',
      title: 'Extra load, and calls that ended well, where a share of all requests fails',
      table: promiseTable('requests that fail', partial, ({ of }) => percent(of), true),
    },
  ].filter(({ table }) => table.rows.length > 0);
}

function stormTable(storms: readonly Storm[]): Table {
  return {
    head: [
      ...['policy', 'in it', 'in all', 'busiest second', 'first second back'],
      ...['as before', 'ended well', 'gave up', 'wasted'],
    ],
    rows: storms.map(({ outage, policy, figures }) => {
      const { amplification, busiestSecond, firstSecondBack, recoverySeconds, calls } = figures;
      const gaveUp = Object.values(figures.gaveUp).reduce((sum, each) => sum + each, 0);
      return [
        policy,
        amplification.during.toFixed(2),
        amplification.overall.toFixed(2),
        count(busiestSecond),
        count(firstSecondBack),
        duration(recoverySeconds, outages[outage].watchMs),
        percent(figures.endedWell / calls),
        percent(gaveUp / calls),
        percent(figures.wasted),
      ];
    }),
  };
}

function ladderTable(ladders: readonly Ladder[]): Table {
  const blips = ladders[0]?.healed.map(({ seconds }) => `${seconds} s`) ?? [];
  return {
    head: ['jitter, base, attempts', ...blips, 'busiest 10 ms', 'retries', 'ended well'],
    rows: ladders.map(({ name, healed, wave, retries, healedOfLost }) => [
      ...[name, ...healed.map(({ share }) => percent(share))],
      ...[count(wave), count(retries), percent(healedOfLost)],
    ]),
  };
}

function promiseTable(
  what: string,
  promised: readonly Promised[],
  of: (extra: Promised['extra'][number]) => string,
  withEndedWell = false,
): Table {
  return {
    head: [what, ...(promised[0]?.extra.map(of) ?? [])],
    rows: promised.map(({ budget, extra }) => [
      budget,
      ...extra.map(({ share, endedWell }) =>
        withEndedWell ? `${percent(share)}, ${percent(endedWell)}` : percent(share),
      ),
    ]),
  };
}

function duration(seconds: number | null, watchedMs: number): string {
  if (seconds === null) return `> ${watchedMs / 1_000} s`;
  return seconds === 0 ? 'at once' : `${seconds} s`;
}

function count(number: number): string {
  return Math.round(number).toLocaleString('en-GB');
}

/** Never 100 % for less than all, nor 0 % for more than none. */
function percent(share: number): string {
  const rounded = Math.round(share * 100);
  if (share < 1 && rounded === 100) return '> 99 %';
  if (share > 0 && rounded === 0) return '< 1 %';
  return `${rounded} %`;
}
