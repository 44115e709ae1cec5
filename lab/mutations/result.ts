import { stripVTControlCharacters } from 'node:util';
import type { Mutation, NamedTest } from './mutation.js';
import { patternOf } from './named-test.js';
import type { Ended } from './scratch-copy.js';

/** What is known of each mistake, by its id: of all runs that wrote to the same file. */
export type MutationsResult = Readonly<Record<string, MutationResult>>;

export interface MutationResult {
  readonly mutation: string;
  readonly at: string;
  readonly commit: string;
  readonly mistake: string;
  readonly breaks: string;
  readonly files: readonly string[];
  /** The names of the tests that turned red. None: it survived, and a test is missing. */
  readonly caughtBy: readonly string[];
  readonly test: string;
  /** How the first of them complained. A test may be red for another reason than the one it was named for. */
  readonly said: string;
  readonly seconds: number;
}

/** Those of `ended` that `test` names. */
export function endsOf(test: NamedTest, ended: readonly Ended[]): Ended[] {
  const pattern = new RegExp(patternOf(test));
  return ended.filter(({ file, fullName }) => file === test.file && pattern.test(fullName));
}

/** Why a test says nothing about a mistake, as it ended without any; `undefined` where it says something. */
export function whyNoEvidence(test: NamedTest, ended: readonly Ended[]): string | undefined {
  const ends = endsOf(test, ended);
  if (ends.length === 0) return 'no test of that name was run';
  const red = ends.find(({ isPassed }) => !isPassed);
  return red && `it is red anyway: ${complaintOf(red.said)}`;
}

/** The harness failed, not the service: a busy machine did not start a process in time, or another one took its port. */
const harnessFailed = /did not get ready within|EADDRINUSE|could not be started|the server did not start/;

/** What was tried, and how long that took. */
export interface Trial {
  readonly commit: string;
  readonly seconds: number;
}

/** @returns a sentence, where nothing was learned */
export function resultOf(
  mutation: Mutation,
  ended: readonly Ended[],
  { commit, seconds }: Trial,
): MutationResult | string {
  const { id, mistake, breaks, patches, caughtBy } = mutation;
  const red = endsOf(caughtBy, ended).filter(({ isPassed }) => !isPassed);
  const trouble = red.flatMap(({ said }) => said).find(each => harnessFailed.test(each));
  if (trouble !== undefined) return `the harness failed: ${complaintOf([trouble])}`;
  return {
    mutation: id,
    at: new Date().toISOString(),
    commit,
    mistake,
    breaks,
    files: [...new Set(patches.map(({ file }) => file))],
    caughtBy: red.map(({ fullName }) => fullName),
    test: caughtBy.file,
    said: complaintOf(red[0]?.said ?? []),
    seconds,
  };
}

/** What was expected and what came instead, in a line; the stack behind it is of no use to a reader. */
function complaintOf(said: readonly string[]): string {
  const complaints = said.map(each => {
    const [words = ''] = stripVTControlCharacters(each).split(/\n\s+at /);
    return words.split(/\s+/).join(' ').slice(0, 250).trim();
  });
  return complaints.join(' | ');
}
