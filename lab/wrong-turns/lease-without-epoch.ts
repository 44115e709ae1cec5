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
 * Wrong turn: a lease that nobody checks when writing.
 *
 * It looks complete: the key is claimed before the bank is asked, under a reference that is kept; whoever dies leaves a
 * lease that runs out, and the next one takes over and asks with the same reference.
 *
 * What breaks it: a holder that is not dead but frozen, longer than its lease: a pause of the machine, a long garbage
 * collection, a network that holds a packet back. Another takes over and finishes. Then the first one wakes up, and
 * goes on where it was: it enters the payment once more, and replaces the stored answer.
 *
 * The right turn: an epoch that each take-over raises, and that every write has to name. A late holder's write then
 * touches no row, and its transaction is taken back; src/idempotency/take-over.ts and src/idempotency/claim.ts.
 */
export class LeaseWithoutEpoch implements Design {
  readonly schema = `
    CREATE TABLE IF NOT EXISTS lab_keys (
      customer_id uuid, key text, fingerprint text NOT NULL, reference uuid NOT NULL, status integer, body text,
      locked_until timestamptz NOT NULL, PRIMARY KEY (customer_id, key))`;

  constructor(private readonly tools: Tools) {}

  async pay(order: Order): Promise<Answer> {
    const { customerId, key, fingerprint } = order;
    const { dataSource, till, settings } = this.tools;
    const [claim] = await dataSource.query<{ reference: string }[]>(
      `INSERT INTO lab_keys AS ours (customer_id, key, fingerprint, reference, locked_until)
       VALUES ($1, $2, $3, $4, now() + $5 * interval '1 ms')
       ON CONFLICT (customer_id, key) DO UPDATE SET locked_until = excluded.locked_until
             WHERE ours.status IS NULL AND ours.fingerprint = excluded.fingerprint AND ours.locked_until < now()
       RETURNING reference`,
      [customerId, key, fingerprint, newId(), settings.leaseMs],
    );
    if (!claim) return this.kept(order);

    const transferId = await till.askBank(order, claim.reference);
    return dataSource.transaction(async tx => {
      const answer = await till.enter(tx, order, { id: newId(), transferId });
      await tx.query('UPDATE lab_keys SET status = $3, body = $4 WHERE customer_id = $1 AND key = $2', [
        customerId,
        key,
        answer.status,
        answer.body,
      ]);
      return answer;
    });
  }

  private async kept({ customerId, key, fingerprint }: Order): Promise<Answer> {
    const [row] = await this.tools.dataSource.query<[KeptAnswer]>(
      'SELECT fingerprint, status, body FROM lab_keys WHERE customer_id = $1 AND key = $2',
      [customerId, key],
    );
    return replay(row, fingerprint);
  }
}
