import { createDataSource } from '../../src/data-source.js';
import { inTransaction } from '../../src/database/transaction.js';
import { claimKeys } from '../../src/idempotency/claim.js';
import type { Attempt } from '../../src/idempotency/operation.js';
import { takePayment, type PaymentParams } from '../../src/payments/take-payment.js';
import { setUpScene } from '../support/scene.js';

/** The claim travels with BEGIN. Should BEGIN alone fail, the claim would otherwise be committed by itself. */
describe('a claim never stands alone', () => {
  const scene = setUpScene();

  const attempt = (): Attempt<PaymentParams> => ({
    id: crypto.randomUUID(),
    customerId: scene.alice.id,
    key: 'alone',
    operation: takePayment,
    params: { from: 'alice', to: 'sam', amount: 100, currency: 'GBP', rail: 'ledger', reference: null },
    windowMs: null,
    fingerprint: Buffer.alloc(32),
  });

  it('outside a transaction it claims nothing, also on a connection that had one before', async () => {
    const dataSource = await createDataSource({ databaseUrl: scene.database.url }).initialize();
    const runner = dataSource.createQueryRunner();
    try {
      const patience = { lockTimeoutMs: 1_000, statementTimeoutMs: 1_000 };
      await inTransaction(dataSource, patience, (_, begun) => begun);
      await runner.connect();
      expect(await claimKeys(runner.manager, [attempt()], 1_000)).toEqual([]);
      expect(await scene.sql('SELECT key FROM idempotency_keys')).toEqual([]);

      // Inside one it does: what is refused above is not refused everywhere.
      await expect(
        inTransaction(dataSource, patience, async tx => {
          expect(await claimKeys(tx, [attempt()], 1_000)).toHaveLength(1);
          throw new Error('roll back');
        }),
      ).rejects.toThrow('roll back');
    } finally {
      await runner.release();
      await dataSource.destroy();
    }
  });
});
