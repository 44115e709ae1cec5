import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import circus from 'jest-circus/runner';

/**
 * Jest's own runner, for Stryker: it ends with the first test that fails, since one is enough to see a mutant, and it
 * does not load a spec of which no test reaches the mutant. Jest by itself would load every spec for every mutant and
 * run what is left of them, which took most of the time.
 */
const { default: jestCircus } = circus;

/** The mutant that was seen last: there is nothing more to learn about it. */
let seen;

export default async function untilOneFails(globalConfig, config, environment, runtime, path, ...more) {
  const run = () => jestCircus(globalConfig, config, environment, runtime, path, ...more);
  const mutant = process.env.__STRYKER_ACTIVE_MUTANT__;
  if (mutant === undefined) return remembering(config, path, run);
  const durations = JSON.parse(readFileSync(memoryOf(config, path), 'utf8'));
  if (seen === mutant || !isReached(globalConfig, Object.keys(durations))) return skipped(path);

  const handle = environment.handleTestEvent?.bind(environment);
  environment.handleTestEvent = async (event, state) => {
    await handle?.(event, state);
    const isRed =
      event.name === 'hook_failure' || (event.name === 'test_done' && event.test.errors.length > 0);
    if (isRed) seen = mutant;
    // What a broken engine holds up is not waited for when its API is stopped.
    if (event.name === 'hook_start' && seen === mutant) event.hook.timeout = 2_000;
    if (event.name !== 'test_start') return;
    if (seen === mutant) event.test.mode = 'skip';
    // A mutant that waits for what never comes is not to hold up all others.
    event.test.timeout = 5_000 + 3 * (durations[fullNameOf(event.test)] ?? 0);
  };
  const result = await run();
  // That an API could not be stopped after a test had failed is no reason not to count that test.
  if (result.numFailingTests > 0) result.testExecError = undefined;
  return result;
}

/** The first run is without any mutant: it shows which tests there are, and how long each takes. */
async function remembering(config, path, run) {
  const result = await run();
  const durations = result.testResults.map(({ fullName, duration }) => [fullName, duration ?? 0]);
  mkdirSync(memoryIn(config), { recursive: true });
  writeFileSync(memoryOf(config, path), JSON.stringify(Object.fromEntries(durations)));
  return result;
}

function memoryIn({ rootDir }) {
  return join(rootDir, '.test-durations');
}

function memoryOf(config, path) {
  return join(memoryIn(config), `${basename(path)}.json`);
}

/** Stryker names the tests that reach a mutant; of one that is reached while files are loaded, it names none. */
function isReached({ testNamePattern }, names) {
  if (!testNamePattern) return true;
  const pattern = new RegExp(testNamePattern, 'i');
  return names.some(name => pattern.test(name));
}

function fullNameOf({ name, parent }) {
  return parent.parent ? `${fullNameOf(parent)} ${name}`.trim() : name;
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
