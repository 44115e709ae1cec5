import { Body, Controller, HttpCode, Inject, Post, UseGuards } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { AuthenticationGuard } from '../../src/http/authentication.guard.js';
import { type Caller, CallerOf, Needs } from '../../src/http/caller.js';
import { PaymentBody } from '../../src/payments/payment-body.js';
import { paymentToJson } from '../../src/payments/payment.entity.js';
import { makePayment } from './one-payment.js';

/** One transaction a request, and no idempotency: a request sent twice pays twice. */
@Controller('payments')
@UseGuards(AuthenticationGuard)
export class NaiveController {
  constructor(@Inject(DataSource) private readonly dataSource: DataSource) {}

  @Post()
  @HttpCode(200)
  @Needs('pay')
  async pay(@CallerOf() { customerId }: Caller, @Body() body: PaymentBody) {
    const payment = await this.dataSource.transaction(tx => makePayment(tx, { customerId, key: null, body }));
    return paymentToJson(payment);
  }
}
