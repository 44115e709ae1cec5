import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const bytesPerId = 16;

/** Random bytes for 256 ids at a time: asking the system for each id's own costs more than all else about it. */
const pool = new Uint8Array(bytesPerId * 256);
let used = pool.length;

/** A UUIDv7: ids sort by the time they were made, to the millisecond. It is no secret. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return v7({ random: pool.subarray(used, (used += bytesPerId)) });
}
