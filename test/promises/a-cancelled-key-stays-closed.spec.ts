import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from '../support/api.js';
import type { Customer } from '../support/database.js';
import { call, type Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isReplay } from '../support/scene.js';
import { hasEnded, patient, setUpBankScene } from './bank-scene.js';

/** For a caller who does not know whether its request ever arrived, and no longer wants it to. */
describe('a cancelled key stays closed', () => {
  const scene = setUpBankScene();
  let api: Api;
  let bob: Customer;

  beforeAll(async () => {
    bob = await scene.database.addCustomer({ name: 'bob', balance: 5_000 });
  });

  // Without completers, unless a test is about them: what is not sent yet stays so.
  beforeEach(async () => {
    await scene.stopApis();
    api = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
  });

  /** An instance that cannot reach the bank: what it takes on is certainly not sent. */
  const cutOff = (env: Record<string, string> = {}) =>
    scene.boot({ BANK_URL: 'http://127.0.0.1:9', WORKERS: 'elsewhere', ...env });

  const expectClosed = ({ status, json }: Answer, key: string, operation: string | null) => {
    expect([status, json]).toMatchObject([
      200,
      { key, object: 'operation', operation, state: 'cancelled', response: null, expires_at: null },
    ]);
  };

  const expectRefused = (answer: Answer, key: string) => {
    expect([answer.status, answer.json]).toMatchObject([
      409,
      { code: 'operation_cancelled', retryable: false },
    ]);
    expect(answer.headers.get('idempotency-key')).toBe(key);
    expect(answer.headers.get('idempotency-status')).toBe('operation_cancelled');
    expect(answer.headers.get('should-retry')).toBe('false');
  };

  const transfersOf = (key: string) =>
    scene.sql(
      `SELECT transfers.state FROM transfers JOIN payments ON payments.id = payment_id WHERE idempotency_key = $1`,
      [key],
    );

  describe('one that was never used', () => {
    it('is closed, and a late original is refused, whatever it asks for', async () => {
      const before = await countRows(scene.sql);
      expectClosed(await scene.cancel(api, 'never-seen'), 'never-seen', null);
      expectClosed(await scene.operation(api, 'never-seen'), 'never-seen', null);

      expectRefused(await scene.pay(api, 'never-seen'), 'never-seen');
      expectRefused(await scene.pay(api, 'never-seen', { rail: 'ledger' }), 'never-seen');
      // Closed comes before "another request": there is nothing that it could differ from.
      expectRefused(await scene.pay(api, 'never-seen', { amount: 7 }), 'never-seen');
      expectRefused(await scene.pay(api, 'never-seen', {}, { prefer: 'wait=20' }), 'never-seen');
      const refund = await call(`${api.url}/payments/0190a5b1-7d2c-7000-8000-000000000000/refunds`, {
        apiKey: scene.alice.apiKey,
        key: 'never-seen',
        body: { amount: 1 },
      });
      expectRefused(refund, 'never-seen');
      expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 0, transfers: 0 });
    });

    it('may be closed twice, and at any instance', async () => {
      const other = await scene.boot();
      expectClosed(await scene.cancel(api, 'twice'), 'twice', null);
      expectClosed(await scene.cancel(api, 'twice'), 'twice', null);
      expectClosed(await scene.cancel(other, 'twice'), 'twice', null);
      expectRefused(await scene.pay(other, 'twice'), 'twice');
    });

    it('is closed for its own customer only', async () => {
      expectClosed(await scene.cancel(api, 'hers'), 'hers', null);
      expect((await scene.operation(api, 'hers', bob)).status).toBe(404);
      expect((await scene.pay(api, 'hers', {}, { payer: bob })).status).toBe(200);
      // And he cannot close what she has used.
      expect((await scene.pay(api, 'her-payment')).status).toBe(200);
      expectClosed(await scene.cancel(api, 'her-payment', bob), 'her-payment', null);
      expect(isReplay(await scene.pay(api, 'her-payment'))).toBe(true);
    });

    it('is not closed by somebody who may only read, or is nobody', async () => {
      const reader = await scene.database.addCustomer({ name: 'reader', scopes: ['read'] });
      expect((await scene.cancel(api, 'not-hers', reader)).json?.code).toBe('forbidden');
      const nobody = await call(`${api.url}/operations/not-hers/cancel`, { method: 'POST' });
      expect([nobody.status, nobody.json?.code]).toEqual([401, 'unauthenticated']);
      expect(await scene.row('not-hers')).toBeUndefined();
    });

    it('is never forgotten: neither by the reaper nor by anybody else (F91)', async () => {
      await scene.cancel(api, 'for-ever');
      expect((await scene.pay(api, 'for-three-days', { rail: 'ledger' })).status).toBe(200);
      await scene.sql(
        "UPDATE idempotency_keys SET expires_at = now() - interval '1 day' WHERE key IN ('for-ever', 'for-three-days')",
      );
      const reaping = await scene.boot({ REAP_EVERY_MS: '50' });
      for (let looks = 0; looks < 100 && (await scene.row('for-three-days')); looks += 1) {
        await sleep(50);
      }
      expect(await scene.row('for-three-days')).toBeUndefined();
      expect(await scene.row('for-ever')).toMatchObject({ recovery_point: 'cancelled' });
      await expect(scene.sql("DELETE FROM idempotency_keys WHERE key = 'for-ever'")).rejects.toMatchObject({
        code: '23000',
      });
      expectRefused(await scene.pay(reaping, 'for-ever'), 'for-ever');
    });
  });

  describe('one whose payment was not sent yet', () => {
    it('is closed, and the money is free again', async () => {
      const lost = await cutOff();
      const before = await scene.balanceOf('alice');
      expect((await scene.pay(lost, 'not-sent')).status).toBe(202);
      expect((await scene.balanceOf('alice')).pending).toBe(before.pending + 100);

      expectClosed(await scene.cancel(api, 'not-sent'), 'not-sent', 'payment');
      expect(await scene.balanceOf('alice')).toEqual(before);
      expect(await transfersOf('not-sent')).toEqual([{ state: 'voided' }]);
      const { id, status } = await scene.paymentOf('not-sent');
      expect(status).toBe('cancelled');
      expectRefused(await scene.pay(api, 'not-sent'), 'not-sent');
      expectRefused(await scene.pay(api, 'not-sent', { amount: 7 }), 'not-sent');
      expectClosed(await scene.cancel(api, 'not-sent'), 'not-sent', 'payment');

      const shown = await call(`${api.url}/payments/${id}`, { apiKey: scene.alice.apiKey });
      expect(shown.json).toMatchObject({ status: 'cancelled', bank_transfer_id: null, decline: null });
      // The bank has never heard of it, and never will: completers find nothing to complete.
      await scene.boot();
      await sleep(300);
      expect(await scene.conversation(id)).toEqual([]);
      expect(
        await scene.metric(api, 'paysam_cancelled_total{recovery_point="funds_reserved"}'),
      ).toBeGreaterThan(0);
    });

    it('is closed while somebody still waits for it, who is then told', async () => {
      const lost = await cutOff();
      const waiting = scene.pay(lost, 'waited-for', {}, { prefer: 'wait=20' });
      await scene.untilRow('waited-for', row => row.recovery_point === 'funds_reserved' && !row.may_be_sent);
      expectClosed(await scene.cancel(lost, 'waited-for'), 'waited-for', 'payment');
      expectRefused(await waiting, 'waited-for');
    });

    it('is closed also while completers try again and again to send it', async () => {
      const lost = await cutOff({
        WORKERS: 'inside',
        SWEEP_MS: '1',
        RECOVERY_BACKOFF_MS: '1',
        OUTAGE_BACKOFF_MAX_MS: '5',
      });
      for (let round = 0; round < 10; round += 1) {
        const key = `tried-${round}`;
        expect((await scene.pay(lost, key)).status).toBe(202);
        let answer = await scene.cancel(lost, key);
        for (let tries = 0; answer.status === 409 && tries < 200; tries += 1) {
          expect(answer.json).toMatchObject({ code: 'in_progress' });
          answer = await scene.cancel(lost, key);
        }
        expectClosed(answer, key, 'payment');
        expect(await transfersOf(key)).toEqual([{ state: 'voided' }]);
      }
    });
  });

  it('one that may be at the bank is not cancelled: nothing is voided, and the caller asks again later', async () => {
    const held = await scene.barrier('before');
    await scene.pay(api, 'at-the-bank', {}, { prefer: 'respond-async' });
    await held.reached();
    const before = await scene.balanceOf('alice');
    const answer = await scene.cancel(api, 'at-the-bank');
    expect([answer.status, answer.json]).toMatchObject([409, { code: 'in_progress', retryable: true }]);
    expect(answer.headers.get('idempotency-status')).toBe('in_progress');
    expect(answer.headers.get('retry-after')).toMatch(/^([1-9]|[12]\d|30)$/);
    expect(await transfersOf('at-the-bank')).toEqual([{ state: 'pending' }]);
    expect(await scene.balanceOf('alice')).toEqual(before);

    await held.release();
    await scene.untilRow('at-the-bank', hasEnded);
    const replay = await scene.pay(api, 'at-the-bank');
    expect([replay.status, isReplay(replay)]).toEqual([200, true]);
    expectCompleted(await scene.cancel(api, 'at-the-bank'), replay);
  });

  it('one whose request was lost on the way to the bank may be there, too: it is not cancelled', async () => {
    const hasty = await scene.boot({
      BANK_REQUESTS_MAX: '2',
      WORKERS: 'elsewhere',
      RECOVERY_BACKOFF_MS: '60000',
      RECOVERY_BACKOFF_MAX_MS: '1000',
    });
    await scene.fault({ kind: 'timeout_before' }, { kind: 'error_before', method: 'GET' });
    expect((await scene.pay(hasty, 'lost-on-the-way')).status).toBe(202);
    expect((await scene.cancel(hasty, 'lost-on-the-way')).json?.code).toBe('in_progress');
    expect((await scene.payUntilAnswered(api, 'lost-on-the-way')).status).toBe(200);
  });

  const expectCompleted = (cancelled: Answer, first: Answer) => {
    expect([cancelled.status, cancelled.json]).toMatchObject([
      409,
      { code: 'already_completed', retryable: false, response: { status: first.status, body: first.text } },
    ]);
    expect(cancelled.headers.get('idempotency-status')).toBe('already_completed');
    expect(cancelled.headers.get('should-retry')).toBe('false');
  };

  describe('one that has come to its end', () => {
    it.each([
      ['paid', { rail: 'ledger' }, 200],
      ['paid by the bank', {}, 200],
      ['declined', { to: 'dee' }, 402],
    ])('is not cancelled, and the caller is told what came of it (%s)', async (what, body, status) => {
      const key = what.replaceAll(' ', '-');
      const first = await scene.pay(api, key, body);
      expect(first.status).toBe(status);
      expectCompleted(await scene.cancel(api, key), first);
      const repeat = await scene.pay(api, key, body);
      expect([repeat.text, isReplay(repeat)]).toEqual([first.text, true]);
    });

    it('is not cancelled when its stored answer has expired either: what was paid is remembered', async () => {
      const first = await scene.pay(api, 'reaped', { rail: 'ledger' });
      await scene.sql("DELETE FROM idempotency_keys WHERE key = 'reaped'");
      const other = await scene.boot();
      expectCompleted(await scene.cancel(other, 'reaped'), first);
      // It was looked for, and nothing was left behind.
      expect(await scene.row('reaped')).toBeUndefined();
      expect((await scene.pay(other, 'reaped', { rail: 'ledger' })).text).toBe(first.text);
    });
  });

  /** The same moment, both orders: whichever comes first wins, and both are told the same story. */
  it.each(['ledger', 'bank'])('cancelling and paying at the same moment, one wins (rail %s)', async rail => {
    const other = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
    const wins = { paid: 0, cancelled: 0 };
    for (let round = 0; round < 60; round += 1) {
      const key = `race-${rail}-${round}`;
      const pay = () => scene.pay(round % 4 < 2 ? api : other, key, { rail });
      const cancel = () => scene.cancel(api, key);
      const [paid, cancelled] =
        round % 2 ? await Promise.all([pay(), cancel()]) : (await Promise.all([cancel(), pay()])).reverse();
      if (!paid || !cancelled) throw new Error('one of them was not called');

      const payments = await scene.sql<{ status: string }>(
        'SELECT status FROM payments WHERE idempotency_key = $1',
        [key],
      );
      if (cancelled.status === 200) {
        wins.cancelled += 1;
        expectRefused(paid, key);
        expect(payments).toEqual([]);
      } else {
        wins.paid += 1;
        expect([409, paid.status]).toEqual([cancelled.status, 200]);
        expect(['in_progress', 'already_completed']).toContain(cancelled.json?.code);
        expect(payments).toEqual([{ status: 'succeeded' }]);
        expectCompleted(await scene.cancel(other, key), paid);
      }
    }
    expect(wins.paid).toBeGreaterThan(0);
    expect(wins.cancelled).toBeGreaterThan(0);
  });
});
