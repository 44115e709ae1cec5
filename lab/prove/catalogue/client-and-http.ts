import type { CatalogueRow, Proof } from './row.js';

const callers = (title: string): Proof => ({ test: 'test/faults/callers-in-trouble.spec.ts', title });
const promise = (file: string, title: string): Proof => ({ test: `test/promises/${file}.spec.ts`, title });
const races: Proof = { act: 'races' };
const herd = (counted: string): Proof => ({ act: 'herd', counted });

/** Callers, and the way between them and us. */
export const clientAndHttpRows: readonly CatalogueRow[] = [
  {
    id: 'F67',
    fault: 'the answer is lost',
    invariants: ['I3'],
    provedBy: [
      herd('F67 answers lost'),
      {
        test: 'client/test/calls.spec.ts',
        title: 'pays once where the answer was cut short, and says that it is a replay',
      },
    ],
  },
  {
    id: 'F68',
    fault: 'the client leaves in mid-body',
    invariants: ['I10'],
    provedBy: [
      herd('F68 requests lost'),
      callers(
        'F68: a client that leaves in mid-body leaves no row, no call to the bank, and takes up no place',
      ),
    ],
  },
  {
    id: 'F69',
    fault: 'the client leaves during the call to the bank',
    invariants: ['I2', 'I5'],
    provedBy: [
      promise(
        'a-caller-need-not-wait',
        'may hang up: the work goes on, and a later retry is told what came of it (F69, F79)',
      ),
    ],
  },
  {
    id: 'F70',
    fault: '100 equal requests at once, at one instance',
    invariants: ['I1', 'I3', 'I13'],
    provedBy: [
      races,
      promise(
        'one-key-one-payment',
        'pays once when 100 equal requests arrive together, and tells all of them the same (F70)',
      ),
    ],
  },
  {
    id: 'F71',
    fault: '100 equal requests at once, over two instances',
    invariants: ['I1', 'I3', 'I13'],
    provedBy: [
      races,
      promise('one-key-one-payment', 'pays once when the 100 equal requests arrive at two instances (F71)'),
    ],
  },
  {
    id: 'F72',
    fault: '100 different requests with one key at once',
    invariants: ['I14'],
    provedBy: [
      races,
      promise(
        'one-key-one-payment',
        'pays one of 100 different requests that share a key, and tells the other 99 that they differ (F72)',
      ),
      promise(
        'a-caller-need-not-wait',
        'is a collision when it differs, at once, however long it would wait (F72)',
      ),
    ],
  },
  {
    id: 'F73',
    fault: 'the same key with another body, later',
    invariants: ['I14'],
    provedBy: [
      promise(
        'a-key-belongs-to-one-request',
        'so %s is refused by name, never by value, and what was stored stays (F73)',
      ),
    ],
  },
  {
    id: 'F74',
    fault: 'the same key for another operation, or another payment in the path',
    invariants: ['I14'],
    provedBy: [
      promise('a-key-belongs-to-one-request', 'and to one operation: a key that refunded does not pay'),
      promise('refunds-never-exceed-the-payment', 'a key is good for one operation, %s (F74)'),
      {
        test: 'test/contract/operations.spec.ts',
        title: 'also between a payment and a refund: one key, one operation',
      },
    ],
  },
  {
    id: 'F75',
    fault: 'the same request, spelled another way',
    invariants: ['I3'],
    provedBy: [promise('a-repeat-gets-the-first-answer', 'a repeat gets the first answer')],
  },
  {
    id: 'F76',
    fault: 'the first attempt is held up, and arrives after the second has ended',
    invariants: ['I1', 'I3'],
    provedBy: [herd('F76 attempts that arrived late')],
  },
  {
    id: 'F77',
    fault: 'a retry that comes after its key was reaped',
    invariants: ['I1', 'I3'],
    provedBy: [
      promise(
        'a-key-is-remembered-for-ever',
        'a key is remembered for ever, also after its stored answer has expired (F77)',
      ),
      {
        test: 'test/recovery/a-late-repeat-pays-nothing.spec.ts',
        title: 'a repeat that comes after the reaper pays nothing (F77, F110)',
      },
    ],
  },
  {
    id: 'F78',
    fault: 'a thousand clients retry when service returns',
    invariants: ['I11'],
    provedBy: [
      herd('F78 outages that a thousand calls met'),
      { test: 'client/test/storm.spec.ts', title: 'nothing is lost in the storm, and nothing counted twice' },
    ],
  },
  {
    id: 'F79',
    fault: 'the client gives up sooner than the server',
    invariants: ['I3'],
    provedBy: [
      herd('F79 attempts given up before the bank had answered'),
      callers(
        'F79: a client that gives up sooner than the bank answers is told what came of it, under its one key',
      ),
    ],
  },
  {
    id: 'F80',
    fault: 'two requests with one key in one pipeline',
    invariants: ['I3'],
    provedBy: [
      callers('F80: two in one pipeline with one key are answered in their order, and are one payment'),
    ],
  },
  {
    id: 'F81',
    fault: 'slow headers, slow bodies: 500 connections at a byte a second',
    invariants: ['I11'],
    provedBy: [callers('F81: 500 that send a byte a second slow nobody down, and are cut off with 408')],
  },
  {
    id: 'F82',
    fault: 'a body of 2 MB, a body without end',
    invariants: ['I10', 'I11'],
    provedBy: [
      callers('F82: bodies of 2 MB, and bodies without end, are refused with 413 and take up no memory'),
    ],
  },
  {
    id: 'F83',
    fault: 'JSON that is 40,000 levels deep',
    invariants: ['I10'],
    provedBy: [
      {
        test: 'test/edges/bad-inputs.spec.ts',
        title: 'what arrives broken, ambiguous or hostile is refused, and leaves nothing behind',
      },
    ],
  },
  {
    id: 'F84',
    fault: '10,000 idle connections',
    invariants: ['I11'],
    provedBy: [
      {
        test: 'test/faults/descriptors-run-out.spec.ts',
        title:
          'F84: 10,000 idle connections are held, what comes above the limit is refused, and those who wait in it are answered',
      },
    ],
  },
];
