import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Why once. */
export class IdempotencyKeys implements MigrationInterface {
  name = 'IdempotencyKeys0000000000004';

  async up(runner: QueryRunner): Promise<void> {
    // The primary key is the whole of exactly-once: whoever inserts (customer, key) first owns the operation.
    //
    // `attempt_id` says which attempt wrote the row, so that a caller whose COMMIT was answered by silence
    // knows its own row from somebody else's. `epoch` counts the owners: a write that names an old epoch
    // touches nothing. `locked_until` is the owner's lease; a row claimed and finished in one transaction
    // never has one, so the index of unfinished keys holds only operations of several phases.
    //
    // Most rows are written twice in one transaction, claimed and then finished, and the second version holds the
    // answer: the room left on a page is for that, so that finishing a key touches no index.
    //
    // The answer is text, not jsonb: a replay is the same bytes, and jsonb would reorder them. No foreign key
    // to customers: the customer was read when the call was authenticated, and this is the hottest insert.
    await runner.query(`
      CREATE TABLE idempotency_keys (
        customer_id         uuid NOT NULL,
        key                 text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
        operation           text NOT NULL,
        fingerprint         bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
        fingerprint_version smallint NOT NULL,
        params              jsonb NOT NULL,
        recovery_point      text NOT NULL
          CHECK (recovery_point IN ('started', 'funds_reserved', 'transfer_sent', 'finished')),
        state               jsonb,
        attempt_id          uuid NOT NULL,
        epoch               integer NOT NULL DEFAULT 1 CHECK (epoch > 0),
        attempts            integer NOT NULL DEFAULT 1 CHECK (attempts > 0),
        locked_until        timestamptz,
        response_status     smallint CHECK (response_status IN (200, 402)),
        response_body       text CHECK (octet_length(response_body) <= 65536),
        created_at          timestamptz NOT NULL,
        finished_at         timestamptz,
        expires_at          timestamptz NOT NULL,
        duplicates          integer NOT NULL DEFAULT 0,
        last_duplicate_at   timestamptz,
        PRIMARY KEY (customer_id, key),
        CONSTRAINT finished_means_answered CHECK (
          (recovery_point = 'finished') = (response_status IS NOT NULL)
          AND (response_status IS NULL) = (response_body IS NULL)
          AND (response_status IS NULL) = (finished_at IS NULL)),
        CONSTRAINT finished_means_unlocked CHECK (recovery_point <> 'finished' OR locked_until IS NULL)
      ) WITH (fillfactor = 30)`);
    await runner.query(
      'CREATE INDEX unfinished_keys ON idempotency_keys (locked_until) WHERE locked_until IS NOT NULL',
    );
    await runner.query('CREATE INDEX keys_by_expiry ON idempotency_keys (expires_at)');

    // An unfinished key guards a payment that may be half done: the database itself refuses to forget it.
    // The one exception is the transaction that claimed it, which may take its claim back.
    await runner.query(`
      CREATE FUNCTION refuse_to_forget_unfinished_keys() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF OLD.recovery_point <> 'finished' AND OLD.xmin <> pg_current_xact_id()::xid THEN
          RAISE EXCEPTION 'an unfinished idempotency key cannot be deleted'
            USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN OLD;
      END $$`);
    await runner.query(`
      CREATE TRIGGER unfinished_keys_stay BEFORE DELETE ON idempotency_keys
        FOR EACH ROW EXECUTE FUNCTION refuse_to_forget_unfinished_keys()`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE idempotency_keys');
    await runner.query('DROP FUNCTION refuse_to_forget_unfinished_keys');
  }
}
