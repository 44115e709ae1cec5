import type { Arguments } from './arguments.js';
import type { ExitCode } from './exit-code.js';
import type { Session } from './session.js';

/** One word after `paysam`: what it takes, what its help says, and what it does. */
export interface Command {
  readonly name: string;
  /** One line, for the list of all commands. */
  readonly does: string;
  /** What has to be said, word by word: `PAYEE`, `AMOUNT`. */
  readonly words: readonly string[];
  /** What may follow: all of it, or nothing. */
  readonly moreWords?: readonly string[];
  readonly flags: Readonly<Record<string, Flag>>;
  readonly examples: readonly Example[];
  /** For its own help. */
  readonly notes?: string;
  /** It makes several calls at once: what is told of one has to say of which. */
  readonly isCrowd?: true;
  readonly run: (session: Session, args: Arguments) => Promise<Outcome>;
}

export interface Flag {
  /** What stands for its value in the help; without it, the flag takes none. */
  readonly value?: string;
  readonly does: string;
}

export interface Example {
  readonly types: string;
  readonly does: string;
}

/** What a command came to. It is printed in one place, so that a pipe gets nothing but data. */
export interface Outcome {
  readonly exitCode: ExitCode;
  /** All of `--json`. */
  readonly json: Readonly<Record<string, unknown>>;
  /** The same for people; on stdout. */
  readonly lines: readonly string[];
  /** What is not the answer, but should be known; on stderr. */
  readonly remarks?: readonly string[];
  readonly problem?: ToldProblem;
  /** The key of what may not have come to its end: how to go on with it is told. */
  readonly unfinishedKey?: string | null;
}

/** Why there is no good answer, in the order in which a reader asks; on stderr. */
export interface ToldProblem {
  readonly title: string;
  readonly details: readonly string[];
  /** The address of the problem's page. */
  readonly page?: string | null;
  readonly requestId?: string | null;
  /** For `--debug`. */
  readonly error?: unknown;
}
