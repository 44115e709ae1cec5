import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Sql } from './database.js';

/** What a pool tells about itself; give it where the application runs inside the test. */
type WatchedPool = Pick<Pool, 'waitingCount'>;

/**
 * Call it after each test: whatever the test did, nothing is left behind that would hurt the next request.
 * A process may need a moment to tidy up, so a leak is what is still there after `graceMs`.
 *
 * @throws with one sentence for each leak
 */
export async function expectNoLeaks(
  sql: Sql,
  { pool, graceMs = 1_000 }: { pool?: WatchedPool; graceMs?: number } = {},
) {
  const until = Date.now() + graceMs;
  let leaks = await findLeaks(sql, pool);
  while (leaks.length > 0 && Date.now() < until) {
    await sleep(50);
    leaks = await findLeaks(sql, pool);
  }
  if (leaks.length > 0) throw new Error(`Left behind by this test:\n${leaks.join('\n')}`);
}

export async function findLeaks(sql: Sql, pool?: WatchedPool): Promise<string[]> {
  const rows = await sql<{ leak: string }>(`
    WITH
      sessions AS (
        SELECT * FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()),
      held AS (
        SELECT pg_locks.*, query FROM pg_locks JOIN sessions USING (pid))
    SELECT format('connection %s is %s for %s, its last statement: %s', pid, state, now() - state_change, query)
      AS leak
    FROM sessions
    WHERE state LIKE 'idle in transaction%' OR state = 'active' AND query_start < now() - interval '500 ms'
    UNION ALL
    SELECT format('connection %s waits for a lock (%s): %s', pid, locktype, query) FROM held WHERE NOT granted
    UNION ALL
    SELECT format('connection %s holds an advisory lock, which no promise may rest on', pid)
    FROM held WHERE locktype = 'advisory'
    UNION ALL
    SELECT format('key %s is unfinished at %s and nobody holds a lease: nobody will finish it', key, recovery_point)
    FROM idempotency_keys
    WHERE recovery_point NOT IN ('finished', 'cancelled') AND locked_until IS NULL AND parked_because IS NULL`);

  const leaks = rows.map(row => row.leak);
  if (pool && pool.waitingCount > 0) leaks.push(`${pool.waitingCount} callers still wait for a connection`);
  return leaks;
}
