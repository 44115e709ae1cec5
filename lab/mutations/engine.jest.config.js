import project from '../../jest.config.js';

/**
 * What Stryker runs for each mutant of a folder: whatever covers it in this very process, and the quickest of that. The
 * model runs the engine as it is over a store in memory, in no time; most decisions are judged there. Tests that start
 * the service as a process of its own run what was built, and that has no mutants.
 */
const specs = {
  idempotency: [
    'src/idempotency/*',
    'src/payments/take-payment',
    'test/model/random-schedules',
    'test/promises/{a-claim,an-old}*',
  ],
  ledger: [
    'src/ledger/*',
    'src/payments/take-payment',
    'test/model/random-schedules',
    'test/promises/the-books*',
    'test/contract/resources',
  ],
  recovery: ['src/recovery/*', 'test/recovery/{an-answer,both-books,what-is-parked}*'],
};

const chosen = specs[process.env.MUTATED_FOLDER] ?? Object.values(specs).flat();

export default {
  ...project,
  rootDir: '../..',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: chosen.map(spec => `<rootDir>/${spec}.spec.ts`),
  // A mutant that waits for what never comes is not to hold up all others.
  testTimeout: 15_000,
};
