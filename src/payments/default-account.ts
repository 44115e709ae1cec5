import type { DataSource } from 'typeorm';
import { read, type Statement } from '../database/statement.js';
import { Problem } from '../http/problem.js';

/**
 * The account a payment comes from when its caller left it out: the only one in that currency.
 *
 * A repeat means the account that was meant the first time, whatever accounts were opened since. So what is known
 * of this key decides, before the accounts of today are counted. A key that was cancelled, or that refunded, meant no
 * account: then there is a name that none has, and the engine says what became of the key.
 *
 * @throws Problem currency_mismatch, invalid_request: there is no such account, or no only one
 */
export async function defaultAccount(
  dataSource: DataSource,
  { customerId, currency, key }: { customerId: string; currency: string; key: string | null },
): Promise<string> {
  const [first, ...others] = await read<{ id: string }>(dataSource, accountMeant, [
    customerId,
    currency,
    key,
  ]);
  if (!first) throw new Problem('currency_mismatch', `currency: you have no account in ${currency}.`);
  if (others.length > 0) {
    throw Problem.invalid([
      { field: 'from', message: `is needed: you have several accounts in ${currency}` },
    ]);
  }
  return first.id;
}

const accountMeant: Statement = {
  name: 'account_meant',
  text: `
    WITH known AS (
      SELECT coalesce(params ->> 'from', '') AS id FROM idempotency_keys WHERE customer_id = $1 AND key = $3
       UNION
      SELECT from_account_id FROM payments WHERE customer_id = $1 AND idempotency_key = $3
       UNION
      SELECT '' FROM refunds WHERE customer_id = $1 AND idempotency_key = $3)
    SELECT id FROM known
     UNION ALL
    (SELECT id FROM accounts
      WHERE customer_id = $1 AND currency = $2 AND NOT EXISTS (SELECT FROM known)
      LIMIT 2)`,
};
