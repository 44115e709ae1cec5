import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Sql } from './database.js';

/** Somebody else's transaction that holds rows: a report, an operator, another service. */
export interface ForeignLock {
  sql: Sql;
  release: () => Promise<void>;
}

export async function lockAccounts(url: string, ...accountIds: string[]): Promise<ForeignLock> {
  const { sql, end } = await connect(url);
  await sql('BEGIN');
  await sql('SELECT FROM accounts WHERE id = ANY ($1) ORDER BY id FOR UPDATE', [accountIds]);
  let released: Promise<void> | undefined;
  return { sql, release: () => (released ??= sql('COMMIT').then(end)) };
}

/** Resolves once `n` connections wait for a lock: what the test has sent has come that far. */
export async function untilWaiting(sql: Sql, n = 1): Promise<void> {
  for (let looks = 0; looks < 500; looks += 1) {
    const [row] = await sql<{ waiting: number }>(`
      SELECT count(DISTINCT pid) AS waiting FROM pg_locks JOIN pg_stat_activity USING (pid)
       WHERE NOT granted AND datname = current_database()`);
    if (row && row.waiting >= n) return;
    await sleep(10);
  }
  throw new Error(`there were never ${n} connections that waited for a lock`);
}

/**
 * Makes a large batch. The first call gets as far as Sam's account, which somebody else has locked; so its
 * transaction is on the road while the others arrive, and they share the next one.
 */
export async function inOneBatch<T>(
  { url, sql }: { url: string; sql: Sql },
  n: number,
  start: (index: number) => Promise<T>,
): Promise<T[]> {
  const lock = await lockAccounts(url, 'sam');
  try {
    const first = start(0);
    await untilWaiting(sql);
    const arrived = untilArrived(n - 1);
    const others = Array.from({ length: n - 1 }, (_, index) => start(index + 1));
    // A rejection is the caller's to see, below, and must not count as unseen until then.
    const all = [first, ...others];
    for (const each of all) each.catch(() => undefined);
    await arrived;
    // From the socket to the queue of the next batch.
    await sleep(500);
    await lock.release();
    return await Promise.all(all);
  } finally {
    await lock.release();
  }
}

/** Resolves once the servers of this process have met `n` requests from now on. */
function untilArrived(n: number): Promise<void> {
  return new Promise(resolve => {
    let arrived = 0;
    const count = () => {
      arrived += 1;
      if (arrived < n) return;
      unsubscribe('http.server.request.start', count);
      resolve();
    };
    subscribe('http.server.request.start', count);
  });
}
