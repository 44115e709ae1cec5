import { publish as publishBank } from '../../src/bank/events.js';
import { publish as publishEngine, type Underway } from '../../src/idempotency/events.js';
import { publish as publishRecovery, type Difference } from '../../src/recovery/events.js';

/** As it will be found wherever it should not be. */
export const secrets = {
  key: 'the-callers-key',
  customerId: 'the-customer',
  apiKey: 'sk_test_secret',
  payee: 'the-payee',
};

/** What the engine has in hand when it says something: the key and all. */
export function attempt(
  id: string,
  point: 'started' | 'funds_reserved' | 'transfer_sent' = 'started',
): Underway {
  const { key, customerId, apiKey, payee } = secrets;
  return {
    attempt: { id, key, customerId, params: { to: payee, apiKey }, operation: { name: 'payment' } },
    held: { epoch: 2, point },
  } as unknown as Underway;
}

export function difference(index: number): Difference {
  return {
    kind: 'unknown_to_bank',
    reference: `payment-${index}`,
    ours: { amount: 10n ** 17n + 1n, currency: 'GBP', status: 'succeeded' },
    theirs: null,
  };
}

export { publishBank, publishEngine, publishRecovery };
