import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { PaymentBody } from '../../src/payments/payment-body.js';

/** As long as the answer to a payment. */
const answer = {
  id: '019a0000-0000-7000-8000-000000000000',
  object: 'payment',
  status: 'succeeded',
  from: 'bench-1234',
  to: 'bench-5678',
  amount: 1,
  currency: 'GBP',
  rail: 'ledger',
  reference: null,
  decline: null,
  bank_transfer_id: null,
  refunded: 0,
  idempotency_key: '00000000-0000-4000-8000-000000000000',
  created_at: '2026-01-01T00:00:00.000Z',
  completed_at: '2026-01-01T00:00:00.000Z',
};

/** The ceiling: it validates the body and answers. No authentication, no database, no payment. */
@Controller('payments')
export class BareController {
  @Post()
  @HttpCode(200)
  pay(@Body() { to, amount, currency }: PaymentBody) {
    return { ...answer, to, amount, currency };
  }
}
