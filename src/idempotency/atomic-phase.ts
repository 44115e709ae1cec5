import type { EntityManager } from 'typeorm';
import { claimKeys, readKeys, recordAnswers, takeBackClaims } from './claim.js';
import { publish } from './events.js';
import { judgeRepeat } from './judge-repeat.js';
import type { Answer, Attempt, Bookkeeping, Books, Claim, Decision, Outcome, Refusal } from './operation.js';
import { recall } from './recall.js';

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
  means: { bookkeeping: Bookkeeping<Books>; at: Date; expiry: (finishedAt: Date) => Date },
): Promise<Seat[]> {
  const { bookkeeping, at, expiry } = means;
  const claims = await claimKeys(tx, attempts, { at, expiresAt: expiry(at) });
  publish('keys_claimed', attempts);

  const decisions = await decideAll(tx, claims, bookkeeping);
  const finished = decisions.filter(entry => entry.decision.kind === 'finish') as Finished[];
  const refused = decisions.filter(entry => entry.decision.kind === 'refuse') as Refused[];
  await Promise.all([
    recordAnswers(
      tx,
      finished.map(({ claim, decision }) => ({ claim, answer: decision.answer })),
      at,
    ),
    takeBackClaims(
      tx,
      refused.map(({ claim }) => claim),
    ),
  ]);

  const seats = new Map<Attempt, Seat>([
    ...finished.map(({ claim, decision }) => [claim.attempt, completed(claim, decision.answer)] as const),
  ]);
  for (const { claim, decision } of refused) {
    // A reaped key was free to claim. But it is remembered, and a repeat is told so before it is told of mistakes.
    const remembered = await recall(tx, claim.attempt, expiry);
    seats.set(claim.attempt, remembered ?? { kind: 'refused', refusal: decision.refusal });
  }
  const repeats = attempts.filter(attempt => !seats.has(attempt));
  const judged = await judgeRepeats(tx, repeats, seats);
  publish('outcomes_recorded', attempts);
  return attempts.map(attempt => seats.get(attempt) ?? judged.get(attempt) ?? { kind: 'claim_again' });
}

/** Opens the books for what was claimed, decides one after the other, closes them. */
async function decideAll(
  tx: EntityManager,
  claims: readonly Claim[],
  bookkeeping: Bookkeeping<Books>,
): Promise<Decided[]> {
  if (claims.length === 0) return [];
  const accounts = claims.flatMap(({ attempt }) => attempt.operation.accounts(attempt.params));
  const books = await bookkeeping.open(tx, accounts);
  publish(
    'books_opened',
    claims.map(claim => claim.attempt),
  );
  const decisions = claims.map(claim => ({ claim, decision: decide(books, claim) }));
  await bookkeeping.close(tx, books);
  return decisions;
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

function completed({ expiresAt }: Claim, answer: Answer): Outcome {
  return { kind: 'completed', answer, expiresAt };
}

interface Decided {
  readonly claim: Claim;
  readonly decision: Decision;
}
interface Finished extends Decided {
  readonly decision: { kind: 'finish'; answer: Answer };
}
interface Refused extends Decided {
  readonly decision: { kind: 'refuse'; refusal: Refusal };
}
