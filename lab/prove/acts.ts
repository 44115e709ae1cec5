import type { Act } from './act.js';
import { bankMatrix } from './acts/bank-matrix.js';
import { bankOutage } from './acts/bank-outage.js';
import { databaseTroubles } from './acts/database-troubles.js';
import { herd } from './acts/herd.js';
import { killPoints } from './acts/kill-points.js';
import { lostCommits } from './acts/lost-commits.js';
import { postgresKills } from './acts/postgres-kills.js';
import { races } from './acts/races.js';
import { randomFaults } from './acts/random-faults.js';
import { rollingRestarts } from './acts/rolling-restarts.js';

/**
 * In the order in which they are told, and in which each kind of them is performed: what has to meet a process at exactly
 * one place while the other lane mostly waits, and the sum of it last.
 */
export const acts: readonly Act[] = [
  killPoints,
  postgresKills,
  databaseTroubles,
  races,
  randomFaults,
  lostCommits,
  bankMatrix,
  bankOutage,
  herd,
  rollingRestarts,
];
