import { bankRows } from './bank.js';
import { clientAndHttpRows } from './client-and-http.js';
import { designRows } from './design.js';
import { killPointRows } from './kill-points.js';
import { postgresRows } from './postgres.js';
import { processRows } from './process.js';
import { relayRows } from './relay.js';
import { resourceRows } from './resources.js';
import type { CatalogueRow } from './row.js';
import { workerRows } from './workers.js';

/** Everything that can go wrong, as far as anybody has thought of it. */
export const catalogue: readonly CatalogueRow[] = [
  ...killPointRows,
  ...processRows,
  ...postgresRows,
  ...bankRows,
  ...clientAndHttpRows,
  ...workerRows,
  ...relayRows,
  ...resourceRows,
  ...designRows,
];
