import type { DataSource } from 'typeorm';
import { Bug } from '../bug.js';
import { sqlStateOf } from '../database/failures.js';
import { change, type Statement } from '../database/statement.js';
import { inTransaction } from '../database/transaction.js';
import type { Settings } from '../settings.js';
import { publish, type Reaped } from './events.js';
import { loop, type Worker } from './loop.js';

/** SQLSTATE integrity_constraint_violation: what the trigger raises that keeps unfinished keys. */
const refusedToForget = '23000';

/**
 * Deletes stored answers whose time is over, by the database's clock.
 *
 * Only finished keys: one that is unfinished, or parked, guards a payment that may be half done, and a cancelled one
 * keeps a late original out. What was paid is not forgotten with its key: the payment remembers the key for ever,
 * so a repeat that comes after the reaper gets the same bytes, put together again, and pays nothing.
 */
export class Reaper implements Worker<Reaped> {
  readonly name = 'reaper';

  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: Settings,
  ) {}

  run(signal: AbortSignal): Promise<void> {
    return loop(signal, this.settings.reapEveryMs, {
      work: () => this.runOnce(signal),
      onError: error => {
        publish({ worker: this.name, error });
      },
    });
  }

  /** Batch by batch, each committed for itself, until one is not full. A crash costs the batch at hand. */
  async runOnce(signal?: AbortSignal): Promise<Reaped> {
    const { reaperBatchMax } = this.settings;
    let [reaped, batch] = [0, 0];
    do {
      batch = await this.reapBatch();
      reaped += batch;
    } while (batch === reaperBatchMax && !signal?.aborted);
    const counts = { reaped };
    publish({ worker: this.name, ...counts });
    return counts;
  }

  private async reapBatch(): Promise<number> {
    const { dataSource, settings } = this;
    try {
      return await inTransaction(dataSource, settings, tx =>
        change(tx, deleteExpired, [settings.reaperBatchMax]),
      );
    } catch (error) {
      if (sqlStateOf(error) !== refusedToForget) throw error;
      throw new Bug('PS-301', 'the reaper was about to delete a key that is not finished');
    }
  }
}

/**
 * Rows that somebody has in hand are left for the next time: another reaper, or a repeat that is being counted. In
 * the order of expiry, so that the index hands them over and nothing is sorted.
 */
const deleteExpired: Statement = {
  name: 'delete_expired_keys',
  text: `
    WITH expired AS (
      SELECT customer_id, key
        FROM idempotency_keys
       WHERE expires_at < now() AND recovery_point = 'finished'
       ORDER BY expires_at
       LIMIT $1
         FOR UPDATE SKIP LOCKED)
    DELETE FROM idempotency_keys AS k
     USING expired
     WHERE k.customer_id = expired.customer_id AND k.key = expired.key`,
};
