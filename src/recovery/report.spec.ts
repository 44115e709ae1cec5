import type { Difference, RunDone } from './events.js';
import { didSomething, differenceLines, parkedToLine, runToJson, runToLine } from './report.js';

const twice: Difference = {
  kind: 'charged_twice',
  reference: 'r-1',
  ours: { amount: 100n, currency: 'GBP', status: 'succeeded' },
  theirs: { amount: 200n, currency: 'GBP', charges: 2, returns: 0 },
};
const reaper = (reaped: number): RunDone => ({ worker: 'reaper', reaped });
const reconciler = (more: Partial<RunDone & { worker: 'reconciler' }> = {}): RunDone => ({
  worker: 'reconciler',
  copied: 0,
  payments: 0,
  differencesFound: 0,
  differences: [],
  ...more,
});
const completer = (takenOver: number): RunDone => ({
  worker: 'completer',
  takenOver,
  finished: takenOver,
  postponed: 0,
  parked: 0,
  lost: 0,
});

describe('what a worker did is told', () => {
  it('in one line each, aligned, in the singular where there is one', () => {
    expect(runToLine(reaper(1))).toBe('reaper      deleted 1 expired answer');
    expect(runToLine(reaper(2))).toBe('reaper      deleted 2 expired answers');
    expect(runToLine(reconciler({ copied: 1, payments: 0, differencesFound: 3 }))).toBe(
      'reconciler  copied 1 booking, compared 0 payments, found 3 differences',
    );
    expect(runToLine(completer(4))).toBe(
      'completer   4 taken over, 4 finished, 0 postponed, 0 parked, 0 lost',
    );
  });

  it('as JSON: amounts are numbers, and the worker is the key it stands under', () => {
    expect(runToJson(reconciler({ differencesFound: 1, differences: [twice] }))).toEqual({
      copied: 0,
      payments: 0,
      differencesFound: 1,
      differences: [
        {
          ...twice,
          ours: { amount: 100, currency: 'GBP', status: 'succeeded' },
          theirs: { amount: 200, currency: 'GBP', charges: 2, returns: 0 },
        },
      ],
      worker: undefined,
    });
  });

  it('only where it changed something: to look and to find is no change', () => {
    expect([reaper(0), completer(0), reconciler()].map(didSomething)).toEqual([false, false, false]);
    expect(didSomething(reconciler({ payments: 9, differencesFound: 2 }))).toBe(false);
    expect([reaper(1), completer(1), reconciler({ copied: 1 })].map(didSomething)).toEqual([
      true,
      true,
      true,
    ]);
  });
});

describe('a difference is told', () => {
  const linesOf = (differences: Difference[], differencesFound = differences.length) =>
    differenceLines(reconciler({ differences, differencesFound }));

  it('with what both sides say', () => {
    expect(linesOf([twice, { ...twice, ours: null }, { ...twice, theirs: null }])).toEqual([
      '  charged_twice r-1: here 100 GBP succeeded, at the bank 200 GBP after 2 charges and 0 returns',
      '  charged_twice r-1: here nothing, at the bank 200 GBP after 2 charges and 0 returns',
      '  charged_twice r-1: here 100 GBP succeeded, at the bank nothing',
    ]);
  });

  it('and how many more there are, where there are', () => {
    expect(linesOf([twice], 1)).toHaveLength(1);
    expect(linesOf([twice], 5).slice(1)).toEqual(['  … and 4 more']);
    expect(linesOf([])).toEqual([]);
    expect(differenceLines(reaper(7))).toEqual([]);
  });

  it.each([
    ['plain-~1', 'plain-~1'],
    ['a b', '"a b"'],
    ['', '""'],
    ['ends \u001b[2J', '"ends \\u001b[2J"'],
    ['naïve', '"na?ve"'],
    ['line\nbreak', '"line\\nbreak"'],
    [' x', '" x"'],
    ['x ', '"x "'],
  ])('and nothing that moves a cursor: %j', (reference, printed) => {
    expect(linesOf([{ ...twice, reference }])[0]).toMatch(`  charged_twice ${printed}: here`);
  });
});

it('what is parked is told with its reason', () => {
  const parked = {
    paymentId: 'p-1',
    recoveryPoint: 'transfer_sent',
    attempts: 1,
    since: new Date(Date.UTC(2030, 0, 2)),
    because: 'the bank contradicts itself',
  };
  expect(parkedToLine(parked)).toBe(
    'p-1  since 2030-01-02T00:00:00.000Z, at transfer_sent, after 1 attempt: the bank contradicts itself',
  );
  expect(parkedToLine({ ...parked, attempts: 40 })).toMatch('after 40 attempts:');
});
