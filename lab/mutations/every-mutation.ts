import type { Mutation } from './mutation.js';
import { mutationsOfRecovery } from './of-recovery.js';
import { mutationsOfTheBank } from './of-the-bank.js';
import { mutationsOfTheClaim } from './of-the-claim.js';
import { mutationsOfTheTransaction } from './of-the-transaction.js';

/**
 * The mistakes of the design's list, in its order. M9 and M10 are mistakes of the relay, which does not exist yet: they
 * count as not built, never as caught.
 */
export const everyMutation: readonly Mutation[] = [
  ...mutationsOfTheClaim,
  ...mutationsOfTheTransaction,
  ...mutationsOfTheBank,
  ...mutationsOfRecovery,
].sort((one, other) => numberOf(one) - numberOf(other) || one.id.localeCompare(other.id));

function numberOf({ id }: Mutation): number {
  return Number.parseInt(id.slice(1), 10);
}
