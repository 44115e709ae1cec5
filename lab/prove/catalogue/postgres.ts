import type { CatalogueRow, Proof } from './row.js';

const killed = 'test/crashes/the-database-is-killed.spec.ts';
const outage = 'test/promises/an-outage-ends.spec.ts';
const busy = 'test/promises/a-busy-database-only-delays-a-payment.spec.ts';
const lostCommit = 'test/promises/a-lost-commit-is-not-a-lost-payment.spec.ts';
const failures = 'test/promises/a-failure-is-told-by-what-it-does.spec.ts';
const repeated = 'test/faults/what-is-repeated-asks-nobody-again.spec.ts';
const health = 'test/edges/health.spec.ts';

const kills: Proof = { act: 'postgres kills' };
const commits: Proof = { act: 'lost commits' };
const troubles: Proof = { act: 'database troubles' };

const underLoad: Proof = { test: killed, title: '%s, under load: the same holds' };
const accountHeld: Proof = {
  test: busy,
  title: 'when somebody holds an account for longer than a payment waits',
};
const everythingRepeated: Proof = {
  test: busy,
  title: '%s, %s: everything is repeated, the payment is made once',
};
const firstAnswer: Proof = {
  test: lostCommit,
  title: '%s: the caller gets a first answer, and Sam one payment',
};
const readOnly: Proof = {
  test: outage,
  title: 'in which the database may only be read, after a fail-over say (F43)',
};

