import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { explain, Refusal } from '../../start/refusal.js';
import { colours, complain, say } from '../../start/screen.js';
import { everyMutation } from './every-mutation.js';
import { PatchDoesNotFit, type Mutation } from './mutation.js';
import { resultOf, whyNoEvidence, type MutationResult, type MutationsResult } from './result.js';
import { NotRun, ScratchCopy } from './scratch-copy.js';

const usage = `npm run mutations -- [options]
  --only IDS    only these, e.g. M6 or M6c,M8
  --json FILE   writes what came of each to it, and leaves there what it knows of the others
  --help        this text

Makes mistakes in a copy of this project, one at a time, and runs the test that must notice.
It ends with 1 if one was not noticed, and with 2 if one could not be made or tried: then there is no verdict.`;

const project = process.cwd();
const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    stopping.abort(new Refusal('Stopped.', 'Nothing was changed here.'));
  });
}

try {
  const { only, json, help } = readOptions();
  if (help) say(usage);
  else await makeMistakes(chosen(only), json);
} catch (error) {
  complain(explain(error));
  process.exitCode = stopping.signal.aborted ? 130 : 2;
}
process.exit();

async function makeMistakes(mutations: readonly Mutation[], json: string | undefined): Promise<void> {
  const copy = ScratchCopy.make(project);
  const results: MutationResult[] = [];
  const untried: string[] = [];
  try {
    const reasons = await tryUnbroken(copy, mutations);
    for (const mutation of mutations) {
      const why = reasons.get(mutation);
      const result = why ?? (await tryMutation(copy, mutation));
      if (typeof result === 'string') {
        untried.push(mutation.id);
        complain(`${mutation.id}: ${result}`);
      } else {
        results.push(result);
        tell(result);
      }
    }
  } finally {
    copy.delete();
  }

  const survivors = results.filter(({ caughtBy }) => caughtBy.length === 0).length;
  say(
    `${results.length - survivors} of ${mutations.length} caught, ${survivors} survived, ${untried.length} not tried.`,
  );
  if (json !== undefined) addTo(json, results);
  if (untried.length > 0) process.exitCode = 2;
  else if (survivors > 0) process.exitCode = 1;
}

/**
 * Runs every named test where nothing is broken: one that is red anyway proves nothing, and one that does not exist even
 * less. It is not repeated in the hope of better luck.
 *
 * @returns why a mistake is not worth making
 */
async function tryUnbroken(
  copy: ScratchCopy,
  mutations: readonly Mutation[],
): Promise<ReadonlyMap<Mutation, string>> {
  const tests = mutations.map(({ caughtBy }) => caughtBy);
  say(`Without any mistake: ${new Set(tests.map(({ file }) => file)).size} files of tests …`);
  copy.build();
  const ended = await copy.run(tests, stopping.signal);
  const reasons = new Map<Mutation, string>();
  for (const mutation of mutations) {
    const { file, title } = mutation.caughtBy;
    const why = whyNoEvidence(mutation.caughtBy, ended);
    if (why !== undefined) reasons.set(mutation, `“${title}” of ${file} is no evidence: ${why}`);
  }
  if (reasons.size === 0) say(`${colours.green('✓')} ${ended.length} tests are green.`);
  return reasons;
}

/** @returns what came of it, or why it could not be tried */
async function tryMutation(copy: ScratchCopy, mutation: Mutation): Promise<MutationResult | string> {
  const began = performance.now();
  try {
    const ended = await copy.withMistake(mutation, () => copy.run([mutation.caughtBy], stopping.signal));
    return resultOf(mutation, ended, { commit: commitHere(), seconds: secondsSince(began) });
  } catch (error) {
    if (error instanceof PatchDoesNotFit || error instanceof NotRun) return error.message;
    throw error;
  }
}

function tell({ mutation, mistake, caughtBy: [first], test, said, seconds }: MutationResult): void {
  const head = `${mutation.padEnd(5)} ${mistake}`;
  if (first === undefined) {
    complain(`${head}\n        SURVIVED ${test} (${seconds} s)`);
    return;
  }
  say(`${colours.green('✓')} ${head}\n        caught by ${test}: “${first}” (${seconds} s)`);
  say(colours.dim(`        ${said}`));
}

function chosen(only: string | undefined): readonly Mutation[] {
  if (only === undefined) return everyMutation;
  const ids = only.split(',').map(id => id.trim());
  // M6 means all of its variants.
  const wanted = everyMutation.filter(({ id }) => ids.includes(id) || ids.includes(id.replace(/[a-z]$/, '')));
  if (wanted.length === 0) throw new Refusal('--only leaves nothing to try.', usage);
  return wanted;
}

/** Of a folder that holds more than its commit, that is said. */
function commitHere(): string {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: project, encoding: 'utf8' }).stdout.trim();
  const isChanged = git('status', '--porcelain', '--untracked-files=no') !== '';
  return git('rev-parse', '--short', 'HEAD') + (isChanged ? ', changed' : '');
}

/** Of the others, what was known before is still there, each with the commit at which it was tried. */
function addTo(file: string, results: readonly MutationResult[]): void {
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as MutationsResult) : {};
  const all: Record<string, MutationResult> = { ...known };
  for (const result of results) all[result.mutation] = result;
  const inOrder = everyMutation.flatMap(({ id }) => (all[id] ? [[id, all[id]] as const] : []));
  writeFileSync(file, JSON.stringify(Object.fromEntries(inOrder), null, 2) + '\n');
}

function secondsSince(began: number): number {
  return Math.round((performance.now() - began) / 100) / 10;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  return values;
}
