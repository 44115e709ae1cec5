import type { Invariant, Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';
import { checkAtMostOneCharge } from './i01-at-most-one-charge.js';
import { checkNoLostAcknowledgement } from './i02-no-lost-acknowledgement.js';
import { checkSameAnswer } from './i03-same-answer.js';
import { checkMoneyIsConserved } from './i04-money-is-conserved.js';
import { checkProgress } from './i05-progress.js';
import { checkUnknownIsNotFailed } from './i06-unknown-is-not-failed.js';
import { checkMonotoneAndFenced } from './i07-monotone-and-fenced.js';
import { checkCustomersApart } from './i09-customers-apart.js';
import { checkCleanRefusal } from './i10-clean-refusal.js';
import { checkBounded } from './i11-bounded.js';
import { checkReaperSafety } from './i12-reaper-safety.js';
import { checkHonestStatus } from './i13-honest-status.js';
import { checkCollision } from './i14-collision.js';
import { checkVacuity } from './i15-vacuity.js';

/** Finds what is wrong with a run, from what its witnesses say and from nothing else. Empty: nothing is. */
export type Checker = (witnesses: Witnesses) => Violation[];

/** I8, the outbox, is missing: there is no relay yet. It counts as not built, never as passed. */
export const everyChecker: Readonly<Record<Invariant, Checker>> = {
  I1: checkAtMostOneCharge,
  I2: checkNoLostAcknowledgement,
  I3: checkSameAnswer,
  I4: checkMoneyIsConserved,
  I5: checkProgress,
  I6: checkUnknownIsNotFailed,
  I7: checkMonotoneAndFenced,
  I9: checkCustomersApart,
  I10: checkCleanRefusal,
  I11: checkBounded,
  I12: checkReaperSafety,
  I13: checkHonestStatus,
  I14: checkCollision,
  I15: checkVacuity,
};

export function checkEverything(witnesses: Witnesses): Violation[] {
  return Object.values(everyChecker).flatMap(check => check(witnesses));
}
