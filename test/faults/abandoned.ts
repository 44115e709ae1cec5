import type { Customer, Sql } from '../support/database.js';

export interface Abandoned {
  to?: string;
  /** What is left of the leases, by the database's clock: below 0 they have run out. */
  leaseMs?: number;
  /** False: it is certain that the bank was never asked. */
  mayBeSent?: boolean;
}

/**
 * What holders leave in the database when they die with the money reserved: £1.00 for each key, through the bank. In
 * one statement, so that whoever watches sees neither a promise without its transfer nor a key without its payment.
 *
 * @returns the payments' ids, by which the bank knows them, by key
 */
export async function abandonPayments(
  sql: Sql,
  { id: customerId, accountId }: Customer,
  keys: readonly string[],
  { to = 'sam', leaseMs = -1, mayBeSent = true }: Abandoned = {},
): Promise<Map<string, string>> {
  const params = { amount: 100, currency: 'GBP', from: accountId, rail: 'bank', reference: null, to };
  const rows = await sql<{ key: string; id: string }>(
    `WITH
       abandoned AS MATERIALIZED (
         SELECT key, gen_random_uuid() AS id, gen_random_uuid() AS transfer_id,
                date_trunc('milliseconds', now()) AS at
           FROM unnest($2::text[]) AS key),
       payment AS (
         INSERT INTO payments (customer_id, id, idempotency_key, from_account_id, to_account_id, currency, amount,
                               rail, status, created_at)
         SELECT $1, id, key, $3, $4, 'GBP', 100, 'bank', 'pending', at FROM abandoned),
       transfer AS (
         INSERT INTO transfers (id, customer_id, payment_id, debit_account_id, credit_account_id, currency, amount,
                                state, created_at)
         SELECT transfer_id, $1, id, $3, 'bank:GBP', 'GBP', 100, 'pending', at FROM abandoned),
       account AS (
         UPDATE accounts SET debits_pending = debits_pending + 100 * cardinality($2::text[]) WHERE id = $3)
     INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params,
                                   recovery_point, state, attempt_id, locked_until, may_be_sent, created_at,
                                   expires_at)
     SELECT $1, key, 'payment', sha256(convert_to($5, 'UTF8')), 1, $6::jsonb, 'funds_reserved',
            jsonb_build_object('payment_id', id, 'transfer_id', transfer_id), gen_random_uuid(),
            clock_timestamp() + $7 * interval '1 millisecond', $8, at, at + interval '3 days'
       FROM abandoned
     RETURNING key, state->>'payment_id' AS id`,
    // The canonical document: its members stand here in the order of their names.
    [customerId, keys, accountId, to, `[1,"payment",${JSON.stringify(params)}]`, params, leaseMs, mayBeSent],
  );
  return new Map(rows.map(({ key, id }) => [key, id]));
}

export function numbered(name: string, n: number): string[] {
  return Array.from({ length: n }, (_, index) => `${name}-${index}`);
}