/** What goes wrong with our own database, or on the way to it. */
export const postgresRows: readonly CatalogueRow[] = [
  {
    id: 'F22',
    fault: 'SIGKILL for the postmaster and every backend',
    invariants: ['I2', 'I4'],
    provedBy: [
      kills,
      {
        test: killed,
        title:
          'ten times in a row, under load: each key is one payment and one charge, whatever its callers were told',
      },
    ],
  },
  {
    id: 'F23',
    fault: 'SIGKILL for one foreign backend, which ends all others',
    invariants: ['I2', 'I11'],
    provedBy: [kills, underLoad],
  },
  {
    id: 'F24',
    fault: 'fast shutdown, then start',
    invariants: ['I2', 'I5'],
    provedBy: [
      kills,
      underLoad,
      {
        test: outage,
        title: 'of connections that are welcomed and dropped in one breath ends no process (F24)',
      },
    ],
  },
  {
    id: 'F25',
    fault: 'immediate shutdown during a checkpoint',
    invariants: ['I2'],
    provedBy: [kills, underLoad],
  },
  {
    id: 'F26',
    fault: 'fail-over: a second server takes over, the first may only be read',
    invariants: ['I2', 'I11'],
    provedBy: [troubles, readOnly],
  },
  {
    id: 'F27',
    fault: 'fail-over to an asynchronous replica that has not got the tail',
    invariants: ['I1', 'I6'],
    provedBy: [troubles],
  },
  {
    id: 'F28',
    fault: 'connections are refused for some seconds',
    invariants: ['I13', 'I5'],
    provedBy: [
      troubles,
      { test: outage, title: 'before a call: 503, nothing paid, then the same key pays' },
      {
        test: health,
        title: 'is live but not ready while the database is away, and ready again once it is back',
      },
    ],
  },
  {
    id: 'F29',
    fault: 'reset at protocol message n, for each n of a transaction',
    invariants: ['I1', 'I2', 'I11'],
    provedBy: [commits, { test: lostCommit, title: 'and a connection reset at any message (F29)' }],
  },
  {
    id: 'F30',
    fault: 'cut before COMMIT reaches the server',
    invariants: ['I1', 'I2'],
    provedBy: [commits, firstAnswer],
  },
  {
    id: 'F31',
    fault: 'cut after COMMIT was forwarded',
    invariants: ['I1', 'I2', 'I3'],
    provedBy: [
      commits,
      firstAnswer,
      { test: lostCommit, title: '%s: nor for another instance that has the key in hand as well' },
    ],
  },
  {
    id: 'F32',
    fault: 'silence: no reset, no end',
    invariants: ['I11', 'I5'],
    provedBy: [
      troubles,
      { test: outage, title: 'in the middle of a payment: 503, and the same key pays once' },
      {
        test: health,
        title:
          'says 503 on every call that needs a database that %s, and never an answer of its own making (S29)',
      },
    ],
  },
  {
    id: 'F33',
    fault: 'latency of seconds, with jitter',
    invariants: ['I5', 'I13'],
    provedBy: [troubles],
  },
  {
    id: 'F34',
    fault: 'dead sockets in the pool after a restart',
    invariants: ['I13'],
    provedBy: [{ test: outage, title: 'of connections that died while idle is not noticed either (F34)' }],
  },
  {
    id: 'F35',
    fault: 'the pool is exhausted',
    invariants: ['I11', 'I13'],
    provedBy: [
      {
        test: 'test/promises/nothing-is-held-during-a-call.spec.ts',
        title: 'so that a slow bank slows nobody else, on two connections either (F35)',
      },
      { test: outage, title: 'in which all of an instance’s connections are taken (F35)' },
    ],
  },
  {
    id: 'F36',
    fault: 'too many connections',
    invariants: ['I13'],
    provedBy: [{ test: outage, title: 'in which the database takes no more connections (F36)' }],
  },
  {
    id: 'F37',
    fault: 'statement time-out',
    invariants: ['I2'],
    provedBy: [accountHeld, everythingRepeated],
  },
  {
    id: 'F38',
    fault: 'lock time-out',
    invariants: ['I13'],
    provedBy: [
      accountHeld,
      { test: busy, title: 'when somebody else has the same key in hand, and does not finish (F38)' },
    ],
  },
  {
    id: 'F39',
    fault: 'idle-in-transaction and transaction time-out',
    invariants: ['I11'],
    provedBy: [
      {
        test: 'test/crashes/a-frozen-process-holds-nobody-up.spec.ts',
        title: 'a frozen process holds nobody up (F39)',
      },
      {
        test: failures,
        title:
          'so is a transaction that took too long, where the server knows such a limit (from version 17)',
      },
    ],
  },
  {
    id: 'F40',
    fault: 'the disk is full',
    invariants: ['I2', 'I4', 'I13'],
    provedBy: [troubles, everythingRepeated],
  },
  {
    id: 'F41',
    fault: 'deadlock with somebody who locks accounts in another order',
    invariants: ['I4', 'I5'],
    provedBy: [
      { test: busy, title: 'in a deadlock with somebody who locks accounts in another order (F41)' },
      {
        test: repeated,
        title: 'F41: %s in a deadlock: all of it is repeated, and the bank hears nothing of it',
      },
    ],
  },
  {
    id: 'F42',
    fault: 'serialization failure',
    invariants: ['I5'],
    provedBy: [
      everythingRepeated,
      {
        test: repeated,
        title: 'F42: %s in a serialization failure: all of it is repeated, and the bank hears nothing of it',
      },
      {
        test: busy,
        title: 'whose default is another isolation: payments run in READ COMMITTED all the same (F42)',
      },
    ],
  },
  {
    id: 'F43',
    fault: 'read-only transaction',
    invariants: ['I13'],
    provedBy: [readOnly],
  },
  {
    id: 'F44',
    fault: 'the statement of a client that has vanished goes on',
    invariants: ['I7'],
    provedBy: [
      {
        test: 'test/faults/a-vanished-client-changes-nothing.spec.ts',
        title: 'a vanished client changes nothing',
      },
    ],
  },
  {
    id: 'F45',
    fault: 'an old snapshot keeps dead rows from being cleaned away',
    invariants: ['I11'],
    provedBy: [
      {
        test: 'test/faults/an-old-snapshot-slows-nobody.spec.ts',
        title: 'F45: with 2,000 dead versions of the busiest rows, a payment takes about as long as before',
      },
    ],
  },
  {
    id: 'F46',
    fault: 'ACCESS EXCLUSIVE on the table of keys, by a migration',
    invariants: ['I13'],
    provedBy: [
      { test: 'test/faults/a-locked-table-only-delays.spec.ts', title: 'a locked table only delays' },
    ],
  },
  {
    id: 'F47',
    fault: 'rows restored from a backup one hour old',
    invariants: ['I1', 'I6'],
    provedBy: [
      {
        test: 'test/faults/a-restored-backup-is-found-out.spec.ts',
        title: 'F47: each forgotten payment is named, and nothing is charged again by anybody here',
      },
    ],
  },
  {
    id: 'F48',
    fault: 'connections through a transaction pooler',
    invariants: ['I7'],
    provedBy: [{ test: 'test/faults/no-session-is-needed.spec.ts', title: 'no session is needed' }],
  },
];
