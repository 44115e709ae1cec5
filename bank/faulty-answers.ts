import { begin, errorAnswer, pause, send, type Answer, type Exchange } from './answer.js';
import type { Fault, FaultKind } from './faults.js';

/** What is told without carrying the call out. */
const refusals: Partial<Record<FaultKind, (fault: Fault) => Answer | 'silence'>> = {
  timeout_before: () => 'silence',
  error_before: failure,
  redirect: ({ location = '/' }) => ({ status: 307, headers: { Location: location } }),
  rate_limited: fault => errorAnswer(429, 'rate_limited', 'Too many requests.', retryAfter(fault)),
  in_progress: fault =>
    errorAnswer(409, 'in_progress', 'Another request for this reference is at work.', retryAfter(fault)),
};

/** What is told of a call that was carried out. The answer handed in is the truth, and the books hold it. */
const lies: Partial<Record<FaultKind, (answer: Answer, fault: Fault) => Answer | 'silence'>> = {
  timeout_after: () => 'silence',
  error_after: (_, fault) => failure(fault),
  wrong_reference: answer => pretend(answer, () => ({ reference: 'somebody-elses' })),
  wrong_amount: answer => pretend(answer, ({ amount }) => ({ amount: amount + 1 })),
  wrong_currency: answer =>
    pretend(answer, ({ currency }) => ({ currency: currency === 'EUR' ? 'USD' : 'EUR' })),
  html: () => ({
    status: 200,
    body: '<!doctype html><title>We will be back soon</title>',
    headers: { 'Content-Type': 'text/html; charset=utf-8' },
  }),
  empty: () => ({ status: 200 }),
  broken_json: ({ status, body }) => ({ status, body: JSON.stringify(body).slice(0, -20) }),
  huge: ({ status, body = {} }) => ({
    status,
    body: { ...(body as object), padding: 'x'.repeat(5 * 1024 * 1024) },
  }),
  decline_despite_charge: answer => {
    const decline = { code: 'declined_by_test', message: 'Declined, although it was charged.' };
    return pretend(answer, () => ({ status: 'declined', decline, settled_at: null }), 422);
  },
  not_found: () => unknownReference,
};

export const unknownReference = errorAnswer(
  404,
  'unknown_reference',
  'There is no transfer by this reference.',
);

/** Undefined: nothing stands in the way of carrying the call out. */
export function refuse(fault: Fault | undefined): Answer | 'silence' | undefined {
  return fault && refusals[fault.kind]?.(fault);
}

export function distort(answer: Answer, fault: Fault | undefined): Answer | 'silence' {
  const lie = fault && lies[fault.kind];
  return lie ? lie(answer, fault) : answer;
}

/** Brings the answer on its way, or fails to, as the fault wants it. */
export async function deliver(exchange: Exchange, answer: Answer, fault: Fault | undefined): Promise<void> {
  const { response } = exchange;
  if (fault?.kind === 'slow') await pause(exchange, fault.delay_ms ?? 0);
  if (fault?.kind !== 'drip' && fault?.kind !== 'reset_in_answer') {
    send(exchange, answer);
    return;
  }
  if (response.destroyed) return;
  const bytes = begin(exchange, answer);
  if (fault.kind === 'reset_in_answer') {
    response.write(bytes.subarray(0, bytes.length / 2));
    // Time for the half to arrive: an RST that overtakes it would hide it.
    await pause(exchange, 20);
    response.socket?.resetAndDestroy();
    return;
  }
  for (const byte of bytes) {
    response.write(Buffer.of(byte));
    await pause(exchange, fault.delay_ms ?? 1_000);
    if (response.closed) return;
  }
  response.end();
}

/** As much of a transfer as is lied about. */
interface Told {
  amount: number;
  currency: string;
}

/** Changes the transfer in an answer. An answer that holds none stays as it is. */
function pretend(answer: Answer, lie: (truth: Told) => object, status = answer.status): Answer {
  const { body } = answer;
  if (typeof body !== 'object' || !('amount' in body)) return answer;
  return { ...answer, status, body: { ...body, ...lie(body as Told) } };
}

function failure({ status = 500 }: Fault): Answer {
  return errorAnswer(status, 'unavailable', 'Something went wrong, and the outcome is not told.');
}

function retryAfter({ retry_after = '1' }: Fault): Record<string, string> {
  return { 'Retry-After': retry_after };
}
