import { Problem } from '../../src/http/problem.js';
import { fingerprint } from '../../src/idempotency/fingerprint.js';
import { readIdempotencyKey } from '../../src/idempotency/idempotency-key.js';
import type { PaymentBody } from '../../src/payments/payment-body.js';
import type { Order } from './design.js';

/** Reads key and body as the real API does. The account to pay from has to be named, which spares a look-up. */
export function readOrder(customerId: string, rawHeaders: string[], body: PaymentBody): Order {
  const key = readIdempotencyKey(rawHeaders);
  if (key === null) throw new Problem('idempotency_key_missing', 'Send an Idempotency-Key header.');
  const { from, to, amount, currency } = body;
  if (!from) throw new Problem('invalid_request', 'from: say which account.');
  const params = { from, to, amount, currency, rail: body.rail ?? 'ledger', reference: null } as const;
  return { ...params, customerId, key, fingerprint: fingerprint('payment', params).toString('hex') };
}
