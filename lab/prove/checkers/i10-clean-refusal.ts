import { join, mayChange } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/** Refusals of a key that was used before: what is there was there before them. */
const ofUsedKeys = new Set(['collision_detected', 'operation_cancelled']);

/**
 * I10, clean refusal: a refused request leaves no row and makes no bank call.
 *
 * Judged for the keys of which it is certain that nothing else was ever done under them: each attempt was refused. Its
 * claim may have been made and taken back within one transaction, and nothing more. That a refused repeat changes
 * nothing is I7's: a key that has ended has no more changes at all.
 */
export function checkCleanRefusal(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I10');
  for (const [owner, exchanges] of joined.exchanges) {
    const tries = exchanges.filter(mayChange);
    const isOnlyRefused =
      tries.length > 0 &&
      tries.every(({ reply }) => reply?.kind === 'fail' && !ofUsedKeys.has(reply.code ?? ''));
    if (!isOnlyRefused) continue;
    const [row, effects] = [joined.keys.get(owner), joined.effects.get(owner) ?? []];
    if (row || effects.length > 0) {
      found.add('a refused request leaves no row', owner, { exchanges, row, effects });
    }
    const byTransaction = Map.groupBy(joined.history.get(owner) ?? [], ({ transaction }) => transaction);
    for (const changes of byTransaction.values()) {
      if (changes.at(-1)?.change !== 'DELETE') {
        found.add('a refused request’s claim is taken back where it was made', owner, { exchanges, changes });
      }
    }
  }
  const asked = new Set(witnesses.bank.requests.map(({ reference }) => reference));
  for (const reference of asked) {
    if (joined.effectById.get(reference)?.rail === 'bank') continue;
    found.add('the bank is asked only about payments that were opened', reference, { reference });
  }
  return found.violations;
}
