import {
  Collision,
  type Course,
  Declined,
  DefinitiveNo,
  NotSent,
  OutcomeUnknown,
  Unanswered,
} from '../src/client.js';
import type { Outcome } from './command.js';
import { exitCodes, type ExitCode } from './exit-code.js';
import { UsageError } from './usage-error.js';

/** What an error comes to, for whoever typed the command. */
export function failed(error: unknown): Outcome {
  if (error instanceof DefinitiveNo) return refused(error);
  if (error instanceof OutcomeUnknown || error instanceof NotSent || error instanceof Unanswered) {
    return gaveUp(error);
  }
  if (error instanceof UsageError) {
    return {
      exitCode: exitCodes.usage,
      json: { error: { kind: error.name, message: error.message, hint: error.hint }, ...courseToJson(null) },
      lines: [],
      problem: { title: error.message, details: error.hint === null ? [] : [error.hint], error },
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  return {
    exitCode: exitCodes.unexpected,
    json: { error: { kind: 'Unexpected', message }, ...courseToJson(null) },
    lines: [],
    problem: { title: 'Something is broken on our side', details: [message, '--debug shows where.'], error },
  };
}

/** A definitive no. Everything that the service said is shown: it knows better than this program what to do about it. */
function refused(error: DefinitiveNo): Outcome {
  const { name: kind, status, code, title, detail, remedy, page, errors } = error;
  const more = {
    ...(error instanceof Collision && { differsIn: error.differsIn }),
    ...(error instanceof Declined && { payment: error.payment, refund: error.refund }),
  };
  const moved = error instanceof Declined ? (error.payment ?? error.refund) : null;
  return {
    exitCode: exitCodeOf(error),
    json: {
      error: { kind, status, code, title, detail, remedy, page, errors, ...more },
      ...courseToJson(error),
    },
    lines: [],
    problem: {
      title,
      details: [
        detail,
        // The first is in the detail.
        ...errors.slice(1).map(({ field, message }) => `${field}: ${message}`),
        remedy,
        ...(moved ? [`${moved.object} ${moved.id}`] : []),
        ...(error.replayed ? ['It was told before: this is the first answer again.'] : []),
      ],
      page,
      requestId: error.requestIds.at(-1) ?? null,
      error,
    },
  };
}

function exitCodeOf(error: DefinitiveNo): ExitCode {
  if (error instanceof Declined) return exitCodes.declined;
  // By what it is rather than by its status: a deployment may answer a collision with 422.
  return error instanceof Collision || error.status === 409 ? exitCodes.key_refused : exitCodes.usage;
}

/** Outcome unknown, not sent, or not answered: the call has ended without a word that counts. */
function gaveUp(error: OutcomeUnknown | NotSent | Unanswered): Outcome {
  const { name: kind, message, why, problem, cause } = error;
  const isUnknown = error instanceof OutcomeUnknown;
  return {
    exitCode: isUnknown ? exitCodes.unknown : exitCodes.not_sent,
    json: { error: { kind, message, why, problem }, ...courseToJson(error) },
    lines: [],
    problem: {
      title: titleOf(error),
      details: problem
        ? [`${problem.title}. ${problem.detail}`.trim()]
        : [isUnknown && cause instanceof Error ? cause.message : message],
      page: problem?.page ?? null,
      requestId: error.requestIds.at(-1) ?? null,
      error,
    },
    unfinishedKey: isUnknown ? error.idempotencyKey : null,
  };
}

/** What it means for whoever typed the command, before the reason. */
function titleOf({ name, why, problem }: OutcomeUnknown | NotSent | Unanswered): string {
  if (name === 'OutcomeUnknown') return 'The outcome is unknown';
  if (why === 'aborted') return 'Stopped';
  if (why === 'journal') return 'The key could not be written down';
  return problem ? 'The service would not do it now' : 'The service could not be reached';
}

/** The course of a call, in every JSON object: also of one that was never made. */
export function courseToJson(course: Course | null) {
  const { idempotencyKey = null, attempts = 0, requestIds = [], replayed = false } = course ?? {};
  return { idempotencyKey, attempts, requestIds, replayed };
}
