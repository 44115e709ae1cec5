import { getSchemaPath } from '@nestjs/swagger';
import { PageQuery } from '../http/page.js';
import { OperationBody, RefundParamsBody } from '../payments/operation-body.js';
import { PaymentBody } from '../payments/payment-body.js';
import { RefundBody } from '../payments/refund-body.js';
import { limits } from '../settings.js';
import { describeRules } from './rules.js';

const amountMax = limits.amountMax.toLocaleString('en');
const accountId = { example: 'sam' };

/** What callers send. The rules are in the classes; these are the words for them. */
describeRules(PaymentBody, {
  to: {
    description: 'Whom to pay: the id of an account. On rail `bank`, the payee at the other bank.',
    ...accountId,
  },
  amount: {
    description: `In the currency’s minor unit: 10000 GBP is £100.00. Above ${amountMax}: 422 \`amount_above_limit\`.`,
    maximum: limits.amountMax,
    example: 10_000,
  },
  currency: { description: 'ISO 4217, in capitals.', example: 'GBP' },
  from: { description: 'The account to pay from. Without it: your only account in that currency.' },
  rail: {
    description: '`ledger`: both accounts are in our books. `bank`: the money leaves through another bank.',
    default: 'ledger',
  },
  reference: { description: 'For the payee.', example: 'Invoice 456' },
  client_timestamp: {
    description: 'When you made the request, for your own records. Never part of the fingerprint.',
  },
});

describeRules(RefundBody, {
  amount: {
    description: 'In the minor unit of the payment’s currency; with earlier refunds at most what was paid.',
    maximum: limits.amountMax,
    example: 1_000,
  },
});

describeRules(RefundParamsBody, {
  payment_id: { description: 'The payment to give money back of.' },
  amount: { description: 'In the minor unit of the payment’s currency.', maximum: limits.amountMax },
});

describeRules(OperationBody, {
  operation: { description: 'What is to happen once.' },
  params: {
    description: 'What it is to be carried out with.',
    oneOf: [{ $ref: getSchemaPath(PaymentBody) }, { $ref: getSchemaPath(RefundParamsBody) }],
  },
});

// A query knows no null.
describeRules(PageQuery, {
  limit: { description: 'Entries in a page.', default: new PageQuery().limit, nullable: false },
  after: { description: 'The `next` of the page before.', nullable: false },
});

/** None of them takes a member that is not listed. */
export const bodies = [PaymentBody, RefundBody, RefundParamsBody, OperationBody];
