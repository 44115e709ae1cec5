import project from '../../jest.config.js';

/** What Stryker runs for each mutant: the specs that mutate-engine.ts names, quickest first. */
const specs = process.env.MUTANTS_MEET.split(',');

export default {
  ...project,
  rootDir: '../..',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: specs.map(spec => `<rootDir>/${spec}*.spec.ts`),
  testRunner: '<rootDir>/lab/mutations/jest-circus-until-one-fails.js',
  testSequencer: '<rootDir>/lab/mutations/in-order.sequencer.js',
};
