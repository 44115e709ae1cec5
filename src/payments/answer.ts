import { problemToJson } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import type { Answer, Decision } from '../idempotency/operation.js';

interface Paid {
  readonly status: string;
  readonly declineCode: string | null;
  readonly declineMessage: string | null;
}

/**
 * The answer to a caller: 200 with what was done, or 402 with a problem that carries what was declined. Each member
 * comes from the row, so that the same bytes can be put together again when the stored ones are gone.
 */
export function answerFor(what: Paid, json: { readonly object: string }): Answer {
  if (what.status !== 'declined') return { status: 200, body: JSON.stringify(json) };
  const problem = problemToJson(what.declineCode as ProblemCode, what.declineMessage ?? '', {
    [json.object]: json,
  });
  return { status: 402, body: JSON.stringify(problem) };
}

export function refuse(code: ProblemCode, detail: string): Decision {
  return { kind: 'refuse', refusal: { code, detail } };
}
