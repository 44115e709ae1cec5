import { OutcomeUnknown, Unanswered } from './errors.js';
import { backoffMs } from './policy/backoff.js';
import type { Clock } from './clock.js';
import type { CallOptions } from './options.js';
import type { Course, Operation, Result } from './types.js';

/** Between two questions. They cost the server one look, but a thousand callers may wait for one bank. */
const pause = { baseMs: 500, capMs: 5_000, jitter: 'equal' } as const;

/**
 * Asks what became of an operation until it has come to its end, or `deadlineMs` are over: that is its only bound, so
 * questions without an answer do not end it.
 *
 * It never asks later than the server's `retry_after`, but sooner if that is long: it says when somebody else will take
 * the operation over at the latest, and the bank may have answered by then.
 *
 * @returns the operation, completed or cancelled; its course is that of all questions together
 * @throws OutcomeUnknown when there is no more time, or the caller gave up; Refused as soon as a question is refused
 */
export async function waitUntilSettled(
  key: string,
  { signal, deadlineMs }: { signal: AbortSignal | undefined; deadlineMs: number },
  { clock, ask }: { clock: Clock; ask: (options: CallOptions) => Promise<Result<Operation>> },
): Promise<Result<Operation>> {
  const until = clock.now() + deadlineMs;
  let course: Course = { idempotencyKey: key, attempts: 0, requestIds: [], headers: null, replayed: false };

  for (let questions = 1; ; questions += 1) {
    const answer = await ask({ signal, deadlineMs: until - clock.now() }).catch(orUnanswered);
    course = together(course, answer);
    const operation = 'data' in answer ? answer.data : null;
    if ('data' in answer && isOver(answer.data)) return { ...answer, ...course, headers: answer.headers };

    const drawnMs = backoffMs(pause, { retry: questions, previousMs: 0, random: clock.random() });
    const waitMs = Math.min(drawnMs, (operation?.retry_after ?? Infinity) * 1_000);
    const isTimeLeft = clock.now() + waitMs < until;
    if (isTimeLeft) await clock.sleep(waitMs, signal);
    const why = signal?.aborted ? 'aborted' : isTimeLeft && clock.now() < until ? null : 'deadline';
    if (why) {
      const seen = operation ? `it is ${operation.state}` : 'the last question had no answer';
      const cause: unknown = signal?.reason ?? (operation ? undefined : answer);
      const message = `Nobody knows yet how it ends: ${seen}. Ask again with its key, ${key}.`;
      throw new OutcomeUnknown(message, course, { why, problem: null, cause });
    }
  }
}

function isOver({ state }: Operation): boolean {
  return state === 'completed' || state === 'cancelled';
}

function orUnanswered(error: unknown): Unanswered {
  if (error instanceof Unanswered) return error;
  throw error;
}

function together(earlier: Course, { attempts, requestIds, headers, replayed }: Course): Course {
  return {
    idempotencyKey: earlier.idempotencyKey,
    attempts: earlier.attempts + attempts,
    requestIds: [...earlier.requestIds, ...requestIds],
    headers: headers ?? earlier.headers,
    replayed,
  };
}
