import { readFileSync } from 'node:fs';
import type { ActResult } from '../../lab/prove/act.js';
import { toPage } from '../../lab/prove/evidence/page.js';
import { histogram } from '../../lab/prove/evidence/histogram.js';
import { exitCodeOf, tellViolations, toText, withVacuity, type Proof } from '../../lab/prove/proof.js';
import {
  checkMemorySlope,
  checkTableIsFlat,
  countSlopes,
  growthPerTenMinutes,
} from '../../lab/prove/slopes.js';

const well: ActResult = {
  name: 'random faults',
  violations: [],
  operations: 3_000,
  requests: 21_000,
  counts: {
    'answer 200': 2_500,
    'kill api-1': 101,
    'database: lost COMMIT after': 9,
    'fault point: committed': 4,
    'planned: lose a commit': 30,
    'seen: APIs killed at a random instant': 205,
    'seen: percent of the time with a fault active': 91,
  },
  wanted: { 'answer 200': 100 },
  timesMs: { 'claim to end': [3, 12, 12, 40, 900], 'healing to the end': [80, 2_400], 'never timed': [] },
};
const kills: ActResult = {
  ...well,
  name: 'kill-points',
  operations: 600,
  requests: 1_800,
  counts: {
    'kill of a request': 300,
    'kill of a request at K1': 150,
    'kill of a request at K2p': 150,
    'kill of a completer': 0,
    F03: 150,
    'F15 a holder stopped at K2': 20,
  },
  timesMs: { 'at K1': [700], 'at K2p': [300, 500], 'at K3p': [90], 'at K4p': [80], 'at K5p': [10] },
};
const broken: ActResult = {
  ...well,
  name: 'races',
  operations: 100,
  counts: { races: 100 },
  violations: [
    {
      invariant: 'I1',
      about: 'alice key-1',
      what: 'a key is charged at most once',
      evidence: { charges: 2 },
    },
    {
      invariant: 'I1',
      about: 'alice key-2',
      what: 'a key is charged at most once',
      evidence: { charges: 3 },
    },
  ],
};
const mutation = { commit: 'def5678', breaks: 'I6', test: 'test/a.spec.ts' };
const proof: Proof = {
  at: '2026-01-02T03:04:05.678Z',
  seed: 7,
  scale: 'gate',
  minutes: null,
  machine: { cpu: 'made up', cores: 2, memoryGib: 4, system: 'linux 6.1', node: '24.0.0', commit: 'abc1234' },
  postgres: '18.4',
  tookMs: 720_000,
  results: [kills, well, broken],
  failures: [{ act: 'herd', error: 'a port was in use' }],
};

describe('what came of a proof', () => {
  it('is told by its exit code: a broken promise before a failure of the harness', () => {
    expect(exitCodeOf({ results: [well], failures: [] })).toBe(0);
    expect(exitCodeOf({ results: [well, broken], failures: proof.failures })).toBe(1);
    expect(exitCodeOf({ results: [well], failures: proof.failures })).toBe(2);
    expect(exitCodeOf({ results: [], failures: proof.failures })).toBe(2);
  });

  it('is a violation where too little happened', () => {
    expect(withVacuity(well).violations).toEqual([]);
    const { violations } = withVacuity({ ...well, wanted: { 'answer 200': 2_501, 'lights out': 1 } });
    expect(violations.map(({ about, evidence, invariant }) => ({ about, evidence, invariant }))).toEqual([
      { invariant: 'I15', about: 'answer 200', evidence: { seen: 2_500, wanted: 2_501 } },
      { invariant: 'I15', about: 'lights out', evidence: { seen: 0, wanted: 1 } },
    ]);
  });

  it('is a table, with the bound beside each zero', () => {
    expect(toText(proof).split('\n')).toEqual([
      'act            operations  requests  faults  violations (95 %)      longest',
      'kill-points           600     1,800     320  0, at most 1 in 200    700 ms at K1',
      'random faults       3,000    21,000     114  0, at most 1 in 1,000  2.4 s healing to the end',
      'races                 100    21,000       0  2                      2.4 s healing to the end',
      'herd                    –         –       –  no verdict             –',
      'all                 3,700    43,800     434  2',
    ]);
  });

  it('tells each broken sentence once, how often, and shows the first', () => {
    expect(tellViolations(broken.violations)).toEqual([
      'BROKEN I1: a key is charged at most once (2 times), first at alice key-1:',
      '  {"charges":2}',
    ]);
  });
});

