import {
  Body,
  Controller,
  Get,
  Inject,
  Param,
  Post,
  Query,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { isUUID } from 'class-validator';
import { DataSource, LessThan } from 'typeorm';
import { AuthenticationGuard } from '../http/authentication.guard.js';
import { type Caller, CallerOf, Needs } from '../http/caller.js';
import { listToJson, PageQuery } from '../http/page.js';
import { Problem } from '../http/problem.js';
import {
  IdempotencyInterceptor,
  IdempotencyKeyOf,
  PatienceOf,
} from '../idempotency/idempotency.interceptor.js';
import type { Outcome } from '../idempotency/operation.js';
import { Engine, type Patience } from '../idempotency/run-operation.js';
import { Settings } from '../settings.js';
import { defaultAccount } from './default-account.js';
import { PaymentBody } from './payment-body.js';
import { Payment, paymentToJson } from './payment.entity.js';
import { RefundBody } from './refund-body.js';
import { refundPayment } from './refund-payment.js';
import { takePayment } from './take-payment.js';

@Controller('payments')
@UseGuards(AuthenticationGuard)
export class PaymentsController {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(Engine) private readonly engine: Engine,
    @Inject(Settings) private readonly settings: Settings,
  ) {}

  @Post()
  @Needs('pay')
  @UseInterceptors(IdempotencyInterceptor)
  async pay(
    @CallerOf() { customerId }: Caller,
    @IdempotencyKeyOf() key: string,
    @PatienceOf() patience: Patience | undefined,
    @Body() body: PaymentBody,
  ): Promise<Outcome> {
    const { to, amount, currency } = body;
    const rail = body.rail ?? 'ledger';
    if (rail === 'bank' && this.settings.bankUrl === '') {
      throw Problem.invalid([
        { field: 'rail', message: 'must be "ledger": no other bank is configured here' },
      ]);
    }
    // Defaults are spelled out before the fingerprint is taken: leaving one out, or not, is the same request.
    const from = body.from ?? (await defaultAccount(this.dataSource, { customerId, currency, key }));
    const params = { from, to, amount, currency, rail, reference: body.reference ?? null };
    return this.engine.run(takePayment, { customerId, key }, { params, patience });
  }

  @Post(':id/refunds')
  @Needs('pay')
  @UseInterceptors(IdempotencyInterceptor)
  async refund(
    @CallerOf() { customerId }: Caller,
    @IdempotencyKeyOf() key: string,
    @Param('id') id: string,
    @Body() { amount }: RefundBody,
  ): Promise<Outcome> {
    if (!isUUID(id)) throw new Problem('not_found', 'You have made no such payment.');
    const params = { payment_id: id.toLowerCase(), amount };
    return this.engine.run(refundPayment, { customerId, key }, { params });
  }

  @Get()
  @Needs('read')
  async list(@CallerOf() { customerId }: Caller, @Query() { limit, after }: PageQuery) {
    const payments = await this.dataSource.manager.find(Payment, {
      where: { customerId, ...(after === undefined ? {} : { id: LessThan(after) }) },
      order: { id: 'DESC' },
      take: limit + 1,
    });
    return listToJson(payments, limit, paymentToJson);
  }

  @Get(':id')
  @Needs('read')
  async show(@CallerOf() { customerId }: Caller, @Param('id') id: string) {
    const payment = isUUID(id) ? await this.dataSource.manager.findOneBy(Payment, { customerId, id }) : null;
    if (!payment) throw new Problem('not_found', 'You have made no such payment.');
    return paymentToJson(payment);
  }
}
