import type { Act } from './act.js';
import { randomFaults } from './acts/random-faults.js';

/** In the order in which they are performed: what is directed first, the sum of it last. */
export const acts: readonly Act[] = [randomFaults];
