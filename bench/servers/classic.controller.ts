import { Body, Controller, Inject, Post, UseGuards, UseInterceptors } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { v7 as uuid } from 'uuid';
import { AuthenticationGuard } from '../../src/http/authentication.guard.js';
import { Needs } from '../../src/http/caller.js';
import { Problem } from '../../src/http/problem.js';
import { fingerprint, fingerprintVersion } from '../../src/idempotency/fingerprint.js';
import {
  type Asking,
  AskingOf,
  IdempotencyInterceptor,
} from '../../src/idempotency/idempotency.interceptor.js';
import type { Outcome } from '../../src/idempotency/operation.js';
import type { Answered } from '../../src/idempotency/tell.js';
import { PaymentBody } from '../../src/payments/payment-body.js';
import { paymentToJson } from '../../src/payments/payment.entity.js';
import { Settings } from '../../src/settings.js';
import { makePayment } from './one-payment.js';

/** The classic way: one transaction a request, with the idempotency key in it. Correct, and not shared. */
@Controller('payments')
@UseGuards(AuthenticationGuard)
export class ClassicController {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(Settings) private readonly settings: Settings,
  ) {}

  @Post()
  @Needs('pay')
  @UseInterceptors(IdempotencyInterceptor)
  pay(@AskingOf() { customerId, key }: Asking, @Body() body: PaymentBody): Promise<Answered> {
    if (key === null) throw new Problem('idempotency_key_missing', 'Send an Idempotency-Key header.');
    const { from = null, to, amount, currency, reference = null } = body;
    const params = { from, to, amount, currency, rail: 'ledger', reference };
    const print = fingerprint('payment', params);
    return this.dataSource.transaction(async tx => {
      const [claim] = await tx.query<{ expires_at: Date }[]>(
        `INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params,
                                       recovery_point, attempt_id, created_at, expires_at)
         VALUES ($1, $2, 'payment', $3, $4, $5, 'started', $6, now(), now() + $7::float8 * interval '1 millisecond')
         ON CONFLICT (customer_id, key) DO NOTHING
         RETURNING expires_at`,
        [customerId, key, print, fingerprintVersion, params, uuid(), this.settings.answerRetentionMs],
      );
      if (!claim) return { key, outcome: await replay(tx, { customerId, key, print }) };

      const payment = await makePayment(tx, { customerId, key, body });
      const answer = { status: 200, body: JSON.stringify(paymentToJson(payment)) } as const;
      await tx.query(
        `UPDATE idempotency_keys
            SET recovery_point = 'finished', response_status = $3, response_body = $4, finished_at = now()
          WHERE customer_id = $1 AND key = $2`,
        [customerId, key, answer.status, answer.body],
      );
      return { key, outcome: { kind: 'completed', answer, expiresAt: claim.expires_at } };
    });
  }
}

/** A claim that finds a row has waited for its transaction to end, so what it finds is finished. */
async function replay(
  tx: EntityManager,
  { customerId, key, print }: { customerId: string; key: string; print: Buffer },
): Promise<Outcome> {
  const [row] = await tx.query<FinishedRow[]>(
    `SELECT fingerprint, response_status AS status, response_body AS body, finished_at, expires_at
       FROM idempotency_keys WHERE customer_id = $1 AND key = $2`,
    [customerId, key],
  );
  if (!row?.fingerprint.equals(print)) throw new Problem('collision_detected', 'This key was used before.');
  const { status, body, finished_at: finishedAt, expires_at: expiresAt } = row;
  return { kind: 'replayed', answer: { status, body }, finishedAt, expiresAt };
}

interface FinishedRow {
  fingerprint: Buffer;
  status: 200;
  body: string;
  finished_at: Date;
  expires_at: Date;
}
