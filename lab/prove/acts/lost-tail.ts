import { startWorker } from '../../../test/support/api-process.js';
import type { DatabaseWitness, KeyChange } from '../database-witness.js';
import { definitiveAnswers } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/** What a server had committed, and its successor does not know. */
export interface Lost {
  /** Payments that are gone altogether. */
  readonly payments: ReadonlySet<string>;
  /** Whether it is about a key of which anything was lost, or about what was done under it. */
  readonly isAbout: (violation: Violation) => boolean;
}

/** The old server's books against the new one's. Each change of a key is in the history; what is missing was lost. */
export function findLost(before: DatabaseWitness, after: DatabaseWitness): Lost {
  const kept = new Set(after.history.map(nameOf));
  const lostKeys = new Set(before.history.filter(change => !kept.has(nameOf(change))).map(({ key }) => key));
  const names = new Set(lostKeys);
  for (const { payments, refunds } of [before, after]) {
    for (const { id, idempotencyKey } of [...payments, ...refunds]) {
      if (lostKeys.has(idempotencyKey)) names.add(id);
    }
  }
  const known = new Set(after.payments.map(({ id }) => id));
  return {
    payments: new Set(before.payments.map(({ id }) => id).filter(id => !known.has(id))),
    isAbout: violation => {
      const text = JSON.stringify(violation);
      return [...names].some(name => text.includes(name));
    },
  };
}

/** The time is the old server's own: a number of a transaction that was lost is given again. */
function nameOf({ at, change, customerId, key, recoveryPoint, transaction }: KeyChange): string {
  return [customerId, key, transaction, change, recoveryPoint, at].join(' ');
}

/** A difference as the reconciler prints it. */
export interface Named {
  readonly kind: string;
  readonly reference: string;
}

/** `npm run recover -- reconciler --once --json`: what an operator runs after a fail-over. */
export async function reconcile(databaseUrl: string, env: Record<string, string>): Promise<Named[]> {
  const worker = startWorker({ databaseUrl, env, args: ['reconciler', '--once', '--json'] });
  await worker.exited;
  const { reconciler } = JSON.parse(worker.stdout()) as { reconciler: { differences?: Named[] } };
  if (!reconciler.differences) throw new Error(`nothing was reconciled: ${worker.stderr()}`);
  return reconciler.differences;
}

/**
 * Holds what the bank has charged and our books have forgotten against what the reconciler names. A caller who repeats
 * a key that was lost with its tail may pay again: that is no repeat any more, nobody here can know. So each first
 * charge has to be named, and nothing else.
 */
export function judgeLoss(
  { bank, database, log }: Witnesses,
  lost: Lost,
  named: readonly Named[],
): { counts: Record<string, number>; violations: Violation[] } {
  const found = new Findings('I1');
  const known = new Map(database.payments.map(payment => [payment.id, payment]));
  const forgotten = new Set(bank.bookings.map(({ reference }) => reference).filter(each => !known.has(each)));
  const unknownToUs = new Set(
    named.filter(({ kind }) => kind === 'unknown_to_us').map(({ reference }) => reference),
  );
  for (const reference of forgotten) {
    if (!lost.payments.has(reference)) found.add('only what was in the tail is lost', reference, {});
    if (!unknownToUs.has(reference)) {
      found.add('the reconciler names each charge that was lost', reference, { named });
    }
  }
  for (const difference of named) {
    if (difference.kind === 'unknown_to_us' && forgotten.has(difference.reference)) continue;
    found.add('the reconciler names nothing else', difference.reference, { difference });
  }
  const told = log.flatMap(definitiveAnswers).flatMap(({ told: about }) => about?.id ?? []);
  return {
    counts: {
      'F27 payments lost': lost.payments.size,
      'F27 acknowledged payments lost': new Set(told.filter(id => lost.payments.has(id))).size,
      'F27 charges lost, and named by the reconciler': [...forgotten].filter(each => unknownToUs.has(each))
        .length,
    },
    violations: found.violations,
  };
}
