import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who cannot send keys. */
export class KeylessCustomers implements MigrationInterface {
  name = 'KeylessCustomers0000000000008';

  async up(runner: QueryRunner): Promise<void> {
    // A customer whose software cannot send an Idempotency-Key may be recognised by what it asks for, within a short
    // window. Null is the rule: a key is required.
    await runner.query(`
      ALTER TABLE customers
        ADD COLUMN keyless text CONSTRAINT keyless_by_fingerprint CHECK (keyless = 'fingerprint')`);
    // Such a key is a fingerprint, and free again once its window is over; a caller's own key never is.
    await runner.query('ALTER TABLE idempotency_keys ADD COLUMN window_ms integer CHECK (window_ms > 0)');
    // How many operations of one customer are under way, asked before another is taken on.
    await runner.query(`
      CREATE INDEX unfinished_keys_by_customer ON idempotency_keys (customer_id) WHERE locked_until IS NOT NULL`);
    // Keys that were closed before they were used stay for ever, so they are counted before another is added.
    await runner.query(
      'CREATE INDEX closed_keys_by_customer ON idempotency_keys (customer_id) WHERE operation IS NULL',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX unfinished_keys_by_customer, closed_keys_by_customer');
    await runner.query('ALTER TABLE idempotency_keys DROP COLUMN window_ms');
    await runner.query('ALTER TABLE customers DROP COLUMN keyless');
  }
}
