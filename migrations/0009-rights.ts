import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the API may do, and what not even a mistake in it can. */
export class Rights implements MigrationInterface {
  name = 'Rights0000000000009';

  async up(runner: QueryRunner): Promise<void> {
    // The whole of what API and workers need, for a role that owns nothing. It cannot change the schema, add a customer
    // or an API key, delete what was paid, or rewrite who paid whom how much: only the columns in which a payment goes
    // on are open. Idempotency keys it may delete, since claims are taken back and answers expire; those that are not
    // finished are kept by their trigger.
    //
    // A function, because a cluster may get its role only later, or call it something else: whoever owns the tables
    // says SELECT grant_rights_of_the_api('their_role'). It begins by taking away what the role had before. A migration
    // that adds a table replaces it: until then the new table is closed.
    await runner.query(`
      CREATE FUNCTION grant_rights_of_the_api(role regrole) RETURNS void LANGUAGE plpgsql AS $$
      DECLARE
        statement text;
      BEGIN
        IF EXISTS (SELECT FROM pg_class WHERE oid = 'payments'::regclass AND relowner = role) THEN
          RAISE EXCEPTION '% owns the tables: it would lose the rights of an owner', role;
        END IF;
        FOREACH statement IN ARRAY ARRAY[
          'REVOKE ALL ON customers, api_keys, accounts, transfers, payments, refunds, idempotency_keys,
             bank_bookings, migrations FROM %1$s',
          'GRANT SELECT ON customers, api_keys, accounts, transfers, payments, refunds, idempotency_keys,
             bank_bookings, migrations TO %1$s',
          'GRANT INSERT ON transfers, payments, refunds, idempotency_keys, bank_bookings TO %1$s',
          'GRANT UPDATE (debits_pending, debits_posted, credits_posted) ON accounts TO %1$s',
          'GRANT UPDATE (state) ON transfers TO %1$s',
          'GRANT UPDATE (status, decline_code, decline_message, bank_transfer_id, refunded, completed_at)
             ON payments TO %1$s',
          'GRANT UPDATE (recovery_point, state, attempt_id, epoch, attempts, locked_until, may_be_sent, parked_because,
             response_status, response_body, finished_at, expires_at, duplicates, last_duplicate_at)
             ON idempotency_keys TO %1$s',
          'GRANT DELETE ON idempotency_keys TO %1$s']
        LOOP
          EXECUTE format(statement, role);
        END LOOP;
        IF NOT has_schema_privilege(role, current_schema(), 'USAGE') THEN
          EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', current_schema(), role);
        END IF;
      END $$`);
    await runner.query('REVOKE EXECUTE ON FUNCTION grant_rights_of_the_api FROM PUBLIC');

    // Roles belong to the cluster, not to one database: another database may have made it already, or be about to.
    // It has no password and cannot log in: whoever operates this gives it one, or puts a role with one into it. A
    // user who may not make roles leaves it out; everything then works as before, with the owner's rights. So does it
    // where the owner is called that: to narrow its rights would be to lock it out.
    await runner.query(`
      DO $$
      BEGIN
        IF current_user <> 'pay_sam_api' THEN
          IF to_regrole('pay_sam_api') IS NULL THEN
            CREATE ROLE pay_sam_api NOLOGIN;
          END IF;
          PERFORM grant_rights_of_the_api('pay_sam_api');
        END IF;
      EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
          PERFORM grant_rights_of_the_api('pay_sam_api');
        WHEN insufficient_privilege THEN
          RAISE NOTICE 'no role pay_sam_api was made: %', SQLERRM;
      END $$`);
  }

  /** The role stays: other databases of the cluster may use it. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DO $$
      BEGIN
        IF current_user <> 'pay_sam_api' AND to_regrole('pay_sam_api') IS NOT NULL THEN
          REVOKE ALL ON customers, api_keys, accounts, transfers, payments, refunds, idempotency_keys,
            bank_bookings, migrations FROM pay_sam_api;
        END IF;
      END $$`);
    await runner.query('DROP FUNCTION grant_rights_of_the_api');
  }
}
