import { newId } from '../../src/database/new-id.js';
import { problemToJson } from '../../src/http/problem.js';
import {
  inProgress,
  replay,
  type Answer,
  type Design,
  type KeptAnswer,
  type Order,
  type Tools,
} from '../compare/design.js';
import { BankSilent } from '../compare/till.js';

/**
 * Wrong turn: a time-out of the bank's is stored as a failed payment.
 *
 * It looks tidy: every key comes to an end, no caller is left waiting, and all else is right: the key is claimed before
 * the bank is asked, under a reference that is kept, with a lease and an epoch that fences late holders off.
 *
 * What breaks it: a bank that charges, and answers too late. The caller is told that the payment failed, and the key
 * says so for ever; the money has gone. An honest caller pays again with a new key.
 *
 * The right turn: only a yes or a no ends a payment. A time-out is neither: it stays in progress, and somebody asks
 * again; src/bank/bank.client.ts and src/recovery/completer.ts.
 */
export class TimeoutIsFailure implements Design {
  readonly schema = `
    CREATE TABLE IF NOT EXISTS lab_keys (
      customer_id uuid, key text, fingerprint text NOT NULL, reference uuid NOT NULL, status integer, body text,
      locked_until timestamptz NOT NULL, epoch integer NOT NULL DEFAULT 1, PRIMARY KEY (customer_id, key))`;

  constructor(private readonly tools: Tools) {}

  async pay(order: Order): Promise<Answer> {
    const { customerId, key, fingerprint } = order;
    const { dataSource, till, settings } = this.tools;
    const [claim] = await dataSource.query<{ reference: string; epoch: number }[]>(
      `INSERT INTO lab_keys AS ours (customer_id, key, fingerprint, reference, locked_until)
       VALUES ($1, $2, $3, $4, now() + $5 * interval '1 ms')
       ON CONFLICT (customer_id, key) DO UPDATE SET locked_until = excluded.locked_until, epoch = ours.epoch + 1
             WHERE ours.status IS NULL AND ours.fingerprint = excluded.fingerprint AND ours.locked_until < now()
       RETURNING reference, epoch`,
      [customerId, key, fingerprint, newId(), settings.leaseMs],
    );
    if (!claim) return this.kept(order);

    const { reference, epoch } = claim;
    const transferId = await till.askBank(order, reference).catch((error: unknown) => {
      if (error instanceof BankSilent) return 'timed out';
      throw error;
    });
    return dataSource.transaction(async tx => {
      const answer =
        transferId === 'timed out' ? failed : await till.enter(tx, order, { id: newId(), transferId });
      const [, written] = await tx.query<[unknown, number]>(
        'UPDATE lab_keys SET status = $4, body = $5 WHERE customer_id = $1 AND key = $2 AND epoch = $3',
        [customerId, key, epoch, answer.status, answer.body],
      );
      if (written === 0) throw inProgress();
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

const failed: Answer = {
  status: 402,
  body: JSON.stringify(problemToJson('declined_by_bank', 'The bank did not answer.')),
};
