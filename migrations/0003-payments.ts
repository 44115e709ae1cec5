import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What happened. */
export class Payments implements MigrationInterface {
  name = 'Payments0000000000003';

  async up(runner: QueryRunner): Promise<void> {
    // A payment remembers its idempotency key for ever. The key's own row may be reaped once its time is over;
    // this constraint then still refuses a second payment, and the first answer is rebuilt from this row. So
    // the text of a decline is stored too: a later release may word it differently, the answer may not change.
    //
    // The primary key begins with the customer: it lists one customer's payments in order of time (ids are
    // UUIDv7), and the table can be split by customer. The payer's account is the customer's own and holds the
    // payment's currency, by reference. The payee's may be at another bank, so nothing refers to it.
    await runner.query(`
      CREATE TABLE payments (
        id               uuid NOT NULL,
        customer_id      uuid NOT NULL,
        idempotency_key  text NOT NULL,
        from_account_id  text NOT NULL,
        to_account_id    text NOT NULL,
        currency         text NOT NULL,
        amount           bigint NOT NULL CHECK (amount > 0),
        rail             text NOT NULL CHECK (rail IN ('ledger', 'bank')),
        reference        text CHECK (length(reference) <= 140),
        status           text NOT NULL CHECK (status IN ('succeeded', 'pending', 'declined', 'cancelled')),
        decline_code     text,
        decline_message  text,
        bank_transfer_id text,
        refunded         bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND amount),
        created_at       timestamptz NOT NULL,
        completed_at     timestamptz,
        PRIMARY KEY (customer_id, id),
        CONSTRAINT payments_remember_their_key UNIQUE (customer_id, idempotency_key),
        CONSTRAINT paid_from_own_account
          FOREIGN KEY (customer_id, from_account_id, currency) REFERENCES accounts (customer_id, id, currency),
        CONSTRAINT declined_with_a_reason CHECK ((status = 'declined') = (decline_code IS NOT NULL)),
        CONSTRAINT declined_in_words CHECK ((decline_code IS NULL) = (decline_message IS NULL)),
        CONSTRAINT completed_unless_pending CHECK ((status = 'pending') = (completed_at IS NULL))
      )`);

    await runner.query(`
      ALTER TABLE transfers
        ADD CONSTRAINT transfers_of_a_payment FOREIGN KEY (customer_id, payment_id) REFERENCES payments`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE transfers DROP CONSTRAINT transfers_of_a_payment');
    await runner.query('DROP TABLE payments');
  }
}
