import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who may call. */
export class Customers implements MigrationInterface {
  name = 'Customers0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE customers (
        id   uuid PRIMARY KEY,
        name text NOT NULL UNIQUE
      )`);

    // A customer may hold several API keys, each with its own scopes: a key that only reads is the same
    // customer, not another one. Only the hash is stored; a revoked key stays, so that its refusal is a fact.
    await runner.query(`
      CREATE TABLE api_keys (
        hash        bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
        customer_id uuid NOT NULL REFERENCES customers,
        scopes      text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'pay']),
        revoked_at  timestamptz
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE api_keys, customers');
  }
}
