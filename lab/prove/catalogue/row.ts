import type { Invariant } from '../violation.js';

/** One line of the fault catalogue: what goes wrong, what must hold meanwhile, and how we know. */
export interface CatalogueRow {
  /** F01 to F117, K0 to K11. Never used again for something else. */
  readonly id: string;
  readonly fault: string;
  /** I8, the order of the outbox, is not among them: there is no relay yet. So a row may have none. */
  readonly invariants: readonly Invariant[];
  /** At least one. A row that nothing proves says so, and why. */
  readonly provedBy: readonly Proof[];
}

/** Where a reader finds what shows it. */
export type Proof =
  /** A file of tests, from the project's root, and the title of a test or a group in it, as the source spells it. */
  | { readonly test: string; readonly title: string }
  /** An act of `npm run prove`, and the name that it counts the fault by. */
  | { readonly act: string; readonly counted?: string }
  /** What it is about does not exist here, and when it is due. */
  | { readonly notBuilt: string }
  /** Why not. */
  | { readonly notTested: string };

/** The acts of `npm run prove`, by name. */
export const actNames: readonly string[] = [
  'kill points',
  'postgres kills',
  'database troubles',
  'races',
  'random faults',
  'lost commits',
  'bank matrix',
  'bank outage',
  'herd',
  'rolling restarts',
];
