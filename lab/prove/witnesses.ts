import type { BankWitness } from './bank-witness.js';
import type { DatabaseWitness } from './database-witness.js';
import type { Exchange } from './driver-log.js';
import type { RunRecord } from './run-record.js';

/**
 * All that is known of a run once it is over. Three witnesses speak about the same money: what callers were told, the
 * other bank's books, and our database. A checker brings them together and believes none alone. The fourth member is
 * no witness: it is what the harness itself measured, and what it asked for.
 */
export interface Witnesses {
  /** In the order in which the attempts were sent. */
  readonly log: readonly Exchange[];
  readonly bank: BankWitness;
  readonly database: DatabaseWitness;
  readonly run: RunRecord;
}
