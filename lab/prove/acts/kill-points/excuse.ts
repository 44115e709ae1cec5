import type { RecoveryPoint } from '../../database-witness.js';
import type { Kill } from './plan.js';

/** What somebody has written to the row of a key, in the order of its writing. */
export interface Change extends Record<string, unknown> {
  readonly key: string;
  readonly attempt: string;
  readonly point: RecoveryPoint;
  readonly transaction: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/**
 * Of the attempts that a process was met with before their first transaction, those that had gone through it long ago.
 * Who was taken over, or gave its payment back, asks for it like any repeat, under the same id and with nothing in hand.
 *
 * It excuses no transaction that died and was carried out all the same: nobody goes on with it in its name, and nobody
 * can have taken it over by then.
 *
 * @param changes of all keys it was met with, whoever made them
 * @param metAt epoch milliseconds, by the clock of the changes
 */
export function thatHadComeBack(
  met: readonly string[],
  changes: readonly Change[],
  metAt: number,
): readonly string[] {
  return met.filter(attempt => {
    const its = changes.filter(change => change.attempt === attempt);
    const last = its.at(-1);
    const hasGoneOn = its.some(({ transaction }) => transaction !== last?.transaction);
    return hasGoneOn || isTakenOver(last, changes, metAt);
  });
}

/** An attempt that the dead holder had not brought where it should have, with what it had done for it. */
export interface Wrong {
  readonly attempt: string;
  readonly its: readonly Change[];
}

/** Those of the attempts it was met with that it has not left at `leaves`. */
export function elsewhereThan(
  leaves: RecoveryPoint,
  met: readonly string[],
  changes: readonly Change[],
): Wrong[] {
  return met.flatMap(attempt => {
    const its = changes.filter(change => change.attempt === attempt);
    return its.at(-1)?.point === leaves ? [] : [{ attempt, its }];
  });
}

/**
 * Why a crash does not count: its holder was not met with these payments in its hands. That says something about the
 * machine, and the crash is brought about once more. What has no excuse is the product's mistake.
 */
export function excuseOf(
  { place }: Pick<Kill, 'place'>,
  crash: {
    readonly met: readonly string[];
    readonly wrong: readonly Wrong[];
    readonly changes: readonly Change[];
  },
): string | undefined {
  const { changes, met, wrong } = crash;
  const isAtTheBank = place.strike.by === 'bank';
  // On a busy machine an order may time out, and what the bank holds is the question about it, not the one that was meant.
  if (isAtTheBank && wrong.some(({ its }) => isBefore(place.stage, its)))
    return 'it was met before it came there';
  // A completer that was kept from the processor for longer than a lease takes its own payments over, and the attempts
  // that it had before share its batch to no effect. Their heirs ask the bank first, and may hear that all is done.
  const hasLost = ({ its }: Wrong) => isTakenOver(its.at(-1), changes);
  const lost = new Set(wrong.filter(hasLost).map(({ its }) => its.at(-1)?.key));
  const isHeirAtTheEnd = (last?: Change) => last?.point === 'finished' && lost.has(last.key);
  if (wrong.length > 0 && wrong.every(each => hasLost(each) || isHeirAtTheEnd(each.its.at(-1))))
    return 'its lease had run out';
  const isGivenBack = met.some(attempt => hasPostponed(changes.filter(change => change.attempt === attempt)));
  return isGivenBack && (wrong.length > 0 || isAtTheBank) ? 'it had given the payment back' : undefined;
}

/**
 * Whoever calls from `stage` has written that point down first. Should a mistake of ours let it call without, the kills at
 * that call's own events, which are never excused, would show it.
 */
function isBefore(stage: RecoveryPoint, changes: readonly Change[]): boolean {
  return changes.every(({ point }) => point !== stage);
}

/**
 * Whether the key was taken over since, by whoever made `changes`, and before `until`. That it was not too early is for
 * the checkers to find out.
 */
function isTakenOver(last: Change | undefined, changes: readonly Change[], until = Infinity): boolean {
  if (!last) return false;
  return changes
    .slice(changes.indexOf(last))
    .some(({ attempt, key, at }) => key === last.key && attempt !== last.attempt && at < until);
}

/** It wrote to its key and came no further: that is how a holder gives it back. */
function hasPostponed(changes: readonly Change[]): boolean {
  const transactions = new Map<RecoveryPoint, Set<string>>();
  for (const { point, transaction } of changes) {
    transactions.set(point, (transactions.get(point) ?? new Set()).add(transaction));
  }
  return [...transactions.values()].some(({ size }) => size > 1);
}
