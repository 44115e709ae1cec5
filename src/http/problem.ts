import { problems, type ProblemCode } from './problems.js';

/** What a member of a request did wrong. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** More that a problem may carry: members of the body, and headers. */
interface Extras {
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal on its way to the caller. `detail` is for people: it names what is wrong, and no secret. */
export class Problem extends Error {
  override readonly name = 'Problem';

  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    readonly extras: Extras = {},
  ) {
    super(`${code}: ${detail}`);
  }

  static invalid(errors: readonly FieldError[]): Problem {
    const [first] = errors;
    const detail = first ? `${first.field}: ${first.message}` : 'The request is not valid.';
    return new Problem('invalid_request', detail, { members: { errors } });
  }
}

/** The body of a problem, RFC 9457. */
export function problemToJson(
  code: ProblemCode,
  detail: string,
  members: Readonly<Record<string, unknown>> = {},
) {
  const { title, status, retryable } = problems[code];
  return { type: `/problems/${code}`, title, status, code, detail, retryable, ...members };
}
