import { accountToJson } from '../ledger/account.entity.js';
import { transferToJson } from '../ledger/transfer.entity.js';
import { paymentToJson } from '../payments/payment.entity.js';
import { refundToJson } from '../payments/refund.entity.js';
import { problems } from '../http/problems.js';
import { reference, type Reference, type Schema } from './openapi-types.js';

const uuid: Schema = { type: 'string', format: 'uuid' };
const time: Schema = { type: 'string', format: 'date-time' };
const text: Schema = { type: 'string' };
const count: Schema = { type: 'integer', minimum: 0 };
const money = (description: string): Schema => ({
  type: 'integer',
  description: `${description} Minor units.`,
});
const orNull = (schema: Schema): Schema => ({
  ...schema,
  nullable: true,
  // OpenAPI 3.0 wants both.
  ...(schema.enum && { enum: [...(schema.enum as unknown[]), null] }),
});
const one = (...values: string[]): Schema => ({ type: 'string', enum: values });

/** Every member is always there; what there is nothing to say about is null. */
function closed(description: string, properties: Record<string, Schema | Reference>): Schema {
  return { type: 'object', description, properties, required: Object.keys(properties) };
}

const decline = orNull({
  type: 'object',
  description: 'Why it was declined; null if it was not.',
  properties: { code: text, message: text },
  required: ['code', 'message'],
});

const payment: Record<keyof ReturnType<typeof paymentToJson>, Schema> = {
  id: uuid,
  object: one('payment'),
  status: {
    ...one('succeeded', 'pending', 'declined', 'cancelled'),
    description: '`pending`: its money is reserved, and how it ends is not known yet. The others are final.',
  },
  from: text,
  to: text,
  amount: money('What is paid.'),
  currency: text,
  rail: one('ledger', 'bank'),
  reference: orNull(text),
  decline,
  bank_transfer_id: orNull({ ...text, description: 'What the other bank calls it, once it has answered.' }),
  refunded: money('All refunds together.'),
  idempotency_key: { ...text, description: 'The key it was made under, remembered for ever.' },
  created_at: time,
  completed_at: orNull(time),
};

const refund: Record<keyof ReturnType<typeof refundToJson>, Schema> = {
  ...payment,
  object: one('refund'),
  status: one('succeeded', 'declined'),
  payment_id: { ...uuid, description: 'The payment whose money goes back.' },
};

const account: Record<keyof ReturnType<typeof accountToJson>, Schema> = {
  id: text,
  object: one('account'),
  currency: text,
  balance: closed('Minor units.', {
    posted: money('What you own.'),
    pending: money('What is reserved for payments on their way.'),
    available: money('What is left to spend.'),
  }),
};

const transfer: Record<keyof ReturnType<typeof transferToJson>, Schema> = {
  id: uuid,
  object: one('transfer'),
  payment_id: orNull({ ...uuid, description: 'Null for money brought in from outside.' }),
  debit_account: text,
  credit_account: text,
  amount: money('What moves.'),
  state: one('pending', 'posted', 'voided'),
  created_at: time,
};

const operation: Record<string, Schema> = {
  key: text,
  object: one('operation'),
  operation: {
    ...orNull(one('payment', 'refund')),
    description: 'Null for a key that was cancelled before its request arrived.',
  },
  state: {
    ...one('in_progress', 'completed', 'cancelled', 'parked'),
    description: '`parked`: going on would be guessing, and a person looks at it.',
  },
  recovery_point: {
    ...one('started', 'funds_reserved', 'transfer_sent', 'finished', 'cancelled'),
    description: 'How far it came: a committed fact, from which any process can go on.',
  },
  attempts: { ...count, description: 'How often it was taken up.' },
  duplicates: { ...count, description: 'Repeats seen.' },
  first_seen_at: time,
  last_seen_at: time,
  expires_at: orNull({
    ...time,
    description: 'When the stored answer may go. Null: never. The payment remembers its key for ever.',
  }),
  retry_after: orNull({ type: 'integer', description: 'Seconds until it is worth asking again.' }),
  request: orNull({ type: 'object', description: 'The parameters, every default spelled out.' }),
  response: orNull({
    type: 'object',
    description: 'The stored answer, once there is one.',
    properties: {
      status: { type: 'integer', enum: [200, 402] },
      body: { ...text, description: 'Byte for byte, as a JSON string.' },
    },
    required: ['status', 'body'],
  }),
};

const problem: Schema = {
  type: 'object',
  description: 'RFC 9457. Which further members there are depends on `code`.',
  properties: {
    type: { ...text, description: 'A page about it: what it means, and what to do.' },
    title: text,
    status: { type: 'integer' },
    code: one(...Object.keys(problems)),
    detail: { ...text, description: 'For people. It names what is wrong, and no secret.' },
    retryable: {
      type: 'boolean',
      description: 'Whether the same request with the same key may help. As in Should-Retry.',
    },
    errors: {
      type: 'array',
      description: 'With `invalid_request`: what is wrong with which member.',
      items: closed('A member, and the rule it breaks.', { field: text, message: text }),
    },
    differs_in: {
      type: 'array',
      description: 'With `collision_detected`: the members that differ from the first request.',
      items: text,
    },
    payment: { ...closed('With 402: the declined payment.', payment) },
    refund: { ...closed('With 402: the declined refund.', refund) },
    response: { type: 'object', description: 'With `already_completed`: the stored answer.' },
  },
  required: ['type', 'title', 'status', 'code', 'detail', 'retryable'],
};

function listOf(name: string): Schema {
  return closed('Newest first.', {
    object: one('list'),
    data: { type: 'array', items: reference('schemas', name) },
    next: orNull({ ...text, description: 'The cursor for `?after=`; null on the last page.' }),
  });
}

const part = { type: 'object', additionalProperties: { type: 'object' } } satisfies Schema;

/** Everything this API answers with. What callers send is in `bodies.ts`. */
export const schemas: Record<string, Schema> = {
  Payment: closed('Money on its way from one account to another.', payment),
  Refund: closed('A payment in the opposite direction.', refund),
  Account: closed('An account in our books.', account),
  Transfer: closed('Money that moves: double entry in one row.', transfer),
  Operation: closed('What became of a key.', operation),
  Problem: problem,
  PaymentList: listOf('Payment'),
  AccountList: listOf('Account'),
  TransferList: listOf('Transfer'),
  Health: closed('`status` is `ok`; an unhealthy process answers 503.', {
    status: one('ok', 'degraded'),
    info: part,
    error: part,
    details: part,
  }),
};
