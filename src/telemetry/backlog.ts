import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { run, type Statement } from '../database/statement.js';
import { inTransaction } from '../database/transaction.js';

/** What has been begun and has not ended, in the whole database: all instances see the same. */
export interface Backlog {
  readonly unfinished: number;
  readonly oldestAgeSeconds: number;
  readonly parked: number;
}

/**
 * How long a scrape waits for these figures: milliseconds. Prometheus gives up on the whole scrape after 10 s unless
 * told otherwise; two indexes of what is unfinished are counted in a few. Longer, and an outage would hide
 * everything else that this process knows, just when it is wanted.
 */
const patienceMs = 1_000;

/** Counts the backlog, for whoever asks. However many ask at once, the database is asked once. */
export class BacklogReader {
  private underway: Promise<Backlog | null> | null = null;

  constructor(private readonly dataSource: DataSource) {}

  /** @returns `null` when the database does not answer, or not in time */
  async read(): Promise<Backlog | null> {
    this.underway ??= this.count().finally(() => {
      this.underway = null;
    });
    return Promise.race([this.underway, sleep(patienceMs, null, { ref: false })]);
  }

  private async count(): Promise<Backlog | null> {
    const patience = { lockTimeoutMs: patienceMs / 2, statementTimeoutMs: patienceMs / 2 };
    try {
      const [backlog] = await inTransaction(this.dataSource, patience, tx =>
        run<Backlog>(tx, countUnfinished, []),
      );
      return backlog ?? null;
    } catch {
      return null;
    }
  }
}

/**
 * Both conditions are those of partial indexes, so what is finished is never looked at. Ages are by the database's
 * clock. An operation that is parked is not on its way; one that was given back, and waits to be taken over, is.
 */
const countUnfinished: Statement = {
  name: 'count_unfinished',
  text: `
    SELECT count(*)::int AS "unfinished",
           coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS "oldestAgeSeconds",
           (SELECT count(*)::int FROM idempotency_keys WHERE parked_because IS NOT NULL) AS "parked"
      FROM idempotency_keys
     WHERE locked_until IS NOT NULL`,
};
