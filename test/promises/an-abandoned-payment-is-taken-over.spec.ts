import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '../../src/database/new-id.js';
import type { Api } from '../support/api.js';
import { call, together } from '../support/http.js';
import { readBookings } from '../support/rail-invariants.js';
import { isReplay } from '../support/scene.js';
import { fingerprintOfOrder, hasEnded, patient, setUpBankScene } from './bank-scene.js';

/** Somebody began a payment and has gone. Each is put there by hand, at each point at which that can happen. */
describe('an abandoned payment is taken over', () => {
  const scene = setUpBankScene();
  let api: Api;

  beforeAll(async () => {
    // No completer: whoever comes back is the one who finishes.
    api = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
  });

  interface Abandoned {
    point: 'funds_reserved' | 'transfer_sent';
    /** What is left of the lease: below 0 it has run out, by the database's clock. */
    leaseMs: number;
    mayBeSent?: boolean;
  }

  /** What a holder leaves in the database when it dies. @returns the payment's id, by which the bank knows it */
  const abandon = async (key: string, { point, leaseMs, mayBeSent = true }: Abandoned) => {
    const [id, transferId] = [newId(), newId()];
    await scene.sql(
      `WITH
         payment AS (
           INSERT INTO payments (customer_id, id, idempotency_key, from_account_id, to_account_id, currency, amount,
                                 rail, status, created_at)
           VALUES ($1, $2, $3, 'alice', 'sam', 'GBP', 100, 'bank', 'pending', now())),
         account AS (UPDATE accounts SET debits_pending = debits_pending + 100 WHERE id = 'alice')
       INSERT INTO transfers (id, customer_id, payment_id, debit_account_id, credit_account_id, currency, amount,
                              state, created_at)
       VALUES ($4, $1, $2, 'alice', 'bank:GBP', 'GBP', 100, 'pending', now())`,
      [scene.alice.id, id, key, transferId],
    );
    await scene.database.insertKeyRow({
      customerId: scene.alice.id,
      key,
      params: { amount: 100, currency: 'GBP', from: 'alice', rail: 'bank', reference: null, to: 'sam' },
      fingerprintOf: fingerprintOfOrder,
      recoveryPoint: point,
      state: { payment_id: id, transfer_id: transferId },
      leaseMs,
    });
    await scene.sql('UPDATE idempotency_keys SET may_be_sent = $2 WHERE key = $1', [key, mayBeSent]);
    return id;
  };

  /** What the holder had sent before it died. @returns the bank's own id for it */
  const sendToBank = async (reference: string) => {
    const { url, env } = scene.bank;
    const answer = await call(`${url}/transfers/${reference}`, {
      method: 'PUT',
      apiKey: env.BANK_API_KEY,
      body: { amount: 100, currency: 'GBP', creditor: 'sam' },
    });
    return (answer.json as { id: string }).id;
  };

  it.each([
    ['had sent nothing, and nobody knows', true, false, ['GET 404', 'PUT 201']],
    ['had certainly sent nothing', false, false, ['PUT 201']],
    ['had sent it, and the bank has charged', true, true, ['PUT 201', 'GET 200']],
  ])('from the reserved funds on: its holder %s', async (what, mayBeSent, isSent, conversation) => {
    const key = what.replaceAll(/\W+/g, '-');
    const id = await abandon(key, { point: 'funds_reserved', leaseMs: -1, mayBeSent });
    if (isSent) await sendToBank(id);
    const answer = await scene.pay(api, key);

    expect([answer.status, answer.json]).toMatchObject([
      200,
      { id, status: 'succeeded', idempotency_key: key },
    ]);
    // It is the first answer: nobody was told before.
    expect(answer.headers.get('idempotency-status')).toBe('completed');
    expect((await scene.conversation(id)).slice(0, conversation.length)).toEqual(conversation);
    expect(await scene.bank.charges(id)).toEqual([{ amount: 100, currency: 'GBP' }]);
    expect(await scene.row(key)).toMatchObject({ recovery_point: 'finished', epoch: 2, attempts: 2 });
    const repeat = await scene.pay(api, key);
    expect([repeat.text, isReplay(repeat)]).toEqual([answer.text, true]);
  });

  it.each([
    ['settled', 200, 'succeeded'],
    ['returned', 402, 'declined'],
  ] as const)('from the transfer on, which was %s meanwhile', async (kind, status, becomes) => {
    if (kind === 'returned') await scene.fault({ kind });
    const before = await scene.balanceOf('alice');
    const key = `sent-and-${kind}`;
    const id = await abandon(key, { point: 'transfer_sent', leaseMs: 60_000 });
    await scene.sql(
      `UPDATE idempotency_keys SET state = state || jsonb_build_object('bank_transfer_id', $2::text), locked_until = now()
        WHERE key = $1`,
      [key, await sendToBank(id)],
    );
    const answer = await scene.pay(api, key);

    expect([answer.status, answer.json?.payment ?? answer.json]).toMatchObject([
      status,
      { id, status: becomes },
    ]);
    // It was sent before; now it is only asked for.
    const [sent, ...asked] = await scene.conversation(id);
    expect([sent, ...new Set(asked)]).toEqual(['PUT 201', 'GET 200']);
    expect(await scene.balanceOf('alice')).toEqual({
      posted: before.posted - (status === 200 ? 100 : 0),
      pending: before.pending,
    });
  });

  it('declined by the bank before its holder died: 402, and the money is free', async () => {
    const before = await scene.balanceOf('alice');
    const id = await abandon('declined-meanwhile', { point: 'funds_reserved', leaseMs: -1 });
    await scene.fault({ kind: 'decline' });
    await sendToBank(id);
    const answer = await scene.pay(api, 'declined-meanwhile');
    expect([answer.status, answer.json]).toMatchObject([402, { code: 'declined_by_bank', payment: { id } }]);
    expect(await scene.balanceOf('alice')).toEqual(before);
    expect((await scene.conversation(id)).slice(1)).toEqual(['GET 200']);
  });

  it('not before its lease has run out, by the database’s clock', async () => {
    const id = await abandon('still-leased', { point: 'funds_reserved', leaseMs: 1_500 });
    const early = await scene.pay(api, 'still-leased');
    expect([early.status, early.json?.code]).toEqual([409, 'in_progress']);
    expect(await scene.row('still-leased')).toMatchObject({ epoch: 1, attempts: 1 });
    expect(await scene.conversation(id)).toEqual([]);

    // However far away: a lease is what the row says, and nobody's own clock.
    await scene.sql(
      "UPDATE idempotency_keys SET locked_until = now() + interval '90 years' WHERE key = 'still-leased'",
    );
    const later = await scene.pay(api, 'still-leased');
    expect([later.status, later.headers.get('retry-after')]).toEqual([409, '30']);
    await scene.sql(
      "UPDATE idempotency_keys SET locked_until = now() + interval '700 ms' WHERE key = 'still-leased'",
    );
    const waited = await scene.pay(api, 'still-leased', {}, { prefer: 'wait=10' });
    expect([waited.status, waited.json?.id]).toEqual([200, id]);
    const [took] = await scene.sql<{ ms: number }>(
      `SELECT (extract(epoch FROM finished_at - created_at) * 1000)::float8 AS ms
         FROM idempotency_keys WHERE key = 'still-leased'`,
    );
    expect(took?.ms).toBeGreaterThan(700);
    expect((await scene.row('still-leased'))?.epoch).toBe(2);
  });

  it('by one of many who come at the same moment', async () => {
    const other = await scene.boot({ ...patient, SWEEP_MS: '1' });
    for (let round = 0; round < 5; round += 1) {
      const key = `crowd-${round}`;
      const id = await abandon(key, { point: 'funds_reserved', leaseMs: 60_000 });
      await scene.sql('UPDATE idempotency_keys SET locked_until = now() WHERE key = $1', [key]);
      const answers = await together(20, index =>
        scene.pay(index % 2 ? api : other, key, {}, { prefer: 'wait=10' }),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      expect(await scene.row(key)).toMatchObject({ epoch: 2, attempts: 2 });
      expect(await scene.bank.charges(id)).toHaveLength(1);
      expect((await scene.conversation(id)).filter(line => line.startsWith('PUT'))).toHaveLength(1);
    }
    await other.stop();
  });

  it('by the completer when nobody comes back', async () => {
    const keys = Array.from({ length: 10 }, (_, index) => `nobody-${index}`);
    for (const key of keys) await abandon(key, { point: 'funds_reserved', leaseMs: -1 });
    const completing = await scene.boot(patient);
    for (const key of keys) {
      await scene.untilRow(key, hasEnded);
      const { id, status } = await scene.paymentOf(key);
      expect([status, await scene.bank.charges(id)]).toMatchObject(['succeeded', [{ amount: 100 }]]);
    }
    await completing.stop();
  });

  it('not by another request: that is a collision, and the payment stays as it is', async () => {
    const id = await abandon('another-request', { point: 'funds_reserved', leaseMs: -1 });
    const row = await scene.row('another-request');
    const refused = await scene.pay(api, 'another-request', { amount: 200 });
    expect([refused.status, refused.json]).toMatchObject([
      409,
      { code: 'collision_detected', differs_in: ['amount'] },
    ]);
    const after = await scene.row('another-request');
    expect({ ...after, locked_ms: 0, duplicates: 0, last_duplicate_at: null }).toEqual({
      ...row,
      locked_ms: 0,
    });
    expect(await scene.conversation(id)).toEqual([]);
    expect((await scene.pay(api, 'another-request')).status).toBe(200);
  });

  it('and its old holder, when it wakes up, writes nothing and tells its caller the same (F15, F16)', async () => {
    const other = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
    const fenced = 'paysam_fenced_total{recovery_point="funds_reserved"}';
    const before = await scene.metric(api, fenced);
    const held = await scene.barrier('after');
    const sleeping = scene.pay(api, 'wakes-up', {}, { prefer: 'wait=20' });
    await held.reached();
    await scene.sql(
      "UPDATE idempotency_keys SET locked_until = now() - interval '1 s' WHERE key = 'wakes-up'",
    );
    const answer = await scene.pay(other, 'wakes-up');
    expect(answer.status).toBe(200);
    const finished = await scene.row('wakes-up');
    const bookings = await readBookings(scene.bank.env);

    await held.release();
    const late = await sleeping;
    expect([late.status, late.text]).toEqual([200, answer.text]);
    await sleep(200);
    expect(await scene.row('wakes-up')).toEqual({
      ...finished,
      duplicates: expect.any(Number) as number,
      last_duplicate_at: expect.anything() as unknown,
    });
    expect(await scene.metric(api, fenced)).toBeGreaterThan(before);
    expect(await readBookings(scene.bank.env)).toEqual(bookings);
  });
});
