import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import circus from 'jest-circus/runner';

/**
 * Jest's own runner, for Stryker: it ends with the first test that fails, since one is enough to see a mutant, and it
 * does not load a spec of which no test reaches the mutant. Jest by itself would load every spec for every mutant and
 * run what is left of them, which took most of the time.
 */
const { default: jestCircus } = circus;
let seen;

export default async function untilOneFails(globalConfig, config, environment, runtime, path, ...more) {
  const mutant = process.env.__STRYKER_ACTIVE_MUTANT__;
  if (mutant === undefined) {
    const result = await jestCircus(globalConfig, config, environment, runtime, path, ...more);
    const names = result.testResults.map(({ fullName }) => fullName);
    mkdirSync(namesIn(config), { recursive: true });
    writeFileSync(namesOf(config, path), JSON.stringify(names));
    return result;
  }
  if (seen === mutant || !reaches(globalConfig, namesOf(config, path))) return skipped(path);

  const handle = environment.handleTestEvent?.bind(environment);
  environment.handleTestEvent = async (event, state) => {
    await handle?.(event, state);
    if (event.name === 'test_done' && event.test.errors.length > 0) seen = mutant;
    if (event.name !== 'test_start') return;
    if (seen === mutant) event.test.mode = 'skip';
    event.test.timeout = Math.min(event.test.timeout ?? config.testTimeout, config.testTimeout);
  };
  return jestCircus(globalConfig, config, environment, runtime, path, ...more);
}

/** Stryker names the tests that reach a mutant; of one that is reached while files are loaded, it names none. */
function reaches({ testNamePattern }, names) {
  if (!testNamePattern) return true;
  const pattern = new RegExp(testNamePattern, 'i');
  return JSON.parse(readFileSync(names, 'utf8')).some(name => pattern.test(name));
}

function namesIn({ rootDir }) {
  return join(rootDir, '.test-names');
}

function namesOf(config, path) {
  return join(namesIn(config), `${basename(path)}.json`);
}

/** What Jest makes of a file all of whose tests are skipped. */
function skipped(testFilePath) {
  const test = { status: 'pending', fullName: '', title: '', ancestorTitles: [], failureMessages: [] };
  return {
    leaks: false,
    numFailingTests: 0,
    numPassingTests: 0,
    numPendingTests: 1,
    numTodoTests: 0,
    openHandles: [],
    perfStats: { start: 0, end: 0, runtime: 0, slow: false },
    skipped: true,
    snapshot: {
      added: 0,
      fileDeleted: false,
      matched: 0,
      unchecked: 0,
      uncheckedKeys: [],
      unmatched: 0,
      updated: 0,
    },
    testFilePath,
    testResults: [{ ...test, failureDetails: [], numPassingAsserts: 0 }],
  };
}
