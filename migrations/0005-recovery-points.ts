import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What an operation of several phases leaves behind between two of them. */
export class RecoveryPoints implements MigrationInterface {
  name = 'RecoveryPoints0000000000005';

  async up(runner: QueryRunner): Promise<void> {
    // `may_be_sent` is false only while it is certain that no request about this operation has left the house:
    // it is set in the transaction before a call is made, and taken back when the one who would have called says
    // that nothing was sent. Only such an operation can be cancelled.
    //
    // A parked operation has used up its attempts, or was told something that makes no sense. Nobody touches it
    // any more until a person has looked.
    await runner.query(`
      ALTER TABLE idempotency_keys
        ADD COLUMN may_be_sent    boolean NOT NULL DEFAULT false,
        ADD COLUMN parked_because text`);

    // A key may be cancelled before it was ever used: then it belongs to no request, and is closed for good. The
    // rules are replaced under their old names; a table that is in use is checked while it stays in use.
    await runner.query(`
      ALTER TABLE idempotency_keys
        ALTER COLUMN operation           DROP NOT NULL,
        ALTER COLUMN fingerprint         DROP NOT NULL,
        ALTER COLUMN fingerprint_version DROP NOT NULL,
        ALTER COLUMN params              DROP NOT NULL,
        DROP CONSTRAINT idempotency_keys_recovery_point_check,
        DROP CONSTRAINT finished_means_unlocked,
        ADD CONSTRAINT idempotency_keys_recovery_point_check
          CHECK (recovery_point IN ('started', 'funds_reserved', 'transfer_sent', 'finished', 'cancelled')) NOT VALID,
        ADD CONSTRAINT ended_means_unlocked
          CHECK (locked_until IS NULL OR recovery_point NOT IN ('finished', 'cancelled')) NOT VALID,
        ADD CONSTRAINT parked_means_unlocked
          CHECK (parked_because IS NULL OR (locked_until IS NULL AND recovery_point NOT IN ('finished', 'cancelled')))
          NOT VALID,
        ADD CONSTRAINT only_a_cancelled_key_has_no_request
          CHECK (recovery_point = 'cancelled'
                 OR (operation IS NOT NULL AND fingerprint IS NOT NULL
                     AND fingerprint_version IS NOT NULL AND params IS NOT NULL)) NOT VALID`);
    for (const constraint of [
      'idempotency_keys_recovery_point_check',
      'ended_means_unlocked',
      'parked_means_unlocked',
      'only_a_cancelled_key_has_no_request',
    ]) {
      await runner.query('ALTER TABLE idempotency_keys VALIDATE CONSTRAINT ' + constraint);
    }

    // The completer asks for leases that have run out; a person asks for what is parked.
    await runner.query(
      'CREATE INDEX parked_keys ON idempotency_keys (created_at) WHERE parked_because IS NOT NULL',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE idempotency_keys
        DROP CONSTRAINT only_a_cancelled_key_has_no_request,
        DROP CONSTRAINT parked_means_unlocked,
        DROP CONSTRAINT ended_means_unlocked,
        DROP CONSTRAINT idempotency_keys_recovery_point_check,
        ADD CONSTRAINT idempotency_keys_recovery_point_check
          CHECK (recovery_point IN ('started', 'funds_reserved', 'transfer_sent', 'finished')),
        ADD CONSTRAINT finished_means_unlocked CHECK (recovery_point <> 'finished' OR locked_until IS NULL),
        ALTER COLUMN operation           SET NOT NULL,
        ALTER COLUMN fingerprint         SET NOT NULL,
        ALTER COLUMN fingerprint_version SET NOT NULL,
        ALTER COLUMN params              SET NOT NULL,
        DROP COLUMN may_be_sent,
        DROP COLUMN parked_because`);
  }
}
