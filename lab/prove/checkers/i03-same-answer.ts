import { definitiveAnswers, join, type Owner } from '../joined.js';
import { isTime } from '../contract.js';
import type { Exchange } from '../driver-log.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I3, same answer: all definitive answers for one (customer, key, fingerprint) have the same status and the same bytes,
 * replays and rebuilt answers included, and the one shown inside an operation. Headers may differ, but they say which
 * answer was the first, and there is one first answer only.
 *
 * Judged by key: of several fingerprints under one key, I14 lets only one have an answer.
 */
export function checkSameAnswer(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I3');
  const keysTold = new Map<string, string>();
  for (const { invoke, reply } of witnesses.log) {
    const told = reply?.headers['idempotency-key'];
    if (invoke.key !== null || told === undefined) continue;
    const before = keysTold.get(invoke.operation) ?? told;
    keysTold.set(invoke.operation, before);
    if (told !== before) found.add('who sends no key is known by one', invoke.operation, { before, told });
  }
  for (const [owner, exchanges] of joined.exchanges) {
    const answers = new Map<string, Exchange>();
    for (const exchange of exchanges) {
      for (const { status, body } of definitiveAnswers(exchange)) {
        const answer = `${status} ${body}`;
        if (!answers.has(answer)) answers.set(answer, exchange);
      }
    }
    if (answers.size > 1) found.add('a key has one definitive answer', owner, Object.fromEntries(answers));
    const stored = joined.keys.get(owner)?.answer;
    if (stored !== undefined && answers.size > 0 && !answers.has(stored ?? '')) {
      found.add('what was told is what is stored', owner, { stored, told: Object.fromEntries(answers) });
    }
    checkMarks(found, owner, exchanges);
  }
  return found.violations;
}

/** Executed twice, an operation would be answered first twice. */
function checkMarks(found: Findings, owner: Owner, exchanges: readonly Exchange[]): void {
  const firsts: Exchange[] = [];
  const dates = new Set<string>();
  for (const exchange of exchanges) {
    const { invoke, reply } = exchange;
    const isAnswer = reply?.kind === 'ok' && (invoke.asked === 'pay' || invoke.asked === 'refund');
    const status = reply?.headers['idempotency-status'];
    const isReplay = reply?.headers['idempotent-replayed'] === 'true';
    if (status === 'completed') firsts.push(exchange);
    if (!isAnswer) continue;
    if (isReplay ? status !== 'already_completed' : status !== 'completed') {
      found.add('an answer says whether it is the first', owner, { exchange });
    }
    const date = reply.headers['idempotency-original-date'];
    if (date !== undefined) dates.add(date);
    if (isReplay !== isTime(date)) {
      found.add('a replay, and no other answer, has the date of the first', owner, { exchange });
    }
  }
  if (dates.size > 1) found.add('all replays have the date of the first', owner, { dates: [...dates] });
  if (firsts.length > 1) found.add('a key is answered first once', owner, { firsts });
}
