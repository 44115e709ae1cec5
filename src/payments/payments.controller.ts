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
import { type Asking, AskingOf, IdempotencyInterceptor } from '../idempotency/idempotency.interceptor.js';
import type { Answered } from '../idempotency/tell.js';
import { PaymentBody } from './payment-body.js';
import { Payment, paymentToJson } from './payment.entity.js';
import { RefundBody } from './refund-body.js';
import { Requests } from './requests.js';

@Controller('payments')
@UseGuards(AuthenticationGuard)
export class PaymentsController {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(Requests) private readonly requests: Requests,
  ) {}

  @Post()
  @Needs('pay')
  @UseInterceptors(IdempotencyInterceptor)
  pay(@AskingOf() asking: Asking, @Body() body: PaymentBody): Promise<Answered> {
    return this.requests.pay(asking, body);
  }

  @Post(':id/refunds')
  @Needs('pay')
  @UseInterceptors(IdempotencyInterceptor)
  refund(
    @AskingOf() asking: Asking,
    @Param('id') id: string,
    @Body() { amount }: RefundBody,
  ): Promise<Answered> {
    return this.requests.refund(asking, id, amount);
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
