import { clientAndHttpRows } from './client-and-http.js';
import { killPointRows } from './kill-points.js';
import { processRows } from './process.js';
import { relayRows } from './relay.js';
import { resourceRows } from './resources.js';
import type { CatalogueRow } from './row.js';

/** Everything that can go wrong, as far as anybody has thought of it. */
export const catalogue: readonly CatalogueRow[] = [
  ...killPointRows,
  ...processRows,
  ...clientAndHttpRows,
  ...relayRows,
  ...resourceRows,
];
