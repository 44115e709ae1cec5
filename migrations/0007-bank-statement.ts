import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the bank says it did. */
export class BankStatement implements MigrationInterface {
  name = 'BankStatement0000000000007';

  async up(runner: QueryRunner): Promise<void> {
    // The bank's statement, copied booking by booking, so that both sides can be compared by one statement here.
    // `sequence` is the bank's, and where the next copy goes on. Nothing refers to our payments: that a reference
    // is none of ours is one of the things to find out.
    await runner.query(`
      CREATE TABLE bank_bookings (
        sequence    bigint PRIMARY KEY,
        kind        text NOT NULL CHECK (kind IN ('charge', 'return')),
        transfer_id text NOT NULL,
        reference   text NOT NULL,
        amount      bigint NOT NULL,
        currency    text NOT NULL,
        booked_at   timestamptz NOT NULL
      )`);
    await runner.query('CREATE INDEX bank_bookings_by_reference ON bank_bookings (reference)');
    await runner.query("CREATE INDEX bank_payments ON payments (id) WHERE rail = 'bank'");
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX bank_payments');
    await runner.query('DROP TABLE bank_bookings');
  }
}
