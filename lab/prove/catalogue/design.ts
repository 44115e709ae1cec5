import type { CatalogueRow } from './row.js';

const lostCommit = 'test/promises/a-lost-commit-is-not-a-lost-payment.spec.ts';
const onePayment = 'test/promises/one-key-one-payment.spec.ts';
const cancelled = 'test/promises/a-cancelled-key-stays-closed.spec.ts';
const refunds = 'test/promises/refunds-never-exceed-the-payment.spec.ts';
const moment = 'test/faults/at-the-same-moment.spec.ts';
const waiters = 'test/faults/waiters-are-not-forgotten.spec.ts';

/** What no older list has: a transaction that is shared, a cancel, an answer that is rebuilt. */
export const designRows: readonly CatalogueRow[] = [
  {
    id: 'F107',
    fault: 'one poison attempt in a batch',
    invariants: ['I2', 'I5'],
    provedBy: [
      {
        test: 'test/promises/one-bad-payment-harms-no-other.spec.ts',
        title: 'one bad payment harms no other (F107)',
      },
    ],
  },
  {
    id: 'F108',
    fault: 'the COMMIT of a batch of 50 is cut, both ways',
    invariants: ['I1', 'I2', 'I3'],
    provedBy: [
      { act: 'lost commits' },
      { test: lostCommit, title: '%s: neither is it for any of 50 that shared it (F108)' },
    ],
  },
  {
    id: 'F109',
    fault: 'equal and different repeats within one batch',
    invariants: ['I1', 'I14'],
    provedBy: [
      { act: 'races' },
      {
        test: onePayment,
        title:
          'also when they share a transaction: the first pays, equal ones are replayed, different ones refused (F109)',
      },
    ],
  },
  {
    id: 'F110',
    fault: 'the reaper deletes a row between a repeat’s claim and its reading it',
    invariants: ['I1', 'I3'],
    provedBy: [
      {
        test: 'test/promises/a-key-is-remembered-for-ever.spec.ts',
        title: 'also when the answer expires at the very moment of the repeat (F110)',
      },
      {
        test: 'test/recovery/a-late-repeat-pays-nothing.spec.ts',
        title: 'also while two reapers are at work on that very key',
      },
    ],
  },
  {
    id: 'F111',
    fault: 'a cancel races the original',
    invariants: ['I1', 'I6'],
    provedBy: [
      {
        test: moment,
        title:
          'F111: a cancel, and a completer that is about to send: voided and never asked, or charged and paid',
      },
      { test: cancelled, title: 'cancelling and paying at the same moment, one wins (rail %s)' },
      {
        test: cancelled,
        title:
          'one that may be at the bank is not cancelled: nothing is voided, and the caller asks again later',
      },
    ],
  },
  {
    id: 'F112',
    fault: 'PUT /operations/{key} races the POST with that key',
    invariants: ['I1', 'I3'],
    provedBy: [
      {
        test: moment,
        title: 'F112: PUT and POST with one key are one execution, and one stored answer (rail %s)',
      },
      {
        test: 'test/contract/operations.spec.ts',
        title: 'both at once, twenty times: one payment, and one answer',
      },
    ],
  },
  {
    id: 'F113',
    fault: 'a customer without keys: equal requests inside and after the window',
    invariants: ['I1'],
    provedBy: [
      {
        test: 'test/faults/a-window-is-the-databases.spec.ts',
        title:
          'F113: inside it, equal requests are one payment, at any instance, after a restart, whatever its clock says',
      },
      {
        test: 'test/contract/keyless.spec.ts',
        title: 'a customer that cannot send keys is recognised by what it asks for',
      },
    ],
  },
  {
    id: 'F114',
    fault: 'the holder is killed while others wait for its answer',
    invariants: ['I5', 'I11', 'I13'],
    provedBy: [
      {
        test: waiters,
        title: 'F114: their holder dies %s: one of them goes on, and all are told the same in time',
      },
      {
        test: waiters,
        title:
          'F114: only so many wait, and those that have left make room, when their wait is over at the latest',
      },
    ],
  },
  {
    id: 'F115',
    fault: '100 payments of £1 from an account with £50',
    invariants: ['I4'],
    provedBy: [
      {
        test: 'test/promises/money-is-conserved.spec.ts',
        title:
          '100 payments of £1 from an account with £50: fifty are paid, fifty declined, none goes below zero (F115)',
      },
    ],
  },
  {
    id: 'F116',
    fault: 'two refunds that are together above the payment',
    invariants: ['I4'],
    provedBy: [
      {
        test: moment,
        title: 'F116: two refunds that are together more than the payment: one is given, the other refused',
      },
      { test: refunds, title: 'of 20 that arrive together, as many succeed as fit (rail %s)' },
    ],
  },
  {
    id: 'F117',
    fault: 'collisions told with 422',
    invariants: ['I14'],
    provedBy: [
      {
        test: 'test/faults/the-drafts-profile-tells-collisions-apart.spec.ts',
        title: 'the draft’s profile tells collisions apart as well',
      },
    ],
  },
];
