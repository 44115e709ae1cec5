import type { EntityManager } from 'typeorm';
import { together } from '../database/statement.js';
import { claimKeys, readKeys, recordAnswers, takeBackClaims } from './claim.js';
import { publish } from './events.js';
import { judgeRepeat } from './judge-repeat.js';
import type { Answer, Attempt, Bookkeeping, Books, Claim, Decision, Outcome, Refusal } from './operation.js';
import { expiry, recall } from './recall.js';

/** What becomes of an attempt in one transaction: its outcome, or the row it lost to is gone and it may claim again. */
export type Seat = Outcome | { readonly kind: 'claim_again' };

/** A decision itself threw. No other try will make it work: it is a mistake in our code. */
export class DecisionFailed extends Error {
  override readonly name = 'DecisionFailed';
}

/**
 * One atomic phase for a batch of attempts, inside `tx`: claim, decide, record. A rollback forgets everything.
 *
 * The key row, the payment and the transfers are written here, in the same transaction: either all of them
 * become true, or none. Nothing may be told to a caller before it has committed.
 */
export async function atomicPhase(
  tx: EntityManager,
  attempts: readonly Attempt[],
  means: { begun: Promise<Date>; bookkeeping: Bookkeeping<Books>; retentionMs: number },
): Promise<Seat[]> {
  const { begun, bookkeeping, retentionMs } = means;
  // Sent together, and carried out in this order. The accounts of repeats are locked in vain, which costs less
  // than a trip of its own for those of the claims.
  const [at, claimed, books] = await together([
    begun,
    claim(tx, attempts, retentionMs),
    bookkeeping.open(tx, attempts.flatMap(accountsOf)),
  ]);
  publish('books_opened', attempts);

  const expiresAt = expiry(at, retentionMs);
  const { finished, refused } = decideAll(
    books,
    claimed.map(attempt => ({ attempt, at, expiresAt })),
  );
  await together([
    bookkeeping.close(tx, books),
    recordAnswers(tx, finished, at),
    takeBackClaims(tx, refused),
  ]);

  const seats = new Map<Attempt, Seat>();
  for (const { claim, answer } of finished) {
    seats.set(claim.attempt, { kind: 'completed', answer, expiresAt: claim.expiresAt });
  }
  for (const { claim, refusal } of refused) {
    // A reaped key was free to claim. But it is remembered, and a repeat is told so before it is told of mistakes.
    const remembered = await recall(tx, claim.attempt, retentionMs);
    seats.set(claim.attempt, remembered ?? { kind: 'refused', refusal });
  }
  const repeats = attempts.filter(attempt => !seats.has(attempt));
  const judged = await judgeRepeats(tx, repeats, seats);
  publish('outcomes_recorded', attempts);
  return attempts.map(attempt => seats.get(attempt) ?? judged.get(attempt) ?? { kind: 'claim_again' });
}

async function claim(...claiming: Parameters<typeof claimKeys>): Promise<Attempt[]> {
  const claimed = await claimKeys(...claiming);
  publish('keys_claimed', claiming[1]);
  return claimed;
}

function accountsOf({ operation, params }: Attempt): readonly string[] {
  return operation.accounts(params);
}

/** One after the other, each on what the one before it left in the books. */
function decideAll(books: Books, claims: readonly Claim[]): { finished: Finished[]; refused: Refused[] } {
  const finished: Finished[] = [];
  const refused: Refused[] = [];
  for (const claim of claims) {
    const decision = decide(books, claim);
    if (decision.kind === 'finish') finished.push({ claim, answer: decision.answer });
    else refused.push({ claim, refusal: decision.refusal });
  }
  return { finished, refused };
}

function decide(books: Books, claim: Claim): Decision {
  try {
    return claim.attempt.operation.phases.started.decide(books, claim);
  } catch (error) {
    throw new DecisionFailed(`attempt ${claim.attempt.id}`, { cause: error });
  }
}

/**
 * Tells repeats what the row they ran into says. By now the rows of this batch carry their answers too, so a
 * repeat in the same batch as its first is judged like any other.
 */
async function judgeRepeats(
  tx: EntityManager,
  repeats: readonly Attempt[],
  seats: ReadonlyMap<Attempt, Seat>,
): Promise<Map<Attempt, Seat>> {
  if (repeats.length === 0) return new Map();
  const rows = await readKeys(tx, repeats);
  return new Map(
    repeats.map((repeat, index) => {
      const row = rows[index];
      return [repeat, row ? judgeRepeat(repeat, row) : sharedSeat(repeat, seats)];
    }),
  );
}

/** The claim a repeat lost to was taken back. If it asked for the same, the same is its answer. */
function sharedSeat(repeat: Attempt, seats: ReadonlyMap<Attempt, Seat>): Seat {
  for (const [attempt, seat] of seats) {
    const isSameKey = attempt.customerId === repeat.customerId && attempt.key === repeat.key;
    if (isSameKey && attempt.fingerprint.equals(repeat.fingerprint)) return seat;
  }
  return { kind: 'claim_again' };
}

interface Finished {
  readonly claim: Claim;
  readonly answer: Answer;
}

interface Refused {
  readonly claim: Claim;
  readonly refusal: Refusal;
}
