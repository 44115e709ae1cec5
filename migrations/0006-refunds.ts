import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What was given back. */
export class Refunds implements MigrationInterface {
  name = 'Refunds0000000000006';

  async up(runner: QueryRunner): Promise<void> {
    // A refund remembers its key as a payment does. What has been refunded of a payment is kept beside the payment,
    // under a CHECK, so that all refunds together never exceed it.
    await runner.query(`
      CREATE TABLE refunds (
        id              uuid NOT NULL,
        customer_id     uuid NOT NULL,
        payment_id      uuid NOT NULL,
        idempotency_key text NOT NULL,
        from_account_id text NOT NULL,
        to_account_id   text NOT NULL,
        currency        text NOT NULL,
        amount          bigint NOT NULL CHECK (amount > 0),
        rail            text NOT NULL CHECK (rail IN ('ledger', 'bank')),
        status          text NOT NULL CHECK (status IN ('succeeded', 'declined')),
        decline_code    text,
        decline_message text,
        created_at      timestamptz NOT NULL,
        completed_at    timestamptz NOT NULL,
        PRIMARY KEY (customer_id, id),
        CONSTRAINT refunds_remember_their_key UNIQUE (customer_id, idempotency_key),
        CONSTRAINT refund_of_a_payment FOREIGN KEY (customer_id, payment_id) REFERENCES payments,
        CONSTRAINT refund_declined_with_a_reason CHECK ((status = 'declined') = (decline_code IS NOT NULL)),
        CONSTRAINT refund_declined_in_words CHECK ((decline_code IS NULL) = (decline_message IS NULL))
      )`);
    await runner.query('CREATE INDEX refunds_by_payment ON refunds (customer_id, payment_id)');
    await runner.query(`
      ALTER TABLE transfers
        ADD COLUMN refund_id uuid,
        ADD CONSTRAINT transfers_of_a_refund FOREIGN KEY (customer_id, refund_id) REFERENCES refunds`);

    // A key is good for one operation, also after its own row was reaped. Each table refuses its own second row;
    // these two refuse a payment under the key of a refund, and the other way round. Once a statement, not once
    // a row, since payments are inserted by the hundred.
    await runner.query(`
      CREATE FUNCTION refuse_payments_under_keys_of_refunds() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (SELECT FROM inserted JOIN refunds USING (customer_id, idempotency_key)) THEN
          RAISE EXCEPTION 'the idempotency key belongs to a refund'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'refunds_remember_their_key';
        END IF;
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE TRIGGER one_key_one_operation AFTER INSERT ON payments REFERENCING NEW TABLE AS inserted
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_payments_under_keys_of_refunds()`);
    await runner.query(`
      CREATE FUNCTION refuse_refunds_under_keys_of_payments() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (SELECT FROM inserted JOIN payments USING (customer_id, idempotency_key)) THEN
          RAISE EXCEPTION 'the idempotency key belongs to a payment'
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'payments_remember_their_key';
        END IF;
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE TRIGGER one_key_one_operation AFTER INSERT ON refunds REFERENCING NEW TABLE AS inserted
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_refunds_under_keys_of_payments()`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TRIGGER one_key_one_operation ON payments');
    await runner.query('ALTER TABLE transfers DROP COLUMN refund_id');
    await runner.query('DROP TABLE refunds');
    await runner.query(
      'DROP FUNCTION refuse_payments_under_keys_of_refunds, refuse_refunds_under_keys_of_payments',
    );
  }
}
