import { newId } from '../../src/database/new-id.js';
import {
  replay,
  type Answer,
  type Design,
  type KeptAnswer,
  type Order,
  type Tools,
} from '../compare/design.js';

/**
 * Wrong turn: the bank is called inside the transaction.
 *
 * It looks like the safest of all: key, payment and the bank's answer are committed together, or not at all. On rail
 * ledger it is right, and equal requests even wait for each other by themselves.
 *
 * What breaks it: a crash after the charge and before the commit. The rollback takes back the key, the payment and the
 * reference under which the bank was asked; it does not take back the charge. The retry knows of nothing, and has the
 * bank pay again, under a new reference. A time-out does the same. And while a slow bank is waited for, a connection
 * and a row of the key are held: ten slow calls, and nobody pays at all.
 *
 * The right turn: commit, call, commit; src/payments/take-payment.ts.
 */
export class BankInTransaction implements Design {
  readonly schema = `
    CREATE TABLE IF NOT EXISTS lab_keys (
      customer_id uuid NOT NULL,
      key         text NOT NULL,
      fingerprint text NOT NULL,
      status      integer,
      body        text,
      PRIMARY KEY (customer_id, key)
    )`;

  constructor(private readonly tools: Tools) {}

  pay(order: Order): Promise<Answer> {
    const { customerId, key, fingerprint } = order;
    const { dataSource, till } = this.tools;
    return dataSource.transaction(async tx => {
      const [claim] = await tx.query<object[]>(
        `INSERT INTO lab_keys (customer_id, key, fingerprint) VALUES ($1, $2, $3)
         ON CONFLICT (customer_id, key) DO NOTHING RETURNING key`,
        [customerId, key, fingerprint],
      );
      if (!claim) {
        // Whoever lost the claim has waited for the winner's COMMIT, so what it finds is finished.
        const [row] = await tx.query<[KeptAnswer]>(
          'SELECT fingerprint, status, body FROM lab_keys WHERE customer_id = $1 AND key = $2',
          [customerId, key],
        );
        return replay(row, fingerprint);
      }
      const id = newId();
      const transferId = await till.askBank(order, id);
      const answer = await till.enter(tx, order, { id, transferId });
      await tx.query('UPDATE lab_keys SET status = $3, body = $4 WHERE customer_id = $1 AND key = $2', [
        customerId,
        key,
        answer.status,
        answer.body,
      ]);
      return answer;
    });
  }
}