describe('the page', () => {
  it('is made from what was counted, and from nothing else', () => {
    const page = toPage({
      proof,
      mutations: {
        M4: { ...mutation, mutation: 'M4', mistake: 'a time-out is final', caughtBy: ['is paid'] },
        M5: { ...mutation, mutation: 'M5', mistake: 'a 500 is final', caughtBy: [] },
      },
      catalogue: [
        {
          id: 'F12',
          fault: 'lights out',
          invariants: [],
          provedBy: [{ act: 'random faults', counted: 'lights out' }],
        },
        {
          id: 'F02',
          fault: 'SIGKILL at K1',
          invariants: ['I1', 'I10'],
          provedBy: [
            { act: 'kill points', counted: 'kill of a request at K1' },
            { test: 'test/c.spec.ts', title: 'a | b' },
          ],
        },
        {
          id: 'K2',
          fault: 'killed at K2',
          invariants: ['I1'],
          provedBy: [{ act: 'kill points' }, { test: 'test/d.spec.ts', title: 'after %s, in time' }],
        },
        { id: 'F03', fault: 'SIGKILL at K2', invariants: ['I1'], provedBy: [{ act: 'kill points' }] },
        { id: 'F15', fault: 'a zombie', invariants: ['I1'], provedBy: [{ act: 'kill points' }] },
        { id: 'F96', fault: 'relay dies', invariants: [], provedBy: [{ notBuilt: 'there is no relay yet' }] },
        {
          id: 'F47',
          fault: 'a backup',
          invariants: ['I1'],
          provedBy: [{ notTested: 'needs an hour' }, { act: 'naps' }],
        },
      ],
    });
    expect(page).toBe(readFileSync('test/prove/evidence.golden.txt', 'utf8'));
  });

  it('says of what was not run that it was not, and invents no figure', () => {
    const page = toPage({ proof: { ...proof, results: [], failures: [] }, mutations: null, catalogue: [] });
    expect(page).toContain('| PostgreSQL kills, all of its processes | 100 | 1,000 | – |');
    expect(page).toContain('Not run for this page');
    expect(page).toContain('Not part of this page.');
    expect(page).toContain('None in this run.');
  });

  it('draws bars that are never empty where something happened', () => {
    const times = [...Array.from({ length: 1_000 }, () => 15), 150, 70_000];
    expect(histogram(times)).toEqual([
      `  ≤ 20 ms  ${'█'.repeat(40)}  1,000`,
      expect.stringMatching(/^ {2}≤ 50 ms +0$/),
      expect.stringMatching(/^ ≤ 100 ms +0$/),
      expect.stringMatching(/^ ≤ 200 ms {2}█ +1$/),
      ...Array.from({ length: 8 }, () => expect.stringMatching(/ 0$/) as string),
      expect.stringMatching(/^ {3}longer {2}█ +1$/),
    ]);
    expect(histogram([])).toEqual([]);
  });
});

describe('a slope', () => {
  const minute = 60_000;
  const samples = (growthPerMinute: number) =>
    Array.from({ length: 720 }, (_, second) => ({
      at: second * 1_000,
      process: 'api-1',
      // Garbage comes and goes twice a minute, by a tenth.
      rssBytes: 100e6 * (1 + (growthPerMinute * second) / 60 + 0.1 * ((second % 30) / 30)),
      sockets: 1,
      connections: 1,
    }));

  it('of memory is found where it leaks, and not where it only breathes', () => {
    expect(checkMemorySlope(samples(0))).toEqual([]);
    expect(checkMemorySlope(samples(0.0005))).toEqual([]);
    expect(checkMemorySlope(samples(0.002))).toMatchObject([
      {
        invariant: 'I11',
        about: 'api-1',
        // Its course, so that a jump, or what levels off, can be told from a leak.
        evidence: { rssMibByTenth: [99, 101, 101, 101, 102, 100, 102, 102, 102, 103] },
      },
    ]);
  });

  it('is not guessed from a few minutes', () => {
    const few = samples(0.01).slice(0, 300);
    expect(growthPerTenMinutes(few.map(({ at, rssBytes }) => ({ at, value: rssBytes })))).toBeUndefined();
    expect(checkMemorySlope(few)).toEqual([]);
  });

  it('of the table is flat while the reaper keeps up', () => {
    const rows = (value: (nth: number) => number) =>
      Array.from({ length: 90 }, (_, nth) => ({ at: nth * minute, value: value(nth) }));
    expect(checkTableIsFlat(rows(nth => 300 + (nth % 7) * 20))).toEqual([]);
    expect(checkTableIsFlat(rows(nth => 300 + nth * 10))).toMatchObject([{ invariant: 'I11' }]);
  });

  it('is told in figures, the steepest of the memories', () => {
    const level = samples(0).map(sample => ({ ...sample, rssBytes: 100e6 }));
    const steep = level.map(({ at }, nth) => ({
      ...{ at, process: 'api-2', sockets: 1, connections: 1 },
      rssBytes: 100e6 + 1_000 * nth,
    }));
    const rows = Array.from({ length: 90 }, (_, nth) => ({ at: nth * minute, value: 300 + nth }));
    expect(countSlopes([...level, ...steep], rows)).toEqual({
      'seen: soak, largest growth of a memory in ten minutes, in thousandths': 6,
      'seen: soak, finished keys in its first third': 315,
      'seen: soak, finished keys in its last third': 375,
    });
    expect(countSlopes([], [])).toEqual({});
  });
});
