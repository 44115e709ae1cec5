/** Files that meet the same specs. */
export interface Part {
  readonly folder: 'ledger' | 'idempotency' | 'recovery';
  readonly files: readonly string[];
  /**
   * The specs that a mutant meets, quickest first, until one of them fails, as the beginnings of their paths. They run
   * the code in their own process: those that start the service as one of its own run what was built, and that has no
   * mutants.
   */
  readonly specs: readonly string[];
  /**
   * Whether what is computed once, while files are loaded, is mutated too: columns, patterns, bounds. Each of those
   * meets all tests, which only few and quick specs can afford.
   */
  readonly withStatic: boolean;
}

export const parts: readonly Part[] = [
  {
    folder: 'ledger',
    files: ['*'],
    specs: [
      'src/ledger/',
      'src/payments/take-payment',
      'test/model/random-schedules',
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
  // Rules: they decide, and reach for nothing but what they are given.
  {
    folder: 'idempotency',
    files: [
      'drive',
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
  // Transactions, and whoever waits for them: over the model's database, in milliseconds.
  {
    folder: 'idempotency',
    files: [
      'atomic-phase',
      'cancel',
      'claim',
      'duplicates',
      'group-commit',
      'look-up',
      'recall',
      'run-operation',
      'take-over',
    ],
    specs: [
      'src/idempotency/',
      'test/model/a-request-ends',
      'test/model/a-key-is-closed',
      'test/model/an-operation-goes-on',
    ],
    withStatic: false,
  },
  // The edge, over HTTP and PostgreSQL.
  {
    folder: 'idempotency',
    files: ['idempotency.interceptor', 'operations.controller'],
    specs: [
      'test/contract/calling',
      'test/contract/operations',
      'test/contract/problems',
      'test/promises/a-cancelled-key',
    ],
    withStatic: false,
  },
];
