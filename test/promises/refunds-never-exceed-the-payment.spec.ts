import { randomUUID } from 'node:crypto';
import type { Api } from '../support/api.js';
import type { Customer } from '../support/database.js';
import { call, together, type Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';
import { hasEnded, patient, setUpBankScene } from './bank-scene.js';

describe('refunds never exceed the payment', () => {
  const scene = setUpBankScene();
  let api: Api;
  let bob: Customer;

  beforeAll(async () => {
    api = await scene.boot(patient);
    bob = await scene.database.addCustomer({ name: 'bob', balance: 50 });
  });

  const paid = async (key: string, body: object = {}) => {
    const payment = await scene.pay(api, key, { rail: 'ledger', amount: 1_000, ...body });
    expect(payment.status).toBe(200);
    return payment;
  };
  const idOf = ({ json }: Answer) => ((json?.payment ?? json) as { id: string }).id;
  const refund = (payment: string, key: string, amount: unknown, by = scene.alice, at = api) =>
    call(`${at.url}/payments/${payment}/refunds`, { apiKey: by.apiKey, key, body: { amount } });
  const shown = async (id: string) =>
    (await call(`${api.url}/payments/${id}`, { apiKey: scene.alice.apiKey })).json;
  const reap = async (...keys: string[]) => {
    const gone = await scene.sql('DELETE FROM idempotency_keys WHERE key = ANY ($1) RETURNING key', [keys]);
    expect(gone).toHaveLength(keys.length);
  };

  it('in parts: each goes back, until nothing is left', async () => {
    const payment = await paid('in-parts', { reference: 'invoice 7' });
    const before = [await scene.balanceOf('alice'), await scene.balanceOf('sam')];
    const first = await refund(idOf(payment), 'part-1', 300);

    expect([first.status, isFirstAnswer(first), first.json]).toMatchObject([
      200,
      true,
      {
        object: 'refund',
        status: 'succeeded',
        payment_id: idOf(payment),
        from: 'sam',
        to: 'alice',
        amount: 300,
        currency: 'GBP',
        decline: null,
        idempotency_key: 'part-1',
      },
    ]);
    expect(await shown(idOf(payment))).toMatchObject({ status: 'succeeded', amount: 1_000, refunded: 300 });
    expect((await refund(idOf(payment), 'part-2', 600)).status).toBe(200);

    const tooMuch = await refund(idOf(payment), 'part-3', 101);
    expect([tooMuch.status, tooMuch.json]).toMatchObject([422, { code: 'refund_exceeds_payment' }]);
    expect(tooMuch.headers.get('should-retry')).toBe('false');
    // Nothing was kept of that, so the same key may ask for less.
    expect((await refund(idOf(payment), 'part-3', 100)).status).toBe(200);
    expect((await refund(idOf(payment), 'part-4', 1)).json?.code).toBe('refund_exceeds_payment');
    expect(await shown(idOf(payment))).toMatchObject({ refunded: 1_000 });
    const after = [await scene.balanceOf('alice'), await scene.balanceOf('sam')];
    expect(after.map(({ posted }, index) => posted - (before[index]?.posted ?? 0))).toEqual([1_000, -1_000]);
  });

  it.each(['ledger', 'bank'])('of 20 that arrive together, as many succeed as fit (rail %s)', async rail => {
    const other = await scene.boot(patient);
    const payment = await paid(`crowded-${rail}`, { rail });
    const before = await countRows(scene.sql);
    const refunds = await together(20, index =>
      refund(idOf(payment), `crowd-${rail}-${index}`, 90, scene.alice, index % 2 ? api : other),
    );
    expect(refunds.filter(({ status }) => status === 200)).toHaveLength(11);
    expect(refunds.filter(({ json }) => json?.code === 'refund_exceeds_payment')).toHaveLength(9);
    expect(await shown(idOf(payment))).toMatchObject({ refunded: 990 });
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 11, payments: 0, transfers: 11 });
  });

  it('of different sizes, arriving together: never more than was paid', async () => {
    const payment = await paid('sizes');
    const amounts = Array.from({ length: 20 }, (_, index) => 37 * (index + 1));
    const refunds = await together(20, index => refund(idOf(payment), `size-${index}`, amounts[index]));
    const sum = amounts
      .filter((_, index) => refunds[index]?.status === 200)
      .reduce((all, one) => all + one, 0);
    expect(sum).toBeLessThanOrEqual(1_000);
    expect(await shown(idOf(payment))).toMatchObject({ refunded: sum });
    // What was refused would not have fitted in at the end either.
    const refused = amounts.filter((_, index) => refunds[index]?.status !== 200);
    expect(Math.min(...refused)).toBeGreaterThan(1_000 - sum - 740);
    expect(refunds.filter(({ status }) => ![200, 422].includes(status))).toEqual([]);
  });

  it('one key refunds once, however often it is sent', async () => {
    const payment = await paid('once');
    const answers = await together(30, () => refund(idOf(payment), 'refund-once', 400));
    expect(answers.filter(isFirstAnswer)).toHaveLength(1);
    expect(answers.filter(isReplay)).toHaveLength(29);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(await shown(idOf(payment))).toMatchObject({ refunded: 400 });
    // Also when the payment has nothing left to give back: a replay is no second refund.
    await refund(idOf(payment), 'the-rest', 600);
    expect((await refund(idOf(payment), 'refund-once', 400)).text).toBe(answers[0]?.text);

    await reap('refund-once');
    const other = await scene.boot();
    const late = await refund(idOf(payment), 'refund-once', 400, scene.alice, other);
    expect([late.status, late.text, isReplay(late)]).toEqual([200, answers[0]?.text, true]);
    const collision = await refund(idOf(payment), 'refund-once', 401, scene.alice, other);
    expect([collision.status, collision.json?.differs_in]).toEqual([409, ['amount']]);
    await other.stop();
  });

  it('leave what the payer was told as it was, also when that has to be put together again (F77)', async () => {
    const payment = await paid('told-once');
    await refund(idOf(payment), 'told-refund', 250);
    expect((await scene.pay(api, 'told-once', { rail: 'ledger', amount: 1_000 })).text).toBe(payment.text);
    await reap('told-once');
    const other = await scene.boot();
    const late = await scene.pay(other, 'told-once', { rail: 'ledger', amount: 1_000 });
    expect([late.status, late.text, isReplay(late)]).toEqual([200, payment.text, true]);
    expect(await shown(idOf(payment))).toMatchObject({ refunded: 250 });
    await other.stop();
  });

  it.each(['while the stored answers are there', 'after they have been reaped'])(
    'a key is good for one operation, %s (F74)',
    async when => {
      const [pays, refunds] = [`pays-${when.length}`, `refunds-${when.length}`];
      const payment = await paid(pays);
      const refunded = await refund(idOf(payment), refunds, 100);
      if (when.startsWith('after')) await reap(pays, refunds);
      const at = await scene.boot();
      const before = await countRows(scene.sql);

      for (const [answer, status] of [
        [await refund(idOf(payment), pays, 100, scene.alice, at), 409],
        [await scene.pay(at, refunds, { rail: 'ledger', amount: 100 }), 409],
        [await scene.pay(at, refunds), 409],
      ] as const) {
        expect([answer.status, answer.json]).toMatchObject([
          status,
          { code: 'collision_detected', differs_in: ['operation'] },
        ]);
      }
      // Another payment is another parameter.
      const another = idOf(await paid(`another-${when.length}`));
      const elsewhere = await refund(another, refunds, 100, scene.alice, at);
      expect([elsewhere.status, elsewhere.json?.differs_in]).toEqual([409, ['payment_id']]);

      expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
      expect((await refund(idOf(payment), refunds, 100, scene.alice, at)).text).toBe(refunded.text);
      expect((await scene.pay(at, pays, { rail: 'ledger', amount: 1_000 })).text).toBe(payment.text);
      await at.stop();
    },
  );

  it('a payment that moved no money has none to give back', async () => {
    const before = await scene.sql('SELECT count(*) FROM refunds');
    const declined = await scene.pay(api, 'declined', { to: 'dee' });
    expect(declined.status).toBe(402);
    const held = await scene.barrier('before');
    const pending = await scene.pay(api, 'pending', {}, { prefer: 'respond-async' });
    const refused = [
      await refund(idOf(declined), 'of-declined', 1),
      await refund(idOf(pending), 'of-pending', 1),
    ];
    for (const answer of refused) {
      expect([answer.status, answer.json]).toMatchObject([422, { code: 'refund_exceeds_payment' }]);
    }
    expect(await scene.sql('SELECT count(*) FROM refunds')).toEqual(before);
    await held.release();
    await scene.untilRow('pending', hasEnded);
    // Its end came, and the key was left free.
    expect((await refund(idOf(pending), 'of-pending', 1)).status).toBe(200);
  });

  it('nobody refunds a payment of somebody else, or one that does not exist', async () => {
    const payment = await paid('hers');
    const before = await countRows(scene.sql);
    for (const answer of [
      await refund(idOf(payment), 'not-his', 1, bob),
      // Nor does the payee: it is the payer's to ask for, in this service.
      await refund(idOf(payment), 'not-sams', 1, scene.sam),
      await refund(randomUUID(), 'nothing', 1),
      await refund('not-an-id', 'nonsense', 1),
    ]) {
      expect([answer.status, answer.json]).toMatchObject([404, { code: 'not_found' }]);
    }
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 0, payments: 0, transfers: 0 });
  });

  it.each([0, -1, 1.5, '100', null, 1e30])(
    'an amount that is none is refused, and nothing is kept (%s)',
    async amount => {
      const payment = await paid(`amount-${String(amount)}`);
      const before = await countRows(scene.sql);
      expect((await refund(idOf(payment), `bad-${String(amount)}`, amount)).json?.code).toBe(
        'invalid_request',
      );
      expect(await countNewRows(scene.sql, before)).toEqual({ keys: 0, payments: 0, transfers: 0 });
    },
  );

  it('a payee who has spent the money declines: 402, stored, and nothing is refunded', async () => {
    const poor = await scene.database.addCustomer({ name: 'poor' });
    const payment = await paid('to-poor', { to: 'poor', amount: 100 });
    const spent = await scene.pay(api, 'poor-spends', { rail: 'ledger', amount: 60 }, { payer: poor });
    expect(spent.status).toBe(200);

    const first = await refund(idOf(payment), 'too-late', 100);
    expect([first.status, first.json]).toMatchObject([
      402,
      {
        code: 'insufficient_funds',
        refund: { object: 'refund', status: 'declined', amount: 100, payment_id: idOf(payment) },
      },
    ]);
    expect(await shown(idOf(payment))).toMatchObject({ refunded: 0 });

    // Declined stays declined, also when there is money again; a new key is for a new try.
    await paid('help', { to: 'poor', amount: 1_000 });
    const repeat = await refund(idOf(payment), 'too-late', 100);
    expect([repeat.status, repeat.text, isReplay(repeat)]).toEqual([402, first.text, true]);
    await reap('too-late');
    const other = await scene.boot();
    expect((await refund(idOf(payment), 'too-late', 100, scene.alice, other)).text).toBe(first.text);
    expect((await refund(idOf(payment), 'once-more', 100)).status).toBe(200);
    await other.stop();
  });

  it('a payment that left through the bank comes back from the account that stands for it', async () => {
    const payment = await paid('through-the-bank', { rail: 'bank' });
    const before = [await scene.balanceOf('alice'), await scene.balanceOf('bank:GBP')];
    const refunded = await refund(idOf(payment), 'back-from-the-bank', 400);
    expect([refunded.status, refunded.json]).toMatchObject([200, { to: 'alice', rail: 'bank', amount: 400 }]);
    const after = [await scene.balanceOf('alice'), await scene.balanceOf('bank:GBP')];
    expect(after.map(({ posted }, index) => posted - (before[index]?.posted ?? 0))).toEqual([400, -400]);
    // The bank is not asked: what it was asked for stays one charge.
    expect(await scene.bank.charges(idOf(payment))).toHaveLength(1);
    expect((await scene.pay(api, 'through-the-bank', { amount: 1_000 })).text).toBe(payment.text);
  });
});
