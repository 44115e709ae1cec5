import type { CatalogueRow } from '../catalogue/row.js';
import type { EngineScores } from '../../mutations/engine-scores.js';
import type { Proof } from '../proof.js';

/** Everything that the page is made from. */
export interface Evidence {
  readonly proof: Proof;
  /** `null`: the mistakes were not made on purpose yet, or not here. */
  readonly mutations: Mutations | null;
  readonly catalogue: readonly CatalogueRow[];
  /** As `npm run mutate` leaves it in lab/mutations/engine-scores.json. */
  readonly engineScores?: EngineScores | null;
}

/** As `npm run mutations` leaves it in lab/mutations/result.json: what is known of each mistake, by its id. */
export type Mutations = Readonly<Record<string, Mutation>>;

export interface Mutation {
  readonly mutation: string;
  readonly commit: string;
  readonly mistake: string;
  readonly breaks: string;
  /** Names of tests that turned red. None: it survived. */
  readonly caughtBy: readonly string[];
  readonly test: string;
}
