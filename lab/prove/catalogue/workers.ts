import type { CatalogueRow } from './row.js';

const lateHolder = 'test/crashes/a-late-holder-writes-nothing.spec.ts';
const zombie = 'test/crashes/a-zombie-writes-nothing.spec.ts';
const everyPoint = 'test/crashes/every-kill-point.spec.ts';
const senseless = 'test/promises/what-makes-no-sense-is-left-to-a-person.spec.ts';
const kept = 'test/recovery/an-answer-is-kept-for-its-time.spec.ts';

/** What can go wrong among those who go on where others have died. */
export const workerRows: readonly CatalogueRow[] = [
  {
    id: 'F85',
    fault: 'the completer races its caller’s retry',
    invariants: ['I1', 'I3'],
    provedBy: [
      {
        test: 'test/faults/completer-and-caller-do-not-both.spec.ts',
        title: 'F85: whoever is first holds the epoch, the other one nothing; the bank is paid once',
      },
      {
        test: 'test/promises/an-abandoned-payment-is-taken-over.spec.ts',
        title: 'by one of many who come at the same moment',
      },
    ],
  },
  {
    id: 'F86',
    fault: 'two completers',
    invariants: ['I1'],
    provedBy: [
      {
        test: 'test/crashes/many-hands-one-charge.spec.ts',
        title:
          'two completers and two instances find 200 abandoned payments: each is finished once, and charged once',
      },
    ],
  },
  {
    id: 'F87',
    fault: 'the completer is killed in mid-batch',
    invariants: ['I5'],
    provedBy: [
      { act: 'kill points' },
      { test: everyPoint, title: 'wherever a payment dies, it is paid once' },
      { test: zombie, title: 'a zombie completer is fenced like any other' },
    ],
  },
  {
    id: 'F88',
    fault: 'the lease ends, its holder is alive and slow',
    invariants: ['I1', 'I7'],
    provedBy: [
      { act: 'kill points' },
      { test: lateHolder, title: 'a request that stood still %s' },
      { test: lateHolder, title: 'a completer that stood still %s' },
      {
        test: 'test/bank/only-a-decline-is-a-failure.spec.ts',
        title: 'knows nothing after %s without end, and says so in time',
      },
    ],
  },
  {
    id: 'F89',
    fault: 'a poison key that fails for ever',
    invariants: ['I5', 'I11'],
    provedBy: [
      {
        test: 'test/faults/a-poison-key-delays-nobody.spec.ts',
        title: 'F89: it is tried so many times, ever later, then parked and counted; others end meanwhile',
      },
      {
        test: senseless,
        title: 'an operation that never comes to an end is parked after so many attempts, and not sooner',
      },
      { test: senseless, title: 'a holder that has died too often is not given another try' },
    ],
  },
  {
    id: 'F90',
    fault: 'a backlog of unfinished keys at start',
    invariants: ['I5', 'I11'],
    provedBy: [
      {
        test: 'test/faults/a-backlog-drains.spec.ts',
        title:
          'F90: 2,000 unfinished payments at start are finished, each charged once, and callers hardly notice',
      },
    ],
  },
  {
    id: 'F91',
    fault: 'the reaper meets an unfinished key, or one that is being retried',
    invariants: ['I12'],
    provedBy: [
      { test: kept, title: 'of every state at every age, only what is finished and expired goes (F91)' },
      {
        test: kept,
        title: 'passes over a row that somebody has in hand, at once, and deletes it the next time (F91)',
      },
      { test: 'test/edges/second-wall.spec.ts', title: 'refuses to forget a key that stands at %s' },
    ],
  },
  {
    id: 'F92',
    fault: 'the reaper is killed in mid-batch; two reapers',
    invariants: ['I12'],
    provedBy: [
      { test: kept, title: 'four at once share the work, and none waits for another (F92)' },
      {
        test: 'test/recovery/a-late-repeat-pays-nothing.spec.ts',
        title: 'also while two reapers are at work on that very key',
      },
    ],
  },
  {
    id: 'F93',
    fault: 'the API’s clock is two hours ahead or behind',
    invariants: ['I7', 'I12'],
    provedBy: [
      { act: 'random faults', counted: 'a clock two hours wrong' },
      {
        test: 'test/crashes/a-wrong-clock-changes-nothing.spec.ts',
        title: 'a clock that is %s changes nothing (F93)',
      },
    ],
  },
  {
    id: 'F94',
    fault: 'the API’s clock is set during a run',
    invariants: ['I7'],
    provedBy: [
      { act: 'random faults', counted: 'a clock set back' },
      {
        test: 'test/faults/a-clock-that-is-set-changes-nothing.spec.ts',
        title: 'F94: not what a holder holds, nor how long a caller waits, nor the times that it is told',
      },
    ],
  },
  {
    id: 'F95',
    fault: 'parameters stored by an older release are completed by a newer one',
    invariants: ['I3'],
    provedBy: [
      {
        test: 'test/faults/a-newer-release-knows-what-an-older-one-wrote.spec.ts',
        title: 'a newer release knows what an older one wrote',
      },
    ],
  },
];
