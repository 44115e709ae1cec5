/** Files that meet the same specs. */
export interface Part {
  readonly folder: 'ledger' | 'idempotency' | 'recovery';
  readonly files: readonly string[];
  /**
   * The specs that a mutant meets, quickest first, until one of them fails, as the beginnings of their paths. They run
   * the code in their own process: those that start the service as one of its own run what was built, and that has no
   * mutants. The model runs the engine as it is over a store in memory, in no time; most decisions are judged there.
   */
  readonly specs: readonly string[];
  /**
   * Whether mutants are made of what is computed once, while files are loaded, too: columns, patterns, bounds. Each
   * meets all tests, which only quick specs can afford.
   */
  readonly withStatic: boolean;
}

const model = 'test/model/random-schedules';

export const parts: readonly Part[] = [
  {
    folder: 'ledger',
    files: ['*'],
    specs: [
      'src/ledger/',
      'src/payments/take-payment',
      model,
      'test/promises/the-books-hold',
      'test/promises/refunds-never-exceed',
      'test/contract/resources',
      'test/edges/reading',
    ],
    withStatic: true,
  },
  {
    folder: 'recovery',
    files: ['*'],
    specs: [
      'src/recovery/',
      'test/recovery/what-is-parked',
      'test/recovery/both-books-agree',
      'test/recovery/an-answer-is-kept',
    ],
    withStatic: true,
  },
  // Rules: they decide, and reach for nothing.
  {
    folder: 'idempotency',
    files: [
      'events',
      'fingerprint',
      'finished-answers',
      'idempotency-key',
      'judge-repeat',
      'prefer',
      'step',
      'tell',
    ],
    specs: ['src/idempotency/'],
    withStatic: true,
  },
  // One transaction.
  {
    folder: 'idempotency',
    files: [
      'atomic-phase',
      'claim',
      'duplicates',
      'group-commit',
      'idempotency.interceptor',
      'look-up',
      'recall',
      'take-over',
    ],
    specs: [
      'src/idempotency/',
      model,
      'test/promises/an-old-epoch',
      'test/promises/a-claim-never-stands-alone',
      'test/promises/a-running-payment',
      'test/promises/a-key-belongs',
      'test/promises/a-repeat-gets',
      'test/promises/a-key-is-remembered',
      'test/promises/a-refused-request',
      'test/promises/a-repeated-transaction',
      'test/promises/one-bad-payment',
    ],
    withStatic: false,
  },
  // From one transaction to the next, and whoever waits meanwhile.
  {
    folder: 'idempotency',
    files: ['cancel', 'drive', 'operations.controller', 'run-operation'],
    specs: [
      'src/idempotency/',
      model,
      'test/promises/an-old-epoch',
      'test/promises/a-running-payment',
      'test/contract/repeats',
      'test/promises/a-repeat-gets',
      'test/promises/an-abandoned-payment',
      'test/contract/operations',
      'test/promises/a-caller-need-not-wait',
      'test/promises/a-cancelled-key',
    ],
    withStatic: false,
  },
];
