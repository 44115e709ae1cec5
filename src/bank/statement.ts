import { errorCodeOf, isId, isObject, judgeFailure, readJson } from './bank-answer.js';
import type { HttpEnd } from './bank-request.js';

/** One line of the bank's books about us. */
export interface Booking {
  /** Grows with each booking; may have gaps. */
  readonly sequence: number;
  readonly kind: 'charge' | 'return';
  readonly transferId: string;
  readonly reference: string;
  /** Minor units. */
  readonly amount: bigint;
  readonly currency: string;
  readonly bookedAt: Date;
}

/** One page: what was booked after `since`, oldest first, and from where to go on. */
export interface Statement {
  readonly bookings: Booking[];
  /** Equals what was asked for when there is nothing new. */
  readonly next: number;
}

export type StatementVerdict =
  | { readonly kind: 'ok'; readonly statement: Statement }
  | { readonly kind: 'not_sent' | 'unknown' | 'contradicted'; readonly reason: string };

/** Reads a page strictly: whoever reconciles books must not skip a line, read one twice, or go round in circles. */
export function judgeStatement(end: HttpEnd, since: number): StatementVerdict {
  if ('failure' in end) return judgeFailure(end.failure);
  const { answer } = end;
  const json = readJson(answer);
  const code = errorCodeOf(json);
  if (answer.status !== 200) {
    const reason = `the bank answered ${answer.status} ${code ?? 'and no error of its own'}`;
    return { kind: answer.status === 400 && code !== undefined ? 'contradicted' : 'unknown', reason };
  }
  if (!isObject(json) || !Array.isArray(json.bookings)) {
    return { kind: 'unknown', reason: 'the bank answered 200 with no statement that we can read' };
  }

  const bookings: Booking[] = [];
  let last = since;
  for (const line of json.bookings as unknown[]) {
    const booking = readBooking(line);
    if (!booking) return { kind: 'contradicted', reason: 'a booking is not as the bank promises' };
    if (booking.sequence <= last) return { kind: 'contradicted', reason: 'the bookings are not in order' };
    last = booking.sequence;
    bookings.push(booking);
  }
  if (json.next !== last)
    return { kind: 'contradicted', reason: 'the next page does not follow on this one' };
  return { kind: 'ok', statement: { bookings, next: last } };
}

function readBooking(line: unknown): Booking | undefined {
  if (!isObject(line)) return undefined;
  const { sequence, kind, transfer_id: transferId, reference, amount, currency, booked_at: at } = line;
  const isKnown = kind === 'charge' || kind === 'return';
  if (!isKnown || !isId(transferId) || !isId(reference) || !isId(currency)) return undefined;
  if (!isWhole(sequence) || !isWhole(amount) || typeof at !== 'string') return undefined;
  const bookedAt = new Date(at);
  if (Number.isNaN(bookedAt.getTime())) return undefined;
  return { sequence, kind, transferId, reference, amount: BigInt(amount), currency, bookedAt };
}

function isWhole(json: unknown): json is number {
  return Number.isSafeInteger(json) && (json as number) > 0;
}
