import type { GaveUp } from './events.js';
import type { Course, Payment, Refund } from './types.js';

/**
 * Every way a call can end other than with a result. Which one it is says what to do:
 *
 *     Declined, Collision, Refused   a definitive no: another try needs another request
 *     NotSent                        nothing was done: pay again whenever you like
 *     OutcomeUnknown                 it may have been carried out: keep the key, and ask with it. Never a new key
 *     Unanswered                     a question got no answer: ask again
 *
 * All of them carry the `Course` of their call. None of them, in no member, holds the API key.
 */
export abstract class PaySamError extends Error implements Course {
  readonly idempotencyKey: string | null;
  readonly attempts: number;
  readonly requestIds: readonly string[];
  readonly headers: Headers | null;
  readonly replayed: boolean;

  constructor(message: string, course: Course, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause });
    this.idempotencyKey = course.idempotencyKey;
    this.attempts = course.attempts;
    this.requestIds = course.requestIds;
    this.headers = course.headers;
    this.replayed = course.replayed;
  }
}

/** What is wrong with one member of a request. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** What the server said, RFC 9457, as far as it could be read: a proxy in between says what it likes. */
export interface Problem {
  readonly status: number;
  /** A `ProblemCode`, or one that this client is too old to know; null where the answer was no problem of this API's. */
  readonly code: string | null;
  readonly title: string;
  readonly detail: string;
  /** What to do about it; empty where this client does not know. */
  readonly remedy: string;
  /** The address of the problem's own page. */
  readonly page: string | null;
  readonly errors: readonly FieldError[];
  /** For a collision: the members that differ. */
  readonly differsIn: readonly string[];
  /** For a decline: what was declined. */
  readonly payment: Payment | null;
  readonly refund: Refund | null;
}

/** The server has said no, and will say so again: the outcome is known. */
export abstract class DefinitiveNo extends PaySamError {
  readonly status: number;
  readonly code: string | null;
  readonly title: string;
  readonly detail: string;
  readonly remedy: string;
  readonly page: string | null;
  readonly errors: readonly FieldError[];

  constructor(problem: Problem, course: Course) {
    super(`${problem.title}. ${problem.detail}`.trim(), course);
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.detail = problem.detail;
    this.remedy = problem.remedy;
    this.page = problem.page;
    this.errors = problem.errors;
  }
}

/** 402: the payment, or the refund, was declined. That is stored under the key; to try again is a new payment. */
export class Declined extends DefinitiveNo {
  override readonly name = 'Declined';
  /** The declined payment; null where a refund was declined. */
  readonly payment: Payment | null;
  readonly refund: Refund | null;

  constructor(problem: Problem, course: Course) {
    super(problem, course);
    this.payment = problem.payment;
    this.refund = problem.refund;
  }
}

/** The key belongs to another request. What that one did is untouched, and this one did nothing. */
export class Collision extends DefinitiveNo {
  override readonly name = 'Collision';
  /** The members that differ from the first request's; never their values. */
  readonly differsIn: readonly string[];

  constructor(problem: Problem, course: Course) {
    super(problem, course);
    this.differsIn = problem.differsIn;
  }
}

/** Every other definitive no: nothing was done. Most are mistakes, and `errors` or `detail` names them. */
export class Refused extends DefinitiveNo {
  override readonly name = 'Refused';
}

/**
 * Why a call ended without a definitive outcome. `refused`: the server would have no other attempt, and what it said does
 * not settle the attempts before. `journal`: the journal failed.
 */
export type WhyEnded = GaveUp | 'refused' | 'journal';

/** What is known of a call that ended so. */
export interface Inconclusion {
  readonly why: WhyEnded;
  /** What the last answer said, where the last attempt had one. */
  readonly problem: Problem | null;
  /** What went wrong: on the way, in the journal, or by the caller's own signal. */
  readonly cause: unknown;
}

/** There is no definitive outcome. */
export abstract class Inconclusive extends PaySamError {
  readonly why: WhyEnded;
  readonly problem: Problem | null;

  constructor(message: string, course: Course, { why, problem, cause }: Inconclusion) {
    super(message, course, cause);
    this.why = why;
    this.problem = problem;
  }
}

/**
 * It may have been carried out, or may still be. Not a failure: whoever takes it for one, and pays with a new key, may
 * pay twice. Send it again with the same key (`resume()` does), ask (`operations.get(key)`), or end the doubt
 * (`operations.cancel(key)`).
 */
export class OutcomeUnknown extends Inconclusive {
  override readonly name = 'OutcomeUnknown';
}

/**
 * Nothing of this call was carried out, that is certain: it never reached the server, or was turned away unread. Where
 * the key was used before, by another call, that one's outcome is another matter.
 */
export class NotSent extends Inconclusive {
  override readonly name = 'NotSent';
}

/** A call that changes nothing was not answered. Nothing happened; ask again. */
export class Unanswered extends Inconclusive {
  override readonly name = 'Unanswered';
}
