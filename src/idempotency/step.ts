import type { Settings } from '../settings.js';
import { Bug } from '../bug.js';
import type { Progress } from './claim.js';
import type { Underway } from './events.js';
import { retryAfterSeconds } from './judge-repeat.js';
import type { Answer, Attempt, Books, Claim, Decision, Held, Outcome } from './operation.js';

/** What one transaction is to do for one attempt: claim its key, or, if it is held already, take the next step. */
export interface Step extends Underway {
  readonly attempt: Attempt;
  readonly held: Held | null;
  /** For a postponed operation: how long until it is taken up again, in milliseconds. */
  waitMs?(because: PostponedBecause): number;
  decide(books: Books, claim: Claim): Decision;
}

/** Why a postponed operation has to wait. */
export type PostponedBecause = (Decision & { kind: 'postpone' })['because'];

/**
 * What becomes of a step in one transaction.
 *
 * - an outcome: this is its end, as far as the caller is concerned;
 * - `held`: a recovery point is reached, and the next phase is for whoever called;
 * - `postponed`, `parked`: it is held no longer, and nobody knows yet how it ends;
 * - `fenced`: it was held no longer before, and nothing was written;
 * - `claim_again`: the row it lost to is gone.
 */
export type Seat =
  | Outcome
  | { readonly kind: 'held'; readonly held: Held }
  | { readonly kind: 'postponed'; readonly reason: string; readonly retryAfterSeconds: number }
  | { readonly kind: 'parked'; readonly reason: string }
  | { readonly kind: 'fenced' }
  | { readonly kind: 'claim_again' };

/** What a decision means: for the key's row, and for whoever waits. */
export type End =
  | {
      readonly kind: 'finished';
      readonly claim: Claim;
      readonly epoch: number;
      readonly answer: Answer;
      readonly seat: Seat;
    }
  | { readonly kind: 'refused'; readonly seat: Seat }
  | { readonly kind: 'goes_on'; readonly progress: Progress; readonly seat: Seat };

/** A decision of a step, made in a transaction that owns its key. */
export interface Decided {
  readonly step: Step;
  readonly claim: Claim;
  readonly decision: Decision;
}

export function endOf(
  { step, claim, decision }: Decided,
  settings: Pick<Settings, 'leaseMs' | 'recoveryAttemptsMax'>,
): End {
  const { attempt, held } = step;
  const { expiresAt } = claim;
  const epoch = held?.epoch ?? 1;
  const unchanged: Progress = {
    customerId: attempt.customerId,
    key: attempt.key,
    epoch,
    point: held?.point ?? 'started',
    state: claim.state,
    mayBeSent: held !== null,
    lockedForMs: null,
    parkedBecause: null,
    attemptsGivenBack: 0,
  };
  switch (decision.kind) {
    case 'finish': {
      const { answer } = decision;
      return { kind: 'finished', claim, epoch, answer, seat: { kind: 'completed', answer, expiresAt } };
    }
    case 'refuse':
      if (held) throw new Bug('PS-105', 'what was reserved cannot be refused any more');
      return { kind: 'refused', seat: { kind: 'refused', refusal: decision.refusal } };
    case 'advance': {
      const { to, state } = decision;
      const next = { attempt, point: to, state, epoch, attempts: held?.attempts ?? 1 };
      return {
        kind: 'goes_on',
        // Said before the call is made: should it be made and never be heard of again, the row knows.
        progress: { ...unchanged, point: to, state, mayBeSent: true, lockedForMs: settings.leaseMs },
        seat: { kind: 'held', held: { ...next, mayBeSent: held !== null, ageMs: held?.ageMs ?? 0 } },
      };
    }
    case 'postpone': {
      const { because, reason } = decision;
      if (because === 'unknown' && (held?.attempts ?? 1) >= settings.recoveryAttemptsMax) {
        return parked(unchanged, `${reason} (after ${settings.recoveryAttemptsMax} attempts)`);
      }
      const lockedForMs = step.waitMs?.(because) ?? settings.leaseMs;
      return {
        kind: 'goes_on',
        progress: {
          ...unchanged,
          mayBeSent: because === 'not_sent' ? held?.mayBeSent === true : true,
          lockedForMs,
          attemptsGivenBack: because === 'unknown' ? 0 : 1,
        },
        seat: { kind: 'postponed', reason, retryAfterSeconds: retryAfterSeconds(lockedForMs) },
      };
    }
    case 'park':
      return parked(unchanged, decision.reason);
    case 'cancel':
      return {
        kind: 'goes_on',
        progress: { ...unchanged, point: 'cancelled', mayBeSent: false },
        seat: { kind: 'cancelled' },
      };
  }
}

function parked(unchanged: Progress, reason: string): End {
  return {
    kind: 'goes_on',
    progress: { ...unchanged, parkedBecause: reason },
    seat: { kind: 'parked', reason },
  };
}
