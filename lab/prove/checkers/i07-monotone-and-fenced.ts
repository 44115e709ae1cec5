import type { KeyChange, RecoveryPoint } from '../database-witness.js';
import { join, type Owner } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

const rank = { started: 0, funds_reserved: 1, transfer_sent: 2, finished: 3, cancelled: 4 };

/** Where a row may go from each point, itself left out. One transaction may take the first two steps. */
const next: Readonly<Record<RecoveryPoint, readonly RecoveryPoint[]>> = {
  started: ['funds_reserved', 'finished'],
  funds_reserved: ['transfer_sent', 'finished', 'cancelled'],
  transfer_sent: ['finished'],
  finished: [],
  cancelled: [],
};

/**
 * I7, monotone and fenced: recovery points and epochs never go back, an answer once recorded never changes, and a stale
 * holder writes nothing. A trigger of the harness has recorded each change of each key's row, and who made it.
 *
 * Fenced is judged by the writer: within one epoch, only the process that began it writes. Remaining risk: two holders
 * in one process have one name.
 */
export function checkMonotoneAndFenced(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I7');
  for (const [owner, history] of joined.history) checkSteps(found, owner, history);

  // A history with holes would prove nothing: it has to lead to the row as it is.
  for (const [owner, row] of joined.keys) {
    const last = joined.history.get(owner)?.at(-1);
    const isWhole =
      last?.change !== 'DELETE' &&
      last?.recoveryPoint === row.recoveryPoint &&
      last.epoch === row.epoch &&
      last.parkedBecause === row.parkedBecause &&
      last.answer === row.answer;
    if (!isWhole) found.add('a row is as its last change left it', owner, { last, row });
  }
  for (const [owner, history] of joined.history) {
    if (history.at(-1)?.change !== 'DELETE' && !joined.keys.has(owner)) {
      found.add('a row does not vanish without a trace', owner, { history });
    }
  }
  return found.violations;
}

function checkSteps(found: Findings, owner: Owner, history: readonly KeyChange[]): void {
  let before: KeyChange | undefined;
  /** The process that began the epoch. */
  let holder = '';
  for (const change of history) {
    const isThere = before !== undefined && before.change !== 'DELETE';
    if (isThere === (change.change === 'INSERT')) {
      found.add('a row is inserted first, and once', owner, { before, change });
    }
    if (change.change === 'INSERT' && !isBeginning(change)) {
      found.add('a row begins in its first epoch, claimed or closed', owner, { change });
    }
    if ((change.answer !== null) !== (change.recoveryPoint === 'finished')) {
      found.add('what is finished has an answer, and nothing else has', owner, { change });
    }
    if (change.change === 'DELETE' && before && changed(before, change)) {
      found.add('a row is removed as it was', owner, { before, change });
    }
    if (change.change === 'UPDATE' && before && isThere) {
      for (const what of broken(before, change)) found.add(what, owner, { before, change });
      const isHandedBack = before.parkedBecause !== null;
      if (change.epoch === before.epoch && !isHandedBack && change.writer !== holder) {
        found.add('only the holder of an epoch writes', owner, { holder, before, change });
      }
    }
    if (change.change === 'INSERT' || change.epoch !== before?.epoch) holder = change.writer;
    before = change;
  }
}

function isBeginning({ epoch, recoveryPoint }: KeyChange): boolean {
  return epoch === 1 && (recoveryPoint === 'started' || recoveryPoint === 'cancelled');
}

function changed(before: KeyChange, after: KeyChange): boolean {
  const names = ['recoveryPoint', 'epoch', 'attemptId', 'answer'] as const;
  return names.some(name => before[name] !== after[name]);
}

function broken(before: KeyChange, after: KeyChange): string[] {
  const hasEnded = before.recoveryPoint === 'finished' || before.recoveryPoint === 'cancelled';
  const isStep =
    after.recoveryPoint === before.recoveryPoint || next[before.recoveryPoint].includes(after.recoveryPoint);
  const sentences: [boolean, string][] = [
    [rank[after.recoveryPoint] < rank[before.recoveryPoint], 'a recovery point never goes back'],
    [hasEnded && after.recoveryPoint !== before.recoveryPoint, 'a key that has ended stays as it is'],
    [!isStep, 'recovery points are reached one after the other'],
    [after.epoch < before.epoch, 'an epoch never goes back'],
    [after.epoch > before.epoch + 1, 'no epoch is left out'],
    [after.attemptId !== before.attemptId && after.epoch <= before.epoch, 'a new holder has a new epoch'],
    [before.answer !== null && after.answer !== before.answer, 'an answer once recorded never changes'],
  ];
  return sentences.filter(([isBroken]) => isBroken).map(([, what]) => what);
}
