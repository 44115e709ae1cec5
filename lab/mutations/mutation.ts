/**
 * A mistake that somebody could make in this code, made on purpose, and the test that must turn red. One that no test
 * notices is a missing test, whatever the coverage says.
 */
export interface Mutation {
  /** Never used again for another mistake. A letter where the same mistake is made in several ways. */
  readonly id: string;
  /** The mistake, in half a sentence. */
  readonly mistake: string;
  /** What is then not kept any more: invariants by their ids. */
  readonly breaks: string;
  /** All of them together. Where a second wall hides the mistake, one of them takes that wall away. */
  readonly patches: readonly Patch[];
  readonly caughtBy: NamedTest;
}

export interface Patch {
  /** Relative to the project's folder. */
  readonly file: string;
  /** Stands in the file exactly once: a patch that fits in two places could hit the wrong one. */
  readonly find: string;
  readonly replace: string;
}

export interface NamedTest {
  readonly file: string;
  /** Of a test or of a group, as it is written there. */
  readonly title: string;
  /** Which of the tests that share the title: what its first `%s` stands for. Without it, any of them may turn red. */
  readonly filledWith?: string;
}

/** The code has changed since the patch was written. No verdict about the tests. */
export class PatchDoesNotFit extends Error {
  override readonly name = 'PatchDoesNotFit';
}

/** @throws PatchDoesNotFit when what it replaces is not there, or is there twice */
export function patched(source: string, { file, find, replace }: Patch): string {
  const [before, after, ...more] = source.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    const times = source.split(find).length - 1;
    throw new PatchDoesNotFit(
      `${file} holds what is to be replaced ${times} times, not once: ${firstLine(find)}`,
    );
  }
  return before + replace + after;
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
