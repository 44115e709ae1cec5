import { randomUUID } from 'node:crypto';
import type { Customer, Sql } from '../support/database.js';

export interface PlantedPayment {
  status?: 'succeeded' | 'pending' | 'declined' | 'cancelled';
  rail?: 'bank' | 'ledger';
  amount?: number;
  /** How long ago it ended, by the database's clock. */
  endedMsAgo?: number;
}

/** £1.00 by the payer, as the service would have left it. @returns its id, which the bank knows it by */
export async function plantPayment(
  sql: Sql,
  payer: Customer,
  { status = 'succeeded', rail = 'bank', amount = 100, endedMsAgo = 60_000 }: PlantedPayment = {},
): Promise<string> {
  const id = randomUUID();
  await sql(
    `INSERT INTO payments (customer_id, id, idempotency_key, from_account_id, to_account_id, currency, amount, rail,
                           status, decline_code, decline_message, created_at, completed_at)
     VALUES ($1, $2, $3, $4, 'sam', 'GBP', $5, $6, $7, CASE WHEN $7 = 'declined' THEN 'declined_by_bank' END,
             CASE WHEN $7 = 'declined' THEN 'The bank declined.' END, now() - interval '1 hour',
             CASE WHEN $7 <> 'pending' THEN now() - $8 * interval '1 ms' END)`,
    [payer.id, id, `key-${id}`, payer.accountId, amount, rail, status, endedMsAgo],
  );
  return id;
}
