import type { Client } from 'pg';

/**
 * Has the database write down each change of a key's row, whoever makes it: what a row has been through is not to be
 * seen from what it is. That repeats were counted is no change. Call it once, as the owner of the tables, before the
 * first payment.
 *
 * `writer` is the application name of the connection: a harness that gives each process its own can tell a holder's
 * write from a zombie's. The transaction's number tells a claim that was taken back from a key that was forgotten.
 */
export async function recordKeyHistory(owner: Pick<Client, 'query'>): Promise<void> {
  await owner.query(`
    CREATE TABLE key_history (
      id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      at             timestamptz NOT NULL DEFAULT clock_timestamp(),
      transaction    text NOT NULL DEFAULT pg_current_xact_id()::text,
      writer         text NOT NULL DEFAULT current_setting('application_name'),
      change         text NOT NULL,
      customer_id    uuid NOT NULL,
      key            text NOT NULL,
      recovery_point text NOT NULL,
      epoch          integer NOT NULL,
      attempt_id     uuid NOT NULL,
      parked_because text,
      answer         text,
      expires_at     timestamptz NOT NULL)`);
  // A row is changed by one transaction at a time, so for one key the order of the ids is the order of its changes.
  // With its definer's rights: the API's own role may not write here, and must not need to.
  await owner.query(`
    CREATE FUNCTION record_key_history() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE
      k idempotency_keys := coalesce(NEW, OLD);
      counters text[] := ARRAY['duplicates', 'last_duplicate_at'];
    BEGIN
      IF TG_OP = 'UPDATE' AND to_jsonb(OLD) - counters = to_jsonb(NEW) - counters THEN
        RETURN NULL;
      END IF;
      INSERT INTO key_history (change, customer_id, key, recovery_point, epoch, attempt_id, parked_because, answer,
                               expires_at)
      VALUES (TG_OP, k.customer_id, k.key, k.recovery_point, k.epoch, k.attempt_id, k.parked_because,
              k.response_status || ' ' || encode(sha256(convert_to(k.response_body, 'UTF8')), 'hex'),
              k.expires_at);
      RETURN NULL;
    END $$`);
  await owner.query(`
    CREATE TRIGGER key_history AFTER INSERT OR UPDATE OR DELETE ON idempotency_keys
      FOR EACH ROW EXECUTE FUNCTION record_key_history()`);
}
