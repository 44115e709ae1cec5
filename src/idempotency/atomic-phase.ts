import type { EntityManager } from 'typeorm';
import { Bug } from '../bug.js';
import { together } from '../database/statement.js';
import type { Settings } from '../settings.js';
import {
  claimKeys,
  lockHeldKeys,
  readKeys,
  recordAnswers,
  recordProgress,
  takeBackClaims,
  type KeyRow,
  type Progress,
} from './claim.js';
import { publish, type Underway } from './events.js';
import { judgeRepeat, retryAfterSeconds } from './judge-repeat.js';
import type {
  Answer,
  Attempt,
  Bookkeeping,
  Books,
  Claim,
  Decision,
  Held,
  Operation,
  Outcome,
} from './operation.js';
import { expiry, recall } from './recall.js';
import { heldFrom, takeOver } from './take-over.js';

/** What one transaction is to do for one attempt: claim its key, or, if it is held already, take the next step. */
export interface Step extends Underway {
  readonly attempt: Attempt;
  readonly held: Held | null;
  /** For a postponed operation: how long until it is taken up again, in milliseconds. */
  waitMs?(because: PostponedBecause): number;
  decide(books: Books, claim: Claim): Decision;
}

type PostponedBecause = (Decision & { kind: 'postpone' })['because'];

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

/** A decision itself threw. No other try will make it work: it is a mistake in our code. */
export class DecisionFailed extends Error {
  override readonly name = 'DecisionFailed';
}

/** What an atomic phase works with, besides its transaction. */
export interface Means {
  readonly begun: Promise<Date>;
  readonly bookkeeping: Bookkeeping<Books>;
  readonly operations: ReadonlyMap<string, Operation>;
  readonly settings: Pick<Settings, 'answerRetentionMs' | 'leaseMs' | 'recoveryAttemptsMax'>;
}

/**
 * One atomic phase for a batch of steps, inside `tx`: claim or make sure of the key, decide, record. A rollback
 * forgets everything. Steps of all kinds share it: payments that begin, and others that come back from the bank.
 *
 * The key row, the payment and the transfers are written here, in the same transaction: either all of them
 * become true, or none. Nothing may be told to a caller before it has committed.
 */
export async function atomicPhase(tx: EntityManager, steps: readonly Step[], means: Means): Promise<Seat[]> {
  const { begun, bookkeeping, settings } = means;
  const beginners = steps.filter(({ held }) => held === null);
  const holders = steps.filter(isHeld);
  // Sent together, and carried out in this order: keys before accounts, always. The accounts of repeats are locked
  // in vain, which costs less than a trip of its own for those of the claims.
  const [at, claimed, rows, books] = await together([
    begun,
    claim(tx, beginners, settings.answerRetentionMs),
    lockHeldKeys(
      tx,
      holders.map(({ held }) => held),
    ),
    bookkeeping.open(
      tx,
      steps.map(({ attempt, held }) => attempt.operation.needs(attempt, held?.state ?? {})),
    ),
  ]);
  publish('books_opened', steps);

  const seats = new Map<Step, Seat>();
  const claimedAttempts = new Set(claimed);
  const deciding = beginners.filter(({ attempt }) => claimedAttempts.has(attempt));
  for (const [index, step] of holders.entries()) {
    const seat = seatOfHolder(step, rows[index]);
    if (seat) seats.set(step, seat);
    else deciding.push(step);
  }

  const expiresAt = expiry(at, settings.answerRetentionMs);
  const decided = deciding.map(step => decide(step, { books, at, expiresAt }));
  const ends = decided.map(one => ({ ...one, end: endOf(one, settings) }));
  await together([
    bookkeeping.close(tx, books),
    recordAnswers(
      tx,
      ends.flatMap(({ end }) => (end.kind === 'finished' ? [end] : [])),
      at,
    ),
    recordProgress(
      tx,
      ends.flatMap(({ end }) => (end.kind === 'goes_on' ? [end.progress] : [])),
    ),
    takeBackClaims(
      tx,
      ends.flatMap(({ end, claim }) => (end.kind === 'refused' ? [{ claim }] : [])),
    ),
  ]);

  for (const { step, end } of ends) {
    // A reaped key was free to claim. But it is remembered, and a repeat is told so before it is told of mistakes.
    const remembered = end.kind === 'refused' && (await recallOf(tx, step, means));
    seats.set(step, remembered || end.seat);
  }
  const repeats = beginners.filter(step => !seats.has(step));
  await judgeRepeats(tx, { repeats, seats, means });
  publish('outcomes_recorded', steps);
  return steps.map(step => seats.get(step) ?? { kind: 'claim_again' });
}

