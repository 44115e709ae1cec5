/** The pure decisions alone, without PostgreSQL: what Stryker runs for each mutant, so it has to be quick. */
export default {
  testEnvironment: 'node',
  rootDir: 'src/policy',
  testMatch: ['**/*.spec.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': '@swc/jest' },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};
