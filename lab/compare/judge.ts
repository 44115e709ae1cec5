import type { Told } from './caller.js';

/** What can come of a fault. */
export const harms = ['doubled', 'lost', 'stuck', 'wrong'] as const;
export type Harm = (typeof harms)[number];

/** How often each came of one fault. All 0: the design has stood it. */
export type Verdict = Record<Harm, number>;

/** What was seen from outside, once all was quiet. */
export interface Evidence {
  /** Of the intended payment: rows of our books, by an amount that nothing else has. */
  payments: number;
  /** Times that its amount was posted between accounts. */
  moved: number;
  /** The bank's own books; null on rail ledger. */
  charges: number | null;
  /** Callers that were never told anything final. */
  untold: number;
  /** Final answers to the intended payment. */
  ends: readonly Told[];
  /** Final answers to another request under the same key, which has to be refused; and payments it led to. */
  intruder?: { ends: readonly Told[]; payments: number };
}

/**
 * Judges one fault by what three witnesses say: our books, the bank's, and the callers. It knows nothing of how a
 * design works, and forgives no design anything.
 */
export function judge({ payments, moved, charges, untold, ends, intruder }: Evidence): Verdict {
  const paid = Math.max(payments, moved, charges ?? 0);
  const acknowledged = ends.filter(({ status }) => status === 200).length;
  const isMissing = payments === 0 || moved === 0 || charges === 0;
  const answers = new Set(ends.map(({ status, body }) => `${status} ${body}`));
  const refused = ends.filter(({ status }) => status !== 200).length;
  const admitted = intruder?.ends.filter(({ status }) => status === 200).length ?? 0;
  return {
    doubled: Math.max(0, paid - 1) + (intruder?.payments ?? 0),
    // Told that it is paid, and it is not; or it has left the bank, and our books do not know.
    lost: (acknowledged > 0 && isMissing) || (charges !== null && charges > 0 && payments === 0) ? 1 : 0,
    stuck: untold,
    // More than one answer for one key; a valid payment refused; another request taken for the first.
    wrong: Math.max(0, answers.size - 1) + (refused > 0 ? 1 : 0) + admitted,
  };
}

export function isHarmless(verdict: Verdict): boolean {
  return harms.every(harm => verdict[harm] === 0);
}
