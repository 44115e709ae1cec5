import { setTimeout as sleep } from 'node:timers/promises';
import { hasEnded, patient, setUpBankScene } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import { call, together, type Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';
import { abandonPayments } from './abandoned.js';

/** Two that must not both have their way arrive together, at two instances that share nothing but the rows. */
describe('at the same moment', () => {
  const scene = setUpBankScene();
  let apis: [Api, Api];

  beforeEach(async () => {
    await scene.stopApis();
    apis = [
      await scene.boot({ ...patient, WORKERS: 'elsewhere' }),
      await scene.boot({ ...patient, WORKERS: 'elsewhere' }),
    ];
  });

  const at = (index: number) => apis[index % 2] ?? apis[0];

  it('F111: a cancel, and a completer that is about to send: voided and never asked, or charged and paid', async () => {
    await scene.boot({ SWEEP_MS: '20' });
    const ends = { cancelled: 0, paid: 0 };
    for (let round = 0; round < 40; round += 1) {
      const key = `race-${round}`;
      // Certainly not sent, and its lease is over: both may have it.
      await abandonPayments(scene.sql, scene.alice, [key], { mayBeSent: false });
      await sleep(Math.random() * 25);
      const cancelled = await scene.cancel(at(round), key);
      const row = await scene.untilRow(key, hasEnded);
      const { id, status } = await scene.paymentOf(key);
      const charges = await scene.bank.charges(id);
      const original = await scene.pay(at(round + 1), key);

      if (cancelled.status === 200) {
        ends.cancelled += 1;
        expect([row.recovery_point, status, charges]).toEqual(['cancelled', 'cancelled', []]);
        expect(await scene.conversation(id)).toEqual([]);
        expect(original.json?.code).toBe('operation_cancelled');
      } else {
        ends.paid += 1;
        expect(['in_progress', 'already_completed']).toContain(cancelled.json?.code);
        expect([row.recovery_point, status, charges.length]).toEqual(['finished', 'succeeded', 1]);
        expect(isReplay(original)).toBe(true);
      }
      const transfers = await scene.sql('SELECT state FROM transfers WHERE payment_id = $1', [id]);
      expect(transfers).toEqual([{ state: cancelled.status === 200 ? 'voided' : 'posted' }]);
    }
    expect(Math.min(ends.cancelled, ends.paid)).toBeGreaterThan(0);
  }, 90_000);

  it.each(['ledger', 'bank'])(
    'F112: PUT and POST with one key are one execution, and one stored answer (rail %s)',
    async rail => {
      const params = { to: 'sam', amount: 100, currency: 'GBP', rail };
      const put = (index: number, key: string) =>
        call(`${at(index).url}/operations/${key}`, {
          method: 'PUT',
          apiKey: scene.alice.apiKey,
          body: { operation: 'payment', params },
          headers: { prefer: 'wait=20' },
        });
      for (let round = 0; round < 5; round += 1) {
        const key = `doors-${rail}-${round}`;
        const before = await countRows(scene.sql);
        // Each door at each instance.
        const answers = await together(16, index =>
          index % 4 < 2
            ? put(index + round, key)
            : scene.pay(at(index + round), key, { rail }, { prefer: 'wait=20' }),
        );
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
        expect(answers.filter(isFirstAnswer)).toHaveLength(1);
        expect(answers.filter(isReplay)).toHaveLength(15);
        expect(new Set(answers.map(storedBytes)).size).toBe(1);
        expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
        const { id } = await scene.paymentOf(key);
        expect(await scene.bank.charges(id)).toHaveLength(rail === 'bank' ? 1 : 0);
      }
    },
    90_000,
  );

  it('F116: two refunds that are together more than the payment: one is given, the other refused', async () => {
    // Sam could pay both back: nothing but the payment's own bound stands in the way.
    await scene.pay(at(0), 'makes-sam-rich', { rail: 'ledger', amount: 100_000 });
    for (let round = 0; round < 20; round += 1) {
      const paid = await scene.pay(at(round), `paid-${round}`, { rail: 'ledger', amount: 1_000 });
      const id = String(paid.json?.id);
      const refunds = await together(2, index =>
        call(`${at(index + round).url}/payments/${id}/refunds`, {
          apiKey: scene.alice.apiKey,
          key: `refund-${round}-${index}`,
          body: { amount: 600 },
        }),
      );
      const told = refunds.map(({ status, json }) => `${status} ${String(json?.code ?? json?.object)}`);
      expect(told.sort()).toEqual(['200 refund', '422 refund_exceeds_payment']);
      const shown = await call(`${at(0).url}/payments/${id}`, { apiKey: scene.alice.apiKey });
      expect(shown.json?.refunded).toBe(600);
    }
  }, 90_000);
});

/** What was stored for the key, whichever door shows it. */
function storedBytes({ json, text }: Answer): string {
  const stored = json?.response as { body: string } | undefined;
  return stored?.body ?? text;
}
