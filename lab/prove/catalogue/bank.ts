import type { CatalogueRow, Proof } from './row.js';

const unknown = 'test/promises/an-unknown-outcome-is-not-a-failure.spec.ts';
const senseless = 'test/promises/what-makes-no-sense-is-left-to-a-person.spec.ts';
const onlyADecline = 'test/bank/only-a-decline-is-a-failure.spec.ts';
const notSent = 'test/bank/not-sent-is-a-promise.spec.ts';
const outageEnds = 'test/promises/a-bank-outage-ends.spec.ts';
const bankKilled = 'test/crashes/the-bank-is-killed.spec.ts';

/** Each of these rows, at each moment of a payment and with each who may recover it. */
const matrix: Proof = { act: 'bank matrix' };

/** A table of faults, one by one: what the bank was then asked for, that it charged once, and what the caller got. */
const whatGoesWrong: Proof = { test: unknown, title: '%s: %s' };

/** What goes wrong at the other company, or on the way to it. */
export const bankRows: readonly CatalogueRow[] = [
  {
    id: 'F49',
    fault: 'times out after charging',
    invariants: ['I1', 'I6'],
    provedBy: [
      matrix,
      whatGoesWrong,
      {
        test: unknown,
        title: 'the caller is told that it goes on, and the completer finds the charge (F49, F51)',
      },
    ],
  },
  {
    id: 'F50',
    fault: 'times out without charging',
    invariants: ['I1', 'I5'],
    provedBy: [matrix, whatGoesWrong],
  },
  {
    id: 'F51',
    fault: '500 after charging',
    invariants: ['I1', 'I6'],
    provedBy: [
      matrix,
      whatGoesWrong,
      {
        test: unknown,
        title: 'the caller is told that it goes on, and the completer finds the charge (F49, F51)',
      },
    ],
  },
  {
    id: 'F52',
    fault: '502, 503 without charging',
    invariants: ['I5'],
    provedBy: [matrix, whatGoesWrong],
  },
  {
    id: 'F53',
    fault: 'down for minutes',
    invariants: ['I5', 'I11', 'I13'],
    provedBy: [
      { act: 'bank outage' },
      matrix,
      {
        test: outageEnds,
        title: 'payments are taken on, told to be pending, and drained when the bank is back',
      },
      {
        test: bankKilled,
        title:
          'under load (F53): our own books go on, others are told 202, and all of it is paid when the bank is back',
      },
    ],
  },
  {
    id: 'F54',
    fault: 'the connection breaks in mid-answer',
    invariants: ['I6'],
    provedBy: [matrix, whatGoesWrong],
  },
  {
    id: 'F55',
    fault: 'one byte a second',
    invariants: ['I11'],
    provedBy: [matrix, whatGoesWrong],
  },
  {
    id: 'F56',
    fault: '200 with HTML, nothing, broken JSON or a wrong content type',
    invariants: ['I6'],
    provedBy: [
      matrix,
      whatGoesWrong,
      {
        test: 'src/bank/bank-answer.spec.ts',
        title: 'is unknown where it does not call itself JSON, whatever its status and body',
      },
    ],
  },
  {
    id: 'F57',
    fault: '200 for another reference, amount or currency',
    invariants: ['I2', 'I4'],
    provedBy: [matrix, { test: senseless, title: 'an answer about another payment (F57)' }],
  },
  {
    id: 'F58',
    fault: 'the bank ignores its own idempotency and charges twice: detected, not prevented',
    invariants: ['I1'],
    provedBy: [
      matrix,
      { test: senseless, title: 'by the reconciler: its gauge leaves 0, and the difference is named' },
    ],
  },
  {
    id: 'F59',
    fault: 'the bank forgets references sooner than our outage ends',
    invariants: ['I1'],
    provedBy: [
      matrix,
      {
        test: senseless,
        title: 'a payment past the bank’s memory is only asked for, never sent, and parked at last',
      },
      { test: onlyADecline, title: 'never sends what the bank may have forgotten' },
    ],
  },
  {
    id: 'F60',
    fault: 'asked: not found; later: charged',
    invariants: ['I1', 'I6'],
    provedBy: [
      matrix,
      whatGoesWrong,
      { test: senseless, title: 'not found, and found later, is paid (F60)' },
    ],
  },
  {
    id: 'F61',
    fault: 'the bank is at work on it',
    invariants: ['I5'],
    provedBy: [matrix, whatGoesWrong],
  },
  {
    id: 'F62',
    fault: '429 with Retry-After, in seconds and as a date',
    invariants: ['I11'],
    provedBy: [
      matrix,
      whatGoesWrong,
      { test: unknown, title: '429 for as long as the caller waits: 202, not 429 (F62)' },
      { test: 'src/bank/backoff.spec.ts', title: 'is read as a date, and a date that has passed means: now' },
    ],
  },
  {
    id: 'F63',
    fault: 'a definite decline',
    invariants: ['I3'],
    provedBy: [
      matrix,
      {
        test: unknown,
        title:
          'dee is declined: nothing is charged, the money is free again, and a new key may try again (F63)',
      },
      {
        test: unknown,
        title:
          'a decline is heard also after %s: no charge, no money held, and the same answer for ever (F63)',
      },
    ],
  },
  {
    id: 'F64',
    fault: 'a decline after an approval that timed out',
    invariants: ['I6'],
    provedBy: [
      matrix,
      whatGoesWrong,
      {
        test: onlyADecline,
        title: 'lets an approval win over a decline that came after an answer was lost',
      },
    ],
  },
  {
    id: 'F65',
    fault: 'redirected to another host',
    invariants: ['I9'],
    provedBy: [
      matrix,
      {
        test: unknown,
        title: 'a redirect is not followed, and our credentials go nowhere else (F65)',
      },
      {
        test: onlyADecline,
        title: 'follows no redirect: the other host hears nothing, least of all the key',
      },
    ],
  },
  {
    id: 'F66',
    fault: 'no such host, no TLS, connection refused: certainly not sent',
    invariants: ['I6'],
    provedBy: [
      matrix,
      {
        test: unknown,
        title: 'where %s it was certainly not sent, and is sent as soon as somebody can (F66)',
      },
      {
        test: notSent,
        title: 'is given when nobody listens, when there is no such host, and when TLS fails',
      },
    ],
  },
];
