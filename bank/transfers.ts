import { errorAnswer, invalid, pause, type Answer, type Exchange } from './answer.js';
import { readBody, readNumber, text, whole, type Members } from './body.js';
import type { Books, Order, Transfer, Verdict } from './books.js';
import type { Barriers } from './barriers.js';
import type { Call, Fault, Faults } from './faults.js';
import { refuse, deliver, distort, unknownReference } from './faulty-answers.js';
import type { Payees } from './payees.js';
import type { RequestLog } from './request-log.js';
import type { BankSettings } from './settings.js';

/** All there is of the bank. One process has one, a test may have several. */
export interface Bank {
  settings: BankSettings;
  books: Books;
  payees: Payees;
  faults: Faults;
  barriers: Barriers;
  requests: RequestLog;
}

const orderMembers: Members = {
  amount: { ...whole(1, Number.MAX_SAFE_INTEGER), needed: true },
  currency: { ...text(/^[A-Z]{3}$/, 'three capital letters'), needed: true },
  creditor: { ...text(/^.{1,140}$/su, 'a name of 1 to 140 characters'), needed: true },
};

/**
 * Serves PUT and GET /transfers/{reference}. What the request asks for is carried out in one go, between two points
 * at which it may be held; all that can go wrong on purpose lies before or after.
 */
export async function serveTransfer(bank: Bank, exchange: Exchange, reference: string): Promise<void> {
  const method = exchange.request.method === 'PUT' ? 'PUT' : 'GET';
  if (!/^[\w-]{1,64}$/.test(reference))
    throw invalid('reference: must be 1 to 64 of A-Z, a-z, 0-9, _ and -.');
  exchange.logged = bank.requests.note(method, reference);
  const order = method === 'PUT' ? await readBody<Order>(exchange.request, orderMembers) : undefined;

  await bank.barriers.pass('before', look(bank, reference, order));
  // Looked at again: another request may have been carried out while this one was held.
  const call = look(bank, reference, order);
  const fault = bank.faults.take(call) ?? bank.payees.fault(call);
  const answer = refuse(fault) ?? distort(carryOut(bank, call, { order, fault }), fault);
  await bank.barriers.pass('after', call);
  await tell(bank, exchange, { answer, fault });
}

/** Serves GET /transfers: the statement. */
export async function serveStatement(bank: Bank, exchange: Exchange): Promise<void> {
  const since = readNumber(exchange.url, 'since', 0, [0, Number.MAX_SAFE_INTEGER]);
  const limit = readNumber(exchange.url, 'limit', 1_000, [1, 1_000]);
  const fault = bank.faults.take({ method: 'GET' });
  const bookings = bank.books.statement(since, limit).map(booking => ({
    ...booking,
    booked_at: time(booking.booked_at),
  }));
  const body = { bookings, next: bookings.at(-1)?.sequence ?? since };
  await tell(bank, exchange, {
    answer: refuse(fault) ?? distort({ status: 200, body }, fault),
    fault,
  });
}

function look({ books, settings }: Bank, reference: string, order: Order | undefined): Call {
  const known = books.find(reference, Date.now() - settings.remembersMs);
  return { method: order ? 'PUT' : 'GET', reference, creditor: order?.creditor ?? known?.creditor, known };
}

/** Reads or writes the books, without a pause in between: of two equal requests, one is new and one is known. */
function carryOut(
  { books, settings }: Bank,
  { reference = '', known }: Call,
  { order, fault }: { order: Order | undefined; fault: Fault | undefined },
): Answer {
  if (fault?.kind === 'forget') {
    books.forget(reference);
    known = undefined;
  }
  if (!order) return known ? { status: 200, body: toJson(known) } : unknownReference;
  if (known && !isSame(known, order)) {
    return errorAnswer(409, 'reference_conflict', 'This reference belongs to a transfer with another body.');
  }
  const transfer = known ?? books.enter(reference, order, judge(settings, fault));
  if (transfer.ends_as === 'declined') return { status: 422, body: toJson(transfer) };
  if (fault?.kind === 'double_charge') books.chargeAgain(transfer);
  return { status: known ? 200 : 201, body: toJson(transfer) };
}

/** Decides a new transfer's whole life: what its end is, and when. Nothing has to happen for it to come true. */
function judge({ settleMs }: BankSettings, fault: Fault | undefined): Verdict {
  const now = Date.now();
  if (fault?.kind === 'decline') {
    const { code, message } = fault.decline ?? declinedByTest;
    const declined = { decline_code: code, decline_message: message };
    return { ends_as: 'declined', created_at: now, settles_at: null, ...declined };
  }
  return {
    ends_as: fault?.kind === 'returned' ? 'returned' : 'settled',
    created_at: now,
    settles_at: fault?.kind === 'never_settles' ? null : now + settleMs,
    decline_code: null,
    decline_message: null,
  };
}

const declinedByTest = { code: 'declined_by_test', message: 'Declined, because a test asked for it.' };

/** By now the books are written: whatever becomes of the answer, a look-up finds what is true. */
async function tell(
  { settings }: Bank,
  exchange: Exchange,
  { answer, fault }: { answer: Answer | 'silence'; fault: Fault | undefined },
): Promise<void> {
  if (answer === 'silence') {
    await pause(exchange, settings.hangMs);
    exchange.response.destroy();
    return;
  }
  if (settings.delayMs > 0) await pause(exchange, settings.delayMs);
  await deliver(exchange, answer, fault);
}

function isSame(one: Order, other: Order): boolean {
  return one.amount === other.amount && one.currency === other.currency && one.creditor === other.creditor;
}

function toJson({ settles_at, ends_as, ...transfer }: Transfer) {
  const { id, reference, amount, currency, creditor, decline_code, decline_message, created_at } = transfer;
  const isDeclined = ends_as === 'declined';
  const hasSettled = settles_at !== null && settles_at <= Date.now();
  return {
    id,
    reference,
    amount,
    currency,
    creditor,
    status: isDeclined || hasSettled ? ends_as : 'accepted',
    decline: isDeclined ? { code: decline_code, message: decline_message } : null,
    created_at: time(created_at),
    settled_at: hasSettled ? time(settles_at) : null,
  };
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
