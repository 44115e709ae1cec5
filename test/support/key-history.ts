import type { Sql } from './database.js';
import type { Violation } from './invariants.js';

/**
 * Has the database write down each change of a key's row, whoever makes it: what a row has been through is not to be
 * seen from what it is. That repeats were counted is no change. Call it once, before the first payment.
 */
export async function recordKeyHistory(sql: Sql): Promise<void> {
  await sql(`
    CREATE TABLE key_history (
      id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at             timestamptz NOT NULL DEFAULT clock_timestamp(),
      change         text NOT NULL,
      customer_id    uuid NOT NULL,
      key            text NOT NULL,
      recovery_point text NOT NULL,
      epoch          integer NOT NULL,
      attempt_id     uuid NOT NULL,
      answer         text)`);
  // A row is changed by one transaction at a time, so for one key the order of the ids is the order of its changes.
  await sql(`
    CREATE FUNCTION record_key_history() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      k idempotency_keys := coalesce(NEW, OLD);
      counters text[] := ARRAY['duplicates', 'last_duplicate_at'];
    BEGIN
      IF TG_OP = 'UPDATE' AND to_jsonb(OLD) - counters = to_jsonb(NEW) - counters THEN
        RETURN NULL;
      END IF;
      INSERT INTO key_history (change, customer_id, key, recovery_point, epoch, attempt_id, answer)
      VALUES (TG_OP, k.customer_id, k.key, k.recovery_point, k.epoch, k.attempt_id,
              k.response_status || ' ' || k.response_body);
      RETURN NULL;
    END $$`);
  await sql(`
    CREATE TRIGGER key_history AFTER INSERT OR UPDATE OR DELETE ON idempotency_keys
      FOR EACH ROW EXECUTE FUNCTION record_key_history()`);
}

export interface KeyChange {
  at: Date;
  change: 'INSERT' | 'UPDATE' | 'DELETE';
  recovery_point: string;
  epoch: number;
}

export function historyOf(sql: Sql, key: string): Promise<KeyChange[]> {
  return sql<KeyChange & Record<string, unknown>>(
    'SELECT at, change, recovery_point, epoch FROM key_history WHERE key = $1 ORDER BY id',
    [key],
  );
}

/** I7: recovery points and epochs never go back, and an answer once recorded stays as it is. */
export function checkMonotone(sql: Sql): Promise<Violation[]> {
  return sql<Violation & Record<string, unknown>>(`
    WITH
      ranked AS (
        SELECT *, array_position(ARRAY['started', 'funds_reserved', 'transfer_sent', 'finished', 'cancelled'],
                                 recovery_point) AS rank
          FROM key_history),
      steps AS (
        SELECT *, lag(rank) OVER changes AS rank_before, lag(recovery_point) OVER changes AS point_before,
               lag(epoch) OVER changes AS epoch_before, lag(answer) OVER changes AS answer_before,
               lag(attempt_id) OVER changes AS attempt_before
          FROM ranked WINDOW changes AS (PARTITION BY customer_id, key ORDER BY id))
    SELECT 'a recovery point never goes back' AS broken, to_jsonb(steps) AS row
      FROM steps WHERE change = 'UPDATE' AND rank < rank_before
    UNION ALL
    SELECT 'a key that has ended stays as it is', to_jsonb(steps)
      FROM steps
     WHERE change = 'UPDATE' AND point_before IN ('finished', 'cancelled') AND recovery_point <> point_before
    UNION ALL
    SELECT 'an epoch never goes back', to_jsonb(steps)
      FROM steps WHERE change = 'UPDATE' AND epoch < epoch_before
    UNION ALL
    SELECT 'a new holder has a new epoch', to_jsonb(steps)
      FROM steps WHERE change = 'UPDATE' AND attempt_id <> attempt_before AND epoch <= epoch_before
    UNION ALL
    SELECT 'an answer once recorded never changes', to_jsonb(steps)
      FROM steps WHERE change = 'UPDATE' AND answer IS DISTINCT FROM answer_before AND answer_before IS NOT NULL
    UNION ALL
    SELECT 'an unfinished key is never forgotten', to_jsonb(steps)
      FROM steps WHERE change = 'DELETE' AND recovery_point NOT IN ('started', 'finished', 'cancelled')`);
}
