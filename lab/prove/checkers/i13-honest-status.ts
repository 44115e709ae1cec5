import { inProgressRetryAfter, isTime, kindOfAnswer, promisedCodes } from '../contract.js';
import type { Asked, Exchange, Invoke, Reply } from '../driver-log.js';
import { join, mayChange } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I13, honest status: each answer that is not definitive says what to do, same key again, new key, or stop. There is a
 * `Should-Retry` on every error, and the right one for its code; a `Retry-After` on 409 `in_progress` (1 to 30 s), 429
 * and 503. No answer is a 500: that would be a mistake of ours. And a caller that does only what the answers say comes
 * to an end with every operation.
 */
export function checkHonestStatus(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I13');
  // Each request of an operation has an end of its own: the one that collides, and the one that was first.
  const open = new Map<string, Exchange>();
  const ended = new Set<string>();
  for (const exchange of witnesses.log) {
    const { invoke, reply } = exchange;
    if (reply) {
      for (const what of broken(invoke, reply)) found.add(what, invoke.exchange, { exchange });
    }
    if (!mayChange(exchange)) continue;
    const request = `${invoke.operation} ${invoke.request ?? invoke.asked}`;
    open.set(request, exchange);
    if (isEnd(reply)) ended.add(request);
  }
  for (const [request, exchange] of open) {
    if (ended.has(request)) continue;
    const owner = joined.ownerOf(exchange);
    // Whoever asks for what is parked is told to wait, and that is the truth.
    const isParked = owner !== null && joined.keys.get(owner)?.parkedBecause != null;
    if (!isParked) found.add('a caller who does as it is told comes to an end', request, { exchange });
  }
  return found.violations;
}

/** What an operation may say of itself to whom. One that is cancelled is refused to those who would pay. */
const states: Readonly<Partial<Record<Asked, readonly string[]>>> = {
  cancel: ['cancelled'],
  put: ['completed', 'in_progress', 'parked'],
  look: ['completed', 'in_progress', 'parked', 'cancelled'],
};

const conflicts = new Set(['collision_detected', 'in_progress', 'operation_cancelled']);

/** @returns the sentences that are not true of this answer */
function broken({ asked, key }: Invoke, reply: Reply): string[] {
  const { status, code, kind, headers, state } = reply;
  const sentences: string[] = [];
  const say = (isBroken: boolean, what: string) => {
    if (isBroken) sentences.push(what);
  };
  const retryAfter = headers['retry-after'];
  const keyTold = headers['idempotency-key'];
  say(key !== null && keyTold !== undefined && keyTold !== key, 'an answer names the key that was sent');
  say(status === null && kind !== (reply.why === 'ECONNREFUSED' ? 'fail' : 'unknown'), 'silence is unknown');
  if (state !== undefined) {
    say((state === 'completed') !== (reply.inside !== undefined), 'what is completed shows its answer');
    say(!states[asked]?.includes(state), 'an operation says how it is');
  }
  say(status === 500, 'no answer is a mistake of ours');
  say(status !== null && kind !== kindOfAnswer(status, code), 'an answer is what the log calls it');
  if (status === 202) {
    const isTold = headers['idempotency-status'] === 'in_progress' || state !== undefined;
    say(!isTold, 'a 202 says that it is in progress');
  }
  // A put shows the operation, whatever its end; its own headers say which answer this was.
  const saysEnded = /^(completed|already_completed)$/.test(headers['idempotency-status'] ?? '');
  if (status === 200 && asked === 'put') {
    say(!saysEnded || state === undefined, 'a put that is answered says so, and shows the operation');
  }
  const expires = headers['idempotency-expires'];
  if (status !== null && (status < 400 || status === 402) && (asked === 'pay' || asked === 'refund')) {
    say(!isTime(expires), 'an answer says how long it is kept');
  }
  if (code !== undefined && conflicts.has(code) && asked !== 'cancel') {
    say(headers['idempotency-status'] !== code, 'a conflict has its code as its status, too');
  }
  if (status === null || status < 400) return sentences;

  const promised = promisedCodes[code ?? ''];
  say(!promised?.statuses.includes(status), 'an error has a code of the contract, and its status');
  say(!/^(true|false)$/.test(headers['should-retry'] ?? ''), 'an error says whether to retry');
  const saysRetry = headers['should-retry'] === 'true';
  say(
    promised !== undefined && saysRetry !== promised.shouldRetry,
    'an error says retry only where it helps',
  );
  say(promised?.retryAfter === true && !/^\d+$/.test(retryAfter ?? ''), 'an error to wait for says how long');
  if (code === 'in_progress') {
    const seconds = Number(retryAfter);
    const { min, max } = inProgressRetryAfter;
    say(!(seconds >= min && seconds <= max), 'in progress: between 1 and 30 seconds');
  }
  return sentences;
}

/** Done; refused, whether or not it may be tried again; or told that trying again does not help. */
function isEnd(reply: Reply | null): boolean {
  if (!reply || reply.status === null || reply.status === 202) return false;
  if (reply.state === 'in_progress') return false;
  return reply.kind === 'ok' || reply.headers['should-retry'] === 'false';
}
