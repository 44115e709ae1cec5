import type { EntityManager } from 'typeorm';
import { newId } from '../../src/database/new-id.js';
import { Problem } from '../../src/http/problem.js';
import type { PaymentBody } from '../../src/payments/payment-body.js';
import type { Payment } from '../../src/payments/payment.entity.js';

/**
 * One payment in a transaction of its own, as one writes it without sharing: lock both accounts in the order of
 * their ids, decide, write. It fills the same tables with the same rows as the real service.
 *
 * Without an idempotency key the payment's own id takes its place, because the table wants one.
 */
export async function makePayment(
  tx: EntityManager,
  { customerId, key, body }: { customerId: string; key: string | null; body: PaymentBody },
): Promise<Payment> {
  const { from, to, currency } = body;
  const accounts = await tx.query<LockedAccount[]>(
    `SELECT id, customer_id, kind, currency, credits_posted - debits_posted - debits_pending AS available
       FROM accounts WHERE id IN ($1, $2) ORDER BY id FOR NO KEY UPDATE`,
    [from, to],
  );
  const payer = accounts.find(({ id }) => id === from);
  const payee = accounts.find(({ id }) => id === to);
  if (!from || payer?.customer_id !== customerId)
    throw new Problem('not_found', 'from: you have no such account.');
  if (payee?.kind !== 'customer' || payee === payer)
    throw new Problem('unknown_payee', 'to: there is no such account.');
  if (payer.currency !== currency || payee.currency !== currency) {
    throw new Problem('currency_mismatch', 'currency: both accounts must hold it.');
  }
  const amount = BigInt(body.amount);
  if (BigInt(payer.available) < amount) throw new Problem('insufficient_funds', 'There is not enough money.');

  const id = newId();
  const now = new Date();
  const payment: Payment = {
    customerId,
    id,
    idempotencyKey: key ?? id,
    fromAccountId: from,
    toAccountId: to,
    currency,
    amount,
    rail: 'ledger',
    reference: body.reference ?? null,
    status: 'succeeded',
    declineCode: null,
    declineMessage: null,
    bankTransferId: null,
    refunded: 0n,
    createdAt: now,
    completedAt: now,
  };
  await tx.query(
    `INSERT INTO payments (customer_id, id, idempotency_key, from_account_id, to_account_id, currency, amount,
                           rail, reference, status, created_at, completed_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'ledger', $8, 'succeeded', $9, $9)`,
    [customerId, id, payment.idempotencyKey, from, to, currency, amount, payment.reference, now],
  );
  await tx.query(
    `INSERT INTO transfers (id, customer_id, payment_id, debit_account_id, credit_account_id, currency, amount,
                            state, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'posted', $8)`,
    [newId(), customerId, id, from, to, currency, amount, now],
  );
  await tx.query(
    `UPDATE accounts
        SET debits_posted = debits_posted + CASE id WHEN $1 THEN $3::bigint ELSE 0 END,
            credits_posted = credits_posted + CASE id WHEN $2 THEN $3::bigint ELSE 0 END
      WHERE id IN ($1, $2)`,
    [from, to, amount],
  );
  return payment;
}

interface LockedAccount {
  id: string;
  customer_id: string | null;
  kind: string;
  currency: string;
  available: string;
}
