import { invariants } from '../violation.js';
import type { CatalogueRow, Proof } from './row.js';

/** Each place where a payment can die, in whoever's hands it is then, and each way back. */
const everyKillPoint: Proof = {
  test: 'test/crashes/every-kill-point.spec.ts',
  title: 'wherever a payment dies, it is paid once',
};
const killPoints: Proof = { act: 'kill points' };
const randomFaults = (counted: string): Proof => ({ act: 'random faults', counted });
const crash = (title: string): Proof => ({ test: 'test/crashes/a-crash-is-no-answer.spec.ts', title });

/** Our own processes: killed, frozen, stopped, started wrongly. */
export const processRows: readonly CatalogueRow[] = [
  {
    id: 'F01',
    fault: 'SIGKILL of the API before T1 begins',
    invariants: ['I10', 'I2'],
    provedBy: [
      killPoints,
      everyKillPoint,
      crash('%s: nothing is left of it, and the retry pays as if it were the first'),
    ],
  },
  {
    id: 'F02',
    fault: 'SIGKILL of the API in T1, before COMMIT',
    invariants: ['I10', 'I1'],
    provedBy: [
      killPoints,
      everyKillPoint,
      crash('%s, of 20 payments that share it: the same for each of them'),
    ],
  },
  {
    id: 'F03',
    fault: 'SIGKILL of the API between T1 and the call to the bank',
    invariants: ['I1', 'I5'],
    provedBy: [
      killPoints,
      everyKillPoint,
      {
        test: 'test/promises/an-abandoned-payment-is-taken-over.spec.ts',
        title: 'not before its lease has run out, by the database’s clock',
      },
    ],
  },
  {
    id: 'F04',
    fault: 'SIGKILL of the API while the bank has the request, unread',
    invariants: ['I1', 'I5'],
    provedBy: [killPoints, everyKillPoint],
  },
  {
    id: 'F05',
    fault: 'SIGKILL of the API while the bank has paid, and not answered',
    invariants: ['I1', 'I2', 'I6'],
    provedBy: [killPoints, everyKillPoint],
  },
  {
    id: 'F06',
    fault: 'SIGKILL of the API with the bank’s answer in memory',
    invariants: ['I1', 'I2'],
    provedBy: [killPoints, everyKillPoint],
  },
  {
    id: 'F07',
    fault: 'SIGKILL of the API in T2 or T3, before COMMIT',
    invariants: ['I1', 'I4'],
    provedBy: [killPoints, everyKillPoint],
  },
  {
    id: 'F08',
    fault: 'SIGKILL of the API after COMMIT was sent, before its reply is seen',
    invariants: ['I2', 'I3'],
    provedBy: [killPoints, everyKillPoint],
  },
  {
    id: 'F09',
    fault: 'SIGKILL of the API after the last COMMIT, before its caller is told',
    invariants: ['I3'],
    provedBy: [
      killPoints,
      everyKillPoint,
      crash('after COMMIT, before anybody was told (F09, K8): the retry gets the stored answer'),
    ],
  },
  {
    id: 'F10',
    fault: 'SIGKILL of the API with its answer partly written',
    invariants: ['I3'],
    provedBy: [
      killPoints,
      everyKillPoint,
      { test: 'test/crashes/half-an-answer-is-none.spec.ts', title: 'half an answer is none (F10, K9)' },
    ],
  },
  {
    id: 'F11',
    fault: 'SIGKILL of the API at a random instant, under load, instances in turn',
    invariants,
    provedBy: [
      randomFaults('seen: APIs killed at a random instant'),
      crash(
        'at any moment, while payments and repeats pour in: each key has one payment and one answer (F11)',
      ),
    ],
  },
  {
    id: 'F12',
    fault: 'lights out: both APIs, the workers and PostgreSQL killed at once',
    invariants,
    provedBy: [randomFaults('lights out')],
  },
  {
    id: 'F13',
    fault: 'an error that nobody caught, a rejection that nobody waits for',
    invariants: ['I5', 'I11'],
    provedBy: [
      {
        test: 'test/faults/a-process-ends-of-a-mistake.spec.ts',
        title: 'F13: %s ends the process with one log line, and nothing is lost',
      },
      {
        test: 'test/faults/a-process-ends-of-a-mistake.spec.ts',
        title: 'F13: a worker says what it was, once, and exits with 1',
      },
    ],
  },
  {
    id: 'F14',
    fault: 'the event loop stands still for 5 s',
    invariants: ['I5', 'I11'],
    provedBy: [
      killPoints,
      randomFaults('seen: processes that stalled'),
      {
        test: 'test/security/nobody-takes-it-all.spec.ts',
        title: 'a process that cannot keep up turns newcomers away, and no key is touched (S31)',
      },
    ],
  },
  {
    id: 'F15',
    fault: 'a zombie: stopped for longer than its lease, then woken',
    invariants: ['I1', 'I7'],
    provedBy: [
      killPoints,
      { test: 'test/crashes/a-zombie-writes-nothing.spec.ts', title: 'a zombie writes nothing' },
      {
        test: 'test/crashes/a-late-holder-writes-nothing.spec.ts',
        title: 'a holder that wakes up too late writes nothing',
      },
    ],
  },
  {
    id: 'F16',
    fault: 'a zombie that wakes before its call to the bank',
    invariants: ['I1'],
    provedBy: [
      killPoints,
      {
        test: 'test/crashes/a-zombie-writes-nothing.spec.ts',
        title:
          'wakes while its heir’s order is on its way: the bank gets two with one reference, and is paid once (F16)',
      },
    ],
  },
  {
    id: 'F17',
    fault: 'SIGTERM with requests in flight: rolling restarts under load',
    invariants: ['I2', 'I13'],
    provedBy: [
      { act: 'rolling restarts', counted: 'rolling restarts' },
      { test: 'test/crashes/a-stop-loses-nobody.spec.ts', title: 'a stop loses nobody (F17)' },
    ],
  },
  {
    id: 'F18',
    fault: 'SIGTERM while a call to the bank outlasts the grace time',
    invariants: ['I5', 'I6'],
    provedBy: [
      { act: 'rolling restarts', counted: 'stops that had to give a bank call back' },
      {
        test: 'test/promises/a-stop-gives-its-payments-back.spec.ts',
        title: 'a stop gives its payments back (F18)',
      },
    ],
  },
  {
    id: 'F19',
    fault: 'a start with a wrong secret, a missing table, an old schema, a lease that is too short',
    invariants: ['I10'],
    provedBy: [
      {
        test: 'test/faults/a-start-that-cannot-be.spec.ts',
        title: 'F19: %s ends it with a sentence about it, and it is never ready',
      },
      {
        test: 'test/edges/start-up.spec.ts',
        title: 'an API that cannot start says why, in one line, and is gone',
      },
    ],
  },
  {
    id: 'F20',
    fault: 'the old version and the new one side by side, then back to the old one',
    invariants: ['I3', 'I7'],
    provedBy: [
      { notTested: 'There is no previous release to run beside this one. The next release has one.' },
    ],
  },
  {
    id: 'F21',
    fault: 'heap pressure, long pauses',
    invariants: ['I11'],
    provedBy: [
      {
        test: 'test/faults/a-machine-in-trouble.spec.ts',
        title: 'F21: with little memory and the largest bodies, some are told to come back, and nothing dies',
      },
    ],
  },
];
