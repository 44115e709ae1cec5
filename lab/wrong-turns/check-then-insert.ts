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
 * Wrong turn: look whether the key is there, pay, then insert the key.
 *
 * It looks safe because payment and key are one transaction: no crash leaves one without the other, and a repeat
 * that comes later finds the row.
 *
 * What breaks it: two equal requests at once. Each looks before the other has committed, sees nothing, and pays. No
 * transaction prevents that at READ COMMITTED, PostgreSQL's default: what is not there cannot be locked. (A unique
 * constraint would: then the loser gets an error, having paid nothing. SERIALIZABLE would, and has to be retried.)
 *
 * The right turn: insert first, and let a unique key pick the winner; src/idempotency/claim.ts.
 */
export class CheckThenInsert implements Design {
  readonly schema = `
    CREATE TABLE IF NOT EXISTS lab_keys (
      customer_id uuid NOT NULL,
      key         text NOT NULL,
      fingerprint text NOT NULL,
      status      integer NOT NULL,
      body        text NOT NULL
    );
    CREATE INDEX IF NOT EXISTS lab_keys_by_key ON lab_keys (customer_id, key)`;

  constructor(private readonly tools: Tools) {}

  async pay(order: Order): Promise<Answer> {
    const { customerId, key, fingerprint } = order;
    const { dataSource, till } = this.tools;
    const seen = await this.find(order);
    if (seen) return replay(seen, fingerprint);

    const id = newId();
    const transferId = await till.askBank(order, id);
    return dataSource.transaction(async tx => {
      const answer = await till.enter(tx, order, { id, transferId });
      await tx.query(
        'INSERT INTO lab_keys (customer_id, key, fingerprint, status, body) VALUES ($1, $2, $3, $4, $5)',
        [customerId, key, fingerprint, answer.status, answer.body],
      );
      return answer;
    });
  }

  private async find({ customerId, key }: Order): Promise<KeptAnswer | undefined> {
    const [row] = await this.tools.dataSource.query<KeptAnswer[]>(
      'SELECT fingerprint, status, body FROM lab_keys WHERE customer_id = $1 AND key = $2',
      [customerId, key],
    );
    return row;
  }
}
