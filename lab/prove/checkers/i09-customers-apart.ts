import type { Exchange, Reply } from '../driver-log.js';
import { definitiveAnswers, join, type Owner } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/** An answer with one of these says that the key was in use before. */
const saysItWasUsed = new Set([
  'in_progress',
  'already_completed',
  'collision_detected',
  'operation_cancelled',
]);

/**
 * I9, customers apart: a customer learns nothing of another's keys, neither what was done under them nor that they
 * exist. The drivers give different customers the same keys on purpose.
 *
 * Timing is not judged here: test/security measures it.
 */
export function checkCustomersApart(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I9');
  const readers = new Map<string, string>();
  for (const exchange of witnesses.log) {
    const { customer } = exchange.invoke;
    for (const { body, told } of definitiveAnswers(exchange)) {
      const effect = joined.effectById.get(told?.id ?? '');
      if (effect && !joined.owner(effect.customerId, '').startsWith(`${customer} `)) {
        found.add('nobody is told of another’s payment', `${customer} ${effect.id}`, { exchange, effect });
      }
      const reader = readers.get(body) ?? customer;
      readers.set(body, reader);
      if (reader !== customer) {
        found.add('no two customers get the same bytes', `${customer} ${body}`, { exchange, reader });
      }
    }
    for (const { id } of exchange.reply?.balances ?? []) {
      if (id !== customer) found.add('nobody reads another’s balance', `${customer} ${id}`, { exchange });
    }
  }
  for (const [owner, exchanges] of joined.exchanges) {
    // A caller whose own operation was taken over is told its end by the row, as a replay: its own, not another's.
    const wasTakenOver = joined.history.get(owner)?.some(({ epoch }) => epoch > 1) ?? false;
    checkFirstUse(found, { owner, exchanges, wasTakenOver });
  }
  return found.violations;
}

interface Uses {
  readonly owner: Owner;
  readonly exchanges: readonly Exchange[];
  readonly wasTakenOver: boolean;
}

/** Whoever sends a key for the first time is told what a first caller is told, whoever else may have used it. */
function checkFirstUse(found: Findings, { owner, exchanges, wasTakenOver }: Uses): void {
  // In the order of sending: the earliest two that used the key. Looking at it does not use it.
  const [first, second] = exchanges.filter(exchange => !isLook(exchange));
  for (const exchange of exchanges) {
    const { invoke, reply } = exchange;
    if (!reply || ((wasTakenOver || isToldAfterItsRow(reply, invoke)) && !isLook(exchange))) continue;
    const other = first === exchange ? second : first;
    // Sent in time to have been there before this answer.
    if (other && other.invoke.at < reply.at) continue;
    const isShown = (invoke.asked === 'look' || invoke.asked === 'cancel') && reply.inside !== undefined;
    const status = reply.headers['idempotency-status'] ?? '';
    const isUsed =
      reply.headers['idempotent-replayed'] === 'true' ||
      saysItWasUsed.has(reply.code ?? '') ||
      (reply.status !== 202 && saysItWasUsed.has(status)) ||
      (invoke.asked === 'look' && reply.status === 200) ||
      isShown;
    if (isUsed) found.add('a key that a customer never used is new to it', owner, { exchange });
  }
}

/**
 * Whether its row may have been reaped before it was told: its COMMIT was in doubt for longer than an answer is kept.
 * The payment remembered the key, but not which attempt had made it. Answers are kept for hours, except in a proof.
 */
function isToldAfterItsRow({ at, headers }: Reply, invoke: { at: number }): boolean {
  const { 'idempotency-original-date': done, 'idempotency-expires': expires } = headers;
  return (
    done !== undefined && expires !== undefined && at - invoke.at > Date.parse(expires) - Date.parse(done)
  );
}

function isLook({ invoke: { asked } }: Exchange): boolean {
  return asked === 'look' || asked === 'accounts';
}
