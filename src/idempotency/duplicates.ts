import type { DataSource } from 'typeorm';
import { change, columns, type Statement } from '../database/statement.js';
import { ownerToString } from './claim.js';
import type { Owner } from './operation.js';

/**
 * Counts repeats per key, for people who ask what happened. Counts are added up in memory and written together;
 * a crash loses what was not written yet. No promise rests on them.
 */
export class Duplicates {
  private counts = new Map<string, Owner & { count: number }>();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly dataSource: DataSource,
    private readonly flushMs: number,
  ) {}

  count({ customerId, key }: Owner): void {
    const id = ownerToString(customerId, key);
    const entry = this.counts.get(id);
    if (entry) entry.count += 1;
    else this.counts.set(id, { customerId, key, count: 1 });
    this.timer ??= setTimeout(() => void this.flush(), this.flushMs).unref();
  }

  /** Writes what was counted so far. One write at a time; a failed one is dropped, since nothing rests on it. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.writing = this.writing.then(() => this.write());
    await this.writing;
  }

  private async write(): Promise<void> {
    const counted = [...this.counts.values()];
    if (counted.length === 0) return;
    this.counts = new Map();
    await this.dataSource
      .transaction(tx => change(tx, addDuplicates, columns(counted, 'customerId', 'key', 'count')))
      .catch(() => {
        // The database is away, and has told so to everybody who needs it.
      });
  }
}

/** Rows are locked in the order of their keys, since another instance may be adding to the same ones. */
const addDuplicates: Statement = {
  name: 'add_duplicates',
  text: `
    WITH repeated AS (
      SELECT k.customer_id, k.key, seen.count
        FROM idempotency_keys AS k
        JOIN unnest($1::uuid[], $2::text[], $3::int[]) AS seen (customer_id, key, count) USING (customer_id, key)
       ORDER BY customer_id, key
         FOR NO KEY UPDATE OF k)
    UPDATE idempotency_keys AS k
       SET duplicates = k.duplicates + repeated.count, last_duplicate_at = now()
      FROM repeated
     WHERE k.customer_id = repeated.customer_id AND k.key = repeated.key`,
};
