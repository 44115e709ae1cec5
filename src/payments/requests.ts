import { Inject, Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { DataSource } from 'typeorm';
import { Problem } from '../http/problem.js';
import { Engine, type Patience } from '../idempotency/run-operation.js';
import type { Answered } from '../idempotency/tell.js';
import { Settings } from '../settings.js';
import { defaultAccount } from './default-account.js';
import type { PaymentBody } from './payment-body.js';
import { refundPayment } from './refund-payment.js';
import { takePayment } from './take-payment.js';

/** Who asks, under which key, and how long they would wait. `key` null: recognised by what is asked for. */
export interface Asking {
  readonly customerId: string;
  readonly key: string | null;
  readonly patience?: Patience | undefined;
}

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
    const from = body.from ?? (await defaultAccount(this.dataSource, { customerId, currency, key }));
    const params = { from, to, amount, currency, rail, reference: body.reference ?? null };
    return this.engine.run(takePayment, { customerId, key }, { params, patience });
  }

  async refund({ customerId, key, patience }: Asking, paymentId: string, amount: number): Promise<Answered> {
    if (!isUUID(paymentId)) throw new Problem('not_found', 'You have made no such payment.');
    const params = { payment_id: paymentId.toLowerCase(), amount };
    return this.engine.run(refundPayment, { customerId, key }, { params, patience });
  }
}
