import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { Params, RecoveryPoint } from './operation.js';

/** The key row: who asked for what, how far it came, and the answer once there is one. */
@Entity('idempotency_keys')
export class IdempotencyKey {
  @PrimaryColumn('uuid', { name: 'customer_id' })
  customerId!: string;

  @PrimaryColumn('text')
  key!: string;

  @Column('text')
  operation!: string;

  @Column('bytea')
  fingerprint!: Buffer;

  @Column('smallint', { name: 'fingerprint_version' })
  fingerprintVersion!: number;

  @Column('jsonb')
  params!: Params;

  @Column('text', { name: 'recovery_point' })
  recoveryPoint!: RecoveryPoint;

  @Column('jsonb', { nullable: true })
  state!: Params | null;

  @Column('uuid', { name: 'attempt_id' })
  attemptId!: string;

  @Column('integer')
  epoch!: number;

  @Column('integer')
  attempts!: number;

  @Column('timestamptz', { name: 'locked_until', nullable: true })
  lockedUntil!: Date | null;

  @Column('smallint', { name: 'response_status', nullable: true })
  responseStatus!: 200 | 402 | null;

  @Column('text', { name: 'response_body', nullable: true })
  responseBody!: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;

  @Column('integer')
  duplicates!: number;

  @Column('timestamptz', { name: 'last_duplicate_at', nullable: true })
  lastDuplicateAt!: Date | null;
}
