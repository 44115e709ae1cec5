import { setTimeout as sleep } from 'node:timers/promises';
import { using } from './database.js';

/** What was seen in the database, over and over, while something else was going on. */
export interface Seen {
  /** Payments begun and not ended: half of the time there were at least so many, and never more than the peak. */
  inFlightMedian: number;
  inFlightPeak: number;
  /** Connections of the API at once, by the database's own account. */
  connectionsPeak: number;
}

/** Between two looks, in milliseconds: a look costs the database less than one. */
const lookEveryMs = 50;

/** Looks until `over` is aborted, on a connection of its own, which is not counted. */
export async function watch(databaseUrl: string, over: AbortSignal): Promise<Seen> {
  return using(databaseUrl, async database => {
    const looks: Look[] = [];
    while (!over.aborted) {
      looks.push(...(await database.query<Look>(look)).rows);
      await sleep(lookEveryMs, undefined, { signal: over }).catch(() => undefined);
    }
    const inFlight = looks.map(each => each.inFlight).sort((a, b) => a - b);
    return {
      inFlightMedian: inFlight[Math.floor(inFlight.length / 2)] ?? 0,
      inFlightPeak: inFlight.at(-1) ?? 0,
      connectionsPeak: Math.max(0, ...looks.map(({ connections }) => connections)),
    };
  });
}

interface Look {
  inFlight: number;
  connections: number;
}

/** What the API's gauge of unfinished keys counts, without the scrape: a claimed key has a lease until its end. */
const look = `
  SELECT (SELECT count(*)::int FROM idempotency_keys WHERE locked_until IS NOT NULL) AS "inFlight",
         (SELECT count(*)::int FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'pay-sam') AS connections`;