function isHeld(step: Step): step is Step & { held: Held } {
  return step.held !== null;
}

async function claim(tx: EntityManager, steps: readonly Step[], retentionMs: number): Promise<Attempt[]> {
  const attempts = steps.map(({ attempt }) => attempt);
  const claimed = await claimKeys(tx, attempts, retentionMs);
  publish('keys_claimed', steps);
  return claimed;
}

/**
 * Whether a holder still holds its key, and no more than it knows of has happened. If its own COMMIT was answered by
 * silence, the row has come further, and says where to.
 *
 * @returns `null`: it may decide
 */
function seatOfHolder({ attempt, held }: Step & { held: Held }, row: KeyRow | undefined): Seat | null {
  if (!row) return { kind: 'fenced' };
  const { answer, expiresAt, parkedBecause, recoveryPoint } = row;
  if (answer) return { kind: 'completed', answer, expiresAt };
  if (recoveryPoint === 'cancelled') return { kind: 'cancelled' };
  if (parkedBecause !== null) return { kind: 'parked', reason: parkedBecause };
  return recoveryPoint === held.point ? null : { kind: 'held', held: heldFrom(attempt, row) };
}

interface Decided {
  readonly step: Step;
  readonly claim: Claim;
  readonly decision: Decision;
}

/** One after the other, each on what the one before it left in the books. */
function decide(step: Step, { books, at, expiresAt }: { books: Books; at: Date; expiresAt: Date }): Decided {
  const { attempt, held } = step;
  const claim: Claim = { attempt, state: held?.state ?? {}, at, expiresAt };
  try {
    return { step, claim, decision: step.decide(books, claim) };
  } catch (error) {
    throw new DecisionFailed(`attempt ${attempt.id}`, { cause: error });
  }
}

/** What a decision means for the key's row, and for whoever waits. */
type End =
  | {
      readonly kind: 'finished';
      readonly claim: Claim;
      readonly epoch: number;
      readonly answer: Answer;
      readonly seat: Seat;
    }
  | { readonly kind: 'refused'; readonly seat: Seat }
  | { readonly kind: 'goes_on'; readonly progress: Progress; readonly seat: Seat };

function endOf({ step, claim, decision }: Decided, settings: Means['settings']): End {
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

function recallOf(tx: EntityManager, { attempt }: Step, { operations, settings }: Means) {
  return recall(tx, attempt, { operations: operations.values(), retentionMs: settings.answerRetentionMs });
}

/**
 * Tells repeats what the row they ran into says. By now the rows of this batch carry their answers too, so a
 * repeat in the same batch as its first is judged like any other. Those that ran into an abandoned row take it over.
 */
async function judgeRepeats(
  tx: EntityManager,
  { repeats, seats, means }: { repeats: readonly Step[]; seats: Map<Step, Seat>; means: Means },
): Promise<void> {
  if (repeats.length === 0) return;
  const attempts = repeats.map(({ attempt }) => attempt);
  const rows = await readKeys(tx, attempts);
  const abandoned: [Step, KeyRow][] = [];
  for (const [index, repeat] of repeats.entries()) {
    const row = rows[index];
    const verdict = row ? judgeRepeat(repeat.attempt, row) : sharedSeat(repeat, seats);
    if (verdict.kind === 'own' && row) {
      seats.set(repeat, { kind: 'held', held: heldFrom(repeat.attempt, row) });
    } else if (verdict.kind === 'abandoned' && row) abandoned.push([repeat, row]);
    else if (verdict.kind !== 'own' && verdict.kind !== 'abandoned') seats.set(repeat, verdict);
  }
  if (abandoned.length === 0) return;
  const taken = await takeOver(
    tx,
    abandoned.map(([{ attempt }]) => attempt),
    means.settings.leaseMs,
  );
  for (const [repeat, { expiresAt }] of abandoned) {
    const held = taken.get(repeat.attempt);
    // Somebody else is taking it over at this very moment.
    seats.set(repeat, held ? { kind: 'held', held } : { kind: 'in_progress', retryAfterSeconds: 1, expiresAt });
    if (held) publish('taken_over', [{ attempt: repeat.attempt, held }]);
  }
}

/** The claim a repeat lost to was taken back. If it asked for the same, the same is its answer. */
function sharedSeat({ attempt: repeat }: Step, seats: ReadonlyMap<Step, Seat>): Seat {
  for (const [{ attempt }, seat] of seats) {
    const isSameKey = attempt.customerId === repeat.customerId && attempt.key === repeat.key;
    if (isSameKey && attempt.fingerprint.equals(repeat.fingerprint)) return seat;
  }
  return { kind: 'claim_again' };
}
