import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Where the money is. */
export class Ledger implements MigrationInterface {
  name = 'Ledger0000000000002';

  async up(runner: QueryRunner): Promise<void> {
    // Amounts are integers in the currency's minor unit. Balances are kept beside the transfers they are the
    // sum of: a payment reads one row, not a history. The CHECK is the second wall behind the code that decides.
    //
    // A bank account stands for money that came from, or went to, the world outside these books. It may go
    // below zero, and belongs to no customer.
    //
    // Room is left on every page, because a busy account is rewritten by each batch: a rewrite that stays on
    // its page touches no index.
    await runner.query(`
      CREATE TABLE accounts (
        id             text PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64),
        customer_id    uuid REFERENCES customers,
        kind           text NOT NULL DEFAULT 'customer' CHECK (kind IN ('customer', 'bank')),
        currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
        debits_pending bigint NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
        debits_posted  bigint NOT NULL DEFAULT 0 CHECK (debits_posted >= 0),
        credits_posted bigint NOT NULL DEFAULT 0 CHECK (credits_posted >= 0),
        CONSTRAINT bank_accounts_belong_to_nobody CHECK ((kind = 'bank') = (customer_id IS NULL)),
        CONSTRAINT available_is_never_negative
          CHECK (kind = 'bank' OR credits_posted - debits_posted - debits_pending >= 0),
        CONSTRAINT accounts_by_currency UNIQUE (id, currency),
        CONSTRAINT accounts_by_customer UNIQUE (customer_id, id, currency)
      ) WITH (fillfactor = 50)`);

    // Double entry in one row: what one account loses the other gains, so the books cannot be unbalanced.
    // The currency is part of both references, so that no transfer crosses currencies.
    await runner.query(`
      CREATE TABLE transfers (
        id                uuid PRIMARY KEY,
        customer_id       uuid,
        payment_id        uuid,
        debit_account_id  text NOT NULL,
        credit_account_id text NOT NULL,
        currency          text NOT NULL,
        amount            bigint NOT NULL CHECK (amount > 0),
        state             text NOT NULL CHECK (state IN ('pending', 'posted', 'voided')),
        created_at        timestamptz NOT NULL,
        CONSTRAINT two_accounts CHECK (debit_account_id <> credit_account_id),
        CONSTRAINT debit_in_the_same_currency
          FOREIGN KEY (debit_account_id, currency) REFERENCES accounts (id, currency),
        CONSTRAINT credit_in_the_same_currency
          FOREIGN KEY (credit_account_id, currency) REFERENCES accounts (id, currency)
      )`);
    await runner.query('CREATE INDEX transfers_by_debit ON transfers (debit_account_id, id)');
    await runner.query('CREATE INDEX transfers_by_credit ON transfers (credit_account_id, id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE transfers, accounts');
  }
}
