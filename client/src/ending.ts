import type { Attempted } from './attempt.js';
import {
  Collision,
  Declined,
  DefinitiveNo,
  NotSent,
  OutcomeUnknown,
  Refused,
  Unanswered,
  type PaySamError,
  type Problem,
  type WhyEnded,
} from './errors.js';
import { judge, type Judgement } from './policy/judge.js';
import type { ApiRequest } from './request.js';
import type { Course, Result } from './types.js';

/** The attempts are over. What that means is another question. */
export interface Over<T> {
  readonly attempts: readonly Attempted<T>[];
  /** Why there is no other attempt; of interest only where they did not settle it. */
  readonly why: WhyEnded;
  /** What the last retry took from the budget. */
  readonly lastCost: number;
  /** Where it was no attempt that went wrong. */
  readonly cause?: unknown;
}

export type Ending<T> =
  | { readonly judgement: 'answered'; readonly result: Result<T> }
  | { readonly judgement: Exclude<Judgement, 'answered'>; readonly error: PaySamError };

/** @param memory.isFirst whether nobody can have sent the request before this call */
export function endOf<T>(
  request: ApiRequest<T>,
  over: Over<T>,
  { isFirst }: { isFirst: boolean },
): Ending<T> {
  const course = courseOf(request, over);
  const last = over.attempts.at(-1);
  if (last?.data !== undefined && last.status !== null && last.headers) {
    const { data, status, headers } = last;
    return { judgement: 'answered', result: { ...course, data, status, headers } };
  }

  const { changesSomething: isDoubtful } = request;
  const exchanges = over.attempts.map(({ exchange }) => exchange);
  // A question changes nothing, so what became of it earlier is no matter: its last exchange is all there is to judge.
  const judgement = isDoubtful
    ? judge(exchanges, { resumed: !isFirst })
    : judge(exchanges.slice(-1), { resumed: false });
  if (judgement === 'refused' && last?.problem) {
    return { judgement, error: definitive(last.problem, course) };
  }
  const rest = judgement === 'not_sent' ? judgement : 'unknown';
  return { judgement: rest, error: inconclusive(request, over, course, rest) };
}

/** What was not done, but is still in the journal, may be done by the next `resume()`. */
export function unknownAfterAll<T>(request: ApiRequest<T>, over: Over<T>, cause: unknown): Ending<T> {
  const failed: Over<T> = { ...over, why: 'journal', cause };
  const error = inconclusive(request, failed, courseOf(request, over), 'unknown');
  return { judgement: 'unknown', error };
}

/**
 * Whether the outcome of an entry is known.
 *
 * @param isOurs the entry holds the very bytes that this call has sent. False: it was there before, under the same key,
 *   and may hold another request, so only what is stored under the key says anything about that one
 */
export function isSettled<T>(ending: Ending<T>, isOurs: boolean): boolean {
  switch (ending.judgement) {
    case 'answered':
      return (ending.result.data as { status?: unknown }).status !== 'pending';
    case 'refused':
      return isOurs || ending.error instanceof Declined || codeOf(ending.error) === 'operation_cancelled';
    case 'not_sent':
      return isOurs;
    case 'unknown':
      return false;
  }
}

/** Whether the server keeps this answer under the key: whoever sends the request again gets it again. */
export function isStored<T>(ending: Ending<T>): boolean {
  if (ending.judgement === 'answered') return true;
  const { error } = ending;
  return error instanceof Declined || error instanceof Collision || codeOf(error) === 'operation_cancelled';
}

function codeOf(error: PaySamError): string | null {
  return error instanceof DefinitiveNo ? error.code : null;
}

function courseOf<T>({ key }: ApiRequest<T>, { attempts }: Over<T>): Course {
  const headers = attempts.flatMap(attempted => attempted.headers ?? []);
  return {
    idempotencyKey: key,
    attempts: attempts.length,
    requestIds: headers.flatMap(each => each.get('request-id') ?? []),
    headers: headers.at(-1) ?? null,
    replayed: attempts.at(-1)?.headers?.get('idempotent-replayed') === 'true',
  };
}

/** By the code rather than the status: a deployment may answer a collision with 422. */
function definitive(problem: Problem, course: Course): PaySamError {
  if (problem.code === 'collision_detected') return new Collision(problem, course);
  if (problem.status === 402 && (problem.payment ?? problem.refund)) return new Declined(problem, course);
  return new Refused(problem, course);
}

function inconclusive<T>(
  { key, changesSomething }: ApiRequest<T>,
  over: Over<T>,
  course: Course,
  judgement: 'unknown' | 'not_sent',
): PaySamError {
  const { attempts, why } = over;
  const last = attempts.at(-1);
  const problem = last?.problem ?? null;
  const cause = over.cause ?? last?.failure ?? lateNo(last, course);
  const conclusion = { why, problem, cause };
  const because = [reasons[why], lastWords(last)].filter(words => words !== '').join('; ');
  if (!changesSomething) return new Unanswered(`There was no answer: ${because}.`, course, conclusion);
  if (judgement === 'not_sent') return new NotSent(`Nothing was done: ${because}.`, course, conclusion);
  const remedy = `Ask with its key, ${key}, or send the same again with it; a new key may do it twice`;
  return new OutcomeUnknown(
    `Nobody knows yet whether it was done: ${because}. ${remedy}.`,
    course,
    conclusion,
  );
}

const reasons: Record<WhyEnded, string> = {
  attempts: 'no more attempts are allowed',
  deadline: 'its time is over',
  budget: 'the retry budget is spent',
  circuit_open: 'the circuit is open',
  aborted: 'the caller gave up',
  refused: 'another attempt would not help',
  journal: 'the journal failed',
};

function lastWords<T>(last: Attempted<T> | undefined): string {
  if (last?.problem) return `the last answer was ${last.problem.status} ${last.problem.code ?? ''}`.trim();
  return last?.failure ? `the last attempt: ${last.failure.message}` : '';
}

/** A no that would have been definitive, had nothing been sent before it. */
function lateNo<T>(last: Attempted<T> | undefined, course: Course): PaySamError | undefined {
  if (!last?.problem || judge([last.exchange], { resumed: false }) !== 'refused') return undefined;
  return definitive(last.problem, course);
}
