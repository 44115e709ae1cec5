import type { DataSource, EntityManager } from 'typeorm';
import { newId } from '../../src/database/new-id.js';
import { Problem } from '../../src/http/problem.js';
import { Payment, paymentToJson } from '../../src/payments/payment.entity.js';
import type { Settings } from '../../src/settings.js';
import type { Answer, Order } from './design.js';

/** It may have been charged for or not. */
export class BankSilent extends Problem {
  constructor() {
    super('unavailable', 'The bank has not answered.');
  }
}

/**
 * The payment itself, which all designs share: their difference is what they wrap around it. It writes the tables
 * of the real service, and knows nothing of keys: the payment's own id stands in the column for one.
 */
export class Till {
  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: Settings,
  ) {}

  /** As a handler does it in which nothing ever goes wrong. */
  async pay(order: Order): Promise<Answer> {
    const id = newId();
    const transferId = await this.askBank(order, id);
    return this.dataSource.transaction(tx => this.enter(tx, order, { id, transferId }));
  }

  /**
   * Has the other bank pay. It charges a reference once, for as long as it remembers it.
   *
   * @returns its transfer; null on rail ledger, where nobody is asked
   * @throws BankSilent
   */
  async askBank({ rail, amount, currency, to }: Order, reference: string): Promise<string | null> {
    if (rail === 'ledger') return null;
    const { bankUrl, bankApiKey, bankRequestTimeoutMs } = this.settings;
    const answer = await fetch(`${bankUrl}/transfers/${reference}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${bankApiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ amount, currency, creditor: to }),
      signal: AbortSignal.timeout(bankRequestTimeoutMs),
    }).catch(() => null);
    const transfer = answer?.ok ? ((await answer.json()) as { id: string }) : null;
    if (!transfer) throw new BankSilent();
    return transfer.id;
  }

  /** Locks both accounts in the order of their ids, decides, writes: payment, transfer and balances in `tx`. */
  async enter(
    tx: EntityManager,
    order: Order,
    { id, transferId }: { id: string; transferId: string | null },
  ): Promise<Answer> {
    const { customerId, from, to, currency, rail } = order;
    const payee = rail === 'ledger' ? to : `bank:${currency}`;
    const accounts = await tx.query<{ id: string; customer_id: string | null; available: string }[]>(
      `SELECT id, customer_id, credits_posted - debits_posted - debits_pending AS available
         FROM accounts WHERE id IN ($1, $2) AND currency = $3 ORDER BY id FOR NO KEY UPDATE`,
      [from, payee, currency],
    );
    const payer = accounts.find(account => account.id === from);
    if (payer?.customer_id !== customerId || accounts.length < 2)
      throw new Problem('unknown_payee', 'There is no such account.');
    const amount = BigInt(order.amount);
    if (BigInt(payer.available) < amount)
      throw new Problem('insufficient_funds', 'There is not enough money.');

    const now = new Date();
    const payment: Payment = {
      customerId,
      id,
      idempotencyKey: id,
      fromAccountId: from,
      toAccountId: to,
      currency,
      amount,
      rail,
      reference: null,
      status: 'succeeded',
      declineCode: null,
      declineMessage: null,
      bankTransferId: transferId,
      refunded: 0n,
      createdAt: now,
      completedAt: now,
    };
    await tx.query(
      `INSERT INTO payments (customer_id, id, idempotency_key, from_account_id, to_account_id, currency, amount,
                             rail, status, bank_transfer_id, created_at, completed_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'succeeded', $9, $10, $10)`,
      [customerId, id, payment.idempotencyKey, from, to, currency, amount, rail, transferId, now],
    );
    await tx.query(
      `INSERT INTO transfers (id, customer_id, payment_id, debit_account_id, credit_account_id, currency, amount,
                              state, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, 'posted', $8)`,
      [newId(), customerId, id, from, payee, currency, amount, now],
    );
    await tx.query(
      `UPDATE accounts
          SET debits_posted = debits_posted + CASE id WHEN $1 THEN $3::bigint ELSE 0 END,
              credits_posted = credits_posted + CASE id WHEN $2 THEN $3::bigint ELSE 0 END
        WHERE id IN ($1, $2)`,
      [from, payee, amount],
    );
    return { status: 200, body: JSON.stringify(paymentToJson(payment)) };
  }

  /** What `enter` answered when it entered the payment with this id. */
  async recall({ customerId }: Order, id: string): Promise<Answer> {
    const payment = await this.dataSource.manager.findOneByOrFail(Payment, { customerId, id });
    return { status: 200, body: JSON.stringify(paymentToJson(payment)) };
  }
}
