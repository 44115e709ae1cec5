import type { EntityManager } from 'typeorm';
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
} from './claim.js';
import { publish } from './events.js';
import { keyToRemember } from './fingerprint.js';
import { judgeRepeat } from './judge-repeat.js';
import type { Attempt, Bookkeeping, Books, Claim, Held, Operation } from './operation.js';
import { expiry, recall, type KeysRemembered } from './recall.js';
import { endOf, type Decided, type Seat, type Step } from './step.js';
import { heldFrom, takeOver } from './take-over.js';

/** A decision itself threw. No other try will make it work: it is a mistake in our code. */
export class DecisionFailed extends Error {
  override readonly name = 'DecisionFailed';
}

/** What an atomic phase works with, besides its transaction. */
export interface Means {
  readonly begun: Promise<Date>;
  readonly bookkeeping: Bookkeeping<Books>;
  readonly operations: ReadonlyMap<string, Operation>;
  readonly keysRemembered: KeysRemembered;
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
  const { begun, bookkeeping, keysRemembered, settings } = means;
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

  const { answerRetentionMs } = settings;
  const decided = deciding.map(step => {
    const expiresAt = expiry(at, step.attempt.windowMs ?? answerRetentionMs);
    return decide(step, { books, at, expiresAt, keysRemembered });
  });
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

  // A reaped key was free to claim. But it is remembered, and a repeat is told so before it is told of mistakes.
  const refused = ends.filter(({ end }) => end.kind === 'refused').map(({ step }) => step.attempt);
  const recalled = await recall(tx, refused, {
    operations: means.operations,
    retentionMs: answerRetentionMs,
    keysRemembered,
  });
  const remembered = new Map(refused.map((attempt, index) => [attempt, recalled[index]]));
  for (const { step, end } of ends) seats.set(step, remembered.get(step.attempt) ?? end.seat);
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

interface Occasion {
  readonly books: Books;
  readonly at: Date;
  readonly expiresAt: Date;
  readonly keysRemembered: KeysRemembered;
}

/** One after the other, each on what the one before it left in the books. */
function decide(step: Step, { books, at, expiresAt, keysRemembered }: Occasion): Decided {
  const { attempt, held } = step;
  const remembered = keysRemembered.get(attempt) ?? keyToRemember(attempt, at);
  keysRemembered.set(attempt, remembered);
  const claim: Claim = { attempt, keyToRemember: remembered, state: held?.state ?? {}, at, expiresAt };
  try {
    return { step, claim, decision: step.decide(books, claim) };
  } catch (error) {
    throw new DecisionFailed(`attempt ${attempt.id}`, { cause: error });
  }
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
    seats.set(
      repeat,
      held ? { kind: 'held', held } : { kind: 'in_progress', retryAfterSeconds: 1, expiresAt },
    );
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
