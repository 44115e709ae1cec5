import { Inject, Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { DataSource } from 'typeorm';
import { read, type Statement } from '../database/statement.js';
import { Problem } from '../http/problem.js';
import type { Asking } from '../idempotency/idempotency.interceptor.js';
import { Engine } from '../idempotency/run-operation.js';
import type { Answered } from '../idempotency/tell.js';
import { Settings } from '../settings.js';
import { defaultAccount } from './default-account.js';
import type { PaymentBody } from './payment-body.js';
import { refundPayment } from './refund-payment.js';
import { takePayment } from './take-payment.js';

/**
 * From a validated body to the parameters of an operation, every default spelled out: leaving one out, or not, is the
 * same request. What is not listed here is not part of it, and so not of its fingerprint: `client_timestamp`.
 */
@Injectable()
export class Requests {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(Engine) private readonly engine: Engine,
    @Inject(Settings) private readonly settings: Settings,
  ) {}

  async pay({ customerId, key, patience }: Asking, body: PaymentBody): Promise<Answered> {
    const { to, amount, currency } = body;
    const rail = body.rail ?? 'ledger';
    if (rail === 'bank' && this.settings.bankUrl === '') {
      throw Problem.invalid([
        { field: 'rail', message: 'must be "ledger": no other bank is configured here' },
      ]);
    }
    if (rail === 'bank') await this.refuseTooMany(customerId, key);
    const from = body.from ?? (await defaultAccount(this.dataSource, { customerId, currency, key }));
    const params = { from, to, amount, currency, rail, reference: body.reference ?? null };
    return this.engine.run(takePayment, { customerId, key }, { params, patience });
  }

  /** Each is a row that only its end frees. Roughly: those that arrive in this very moment are not counted. */
  private async refuseTooMany(customerId: string, key: string | null): Promise<void> {
    const { unfinishedPerCustomerMax: max } = this.settings;
    const [row] = await read<{ unfinished: string }>(this.dataSource, countUnfinished, [
      customerId,
      max,
      key,
    ]);
    if (Number(row?.unfinished) < max) return;
    throw new Problem('rate_limited', `At most ${max} payments through the bank may be on their way.`, {
      headers: { 'retry-after': '30' },
    });
  }

  async refund({ customerId, key, patience }: Asking, paymentId: string, amount: number): Promise<Answered> {
    if (!isUUID(paymentId)) throw new Problem('not_found', 'You have made no such payment.');
    const params = { payment_id: paymentId.toLowerCase(), amount };
    return this.engine.run(refundPayment, { customerId, key }, { params, patience });
  }
}

const countUnfinished: Statement = {
  name: 'count_unfinished_of_customer',
  text: `
    SELECT count(*) AS unfinished
      FROM (SELECT FROM idempotency_keys WHERE customer_id = $1 AND locked_until IS NOT NULL
               AND NOT EXISTS (SELECT FROM idempotency_keys WHERE customer_id = $1 AND key = $3)
               AND NOT EXISTS (SELECT FROM payments WHERE customer_id = $1 AND idempotency_key = $3)
             LIMIT $2) AS one`,
};
