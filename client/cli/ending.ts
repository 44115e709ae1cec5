import type { Course, Operation, Payment, Refund, Result } from '../src/client.js';
import { formatAmount } from './amount.js';
import type { Outcome } from './command.js';
import { exitCodes } from './exit-code.js';
import { courseToJson, failed } from './failure.js';
import type { Session } from './session.js';

type Movement = Payment | Refund;

/** What has been paid, once that is known: a pending payment is followed for as long as there is time. */
export async function ended(session: Session, result: Result<Movement>): Promise<Outcome> {
  const { idempotencyKey: key, data } = result;
  if (data.status !== 'pending' || key === null) return told(data, result);
  try {
    const operation = await session.client.operations.wait(key, session.call());
    return endOf(operation.data, result);
  } catch (error) {
    return pending(data, result, failed(error));
  }
}

/** Whatever went wrong while asking, a refusal included: the payment is where it was, under way. */
function pending(data: Movement, course: Course, { exitCode, problem }: Outcome): Outcome {
  const message = 'The service has it, and will bring it to its end without being asked.';
  return {
    exitCode: exitCode === exitCodes.unexpected ? exitCode : exitCodes.unknown,
    json: { error: { kind: 'Pending', message, why: problem?.details[0] }, data, ...courseToJson(course) },
    lines: [],
    problem: { ...problem, title: 'It is still pending', details: [message, ...(problem?.details ?? [])] },
    unfinishedKey: data.idempotency_key,
  };
}

/** What became of a question about a key when there is no answer: the key is where it was. */
export function stillUnknown(error: unknown, key: string): Outcome {
  const outcome = failed(error);
  const { exitCode, problem } = outcome;
  if (exitCode === exitCodes.unexpected) return { ...outcome, unfinishedKey: key };
  if (exitCode !== exitCodes.not_sent && exitCode !== exitCodes.unknown) return outcome;
  return {
    ...outcome,
    exitCode: exitCodes.unknown,
    ...(problem && { problem: { ...problem, title: 'The outcome is still unknown' } }),
    unfinishedKey: key,
  };
}

/** @param operation completed or cancelled */
export function endOf({ key, state, response }: Operation, course: Course): Outcome {
  if (state === 'cancelled') return cancelled(key, course);
  if (response === null) throw new Error(`The operation ${key} is ${state}, and has no answer.`);
  const body = JSON.parse(response.body) as Movement & DeclineBody;
  return response.status === 200 ? told(body, course) : declined(body, course);
}

export function told(movement: Movement, course: Course): Outcome {
  const { object, id, amount, currency, from, to, idempotency_key: key } = movement;
  const did = object === 'payment' ? 'Paid' : 'Refunded';
  const rows = [
    [object, id],
    ...(movement.object === 'refund' ? [['payment', movement.payment_id]] : []),
    ['key', key],
  ];
  return {
    exitCode: exitCodes.done,
    json: { data: movement, ...courseToJson(course) },
    lines: [
      `${did} ${formatAmount(amount, currency)} from ${from} to ${to}.`,
      ...rows.map(([name = '', value = '']) => `${name.padEnd(8)} ${value}`),
    ],
    ...(course.replayed && { remarks: ['It was done before: this is the first answer, told again.'] }),
  };
}

/** The stored answer of a decline, RFC 9457. */
interface DeclineBody {
  readonly title: string;
  readonly code: string;
  readonly detail: string;
  readonly payment?: Payment;
  readonly refund?: Refund;
}

/** The service took it as pending, and this is how it ended: told as if it had been declined at once. */
function declined({ title, code, detail, payment, refund }: DeclineBody, course: Course): Outcome {
  const moved = payment ?? refund;
  return {
    exitCode: exitCodes.declined,
    json: {
      error: { kind: 'Declined', status: 402, code, title, detail, payment, refund },
      ...courseToJson(course),
    },
    lines: [],
    problem: { title, details: [detail, ...(moved ? [`${moved.object} ${moved.id}`] : [])] },
  };
}

function cancelled(key: string, course: Course): Outcome {
  const message = 'The key was closed before anything was paid.';
  return {
    exitCode: exitCodes.key_refused,
    json: { error: { kind: 'Cancelled', message }, ...courseToJson(course), idempotencyKey: key },
    lines: [],
    problem: { title: 'The operation was cancelled', details: [message] },
  };
}
