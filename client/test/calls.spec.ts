import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { orderToSam, setUpBankScene } from '../../test/promises/bank-scene.js';
import { startAnswerCutter } from '../../test/support/answer-cutter.js';
import { countRows } from '../../test/support/invariants.js';
import { paySam, setUpScene } from '../../test/support/scene.js';
import { Collision, Declined, OutcomeUnknown, Refused } from '../src/errors.js';
import { FileJournal } from '../src/journal/file-journal.js';
import type { PaySamOptions } from '../src/options.js';
import { PaySam } from '../src/pay-sam.js';

/** Of an error, or it fails. */
const thrown = <T>(work: Promise<T>): Promise<unknown> =>
  work.then(
    () => {
      throw new Error('it should have been refused');
    },
    (error: unknown) => error,
  );

describe('the client and the API', () => {
  const scene = setUpScene();
  let url: string;
  let directory: string;

  beforeAll(async () => {
    ({ url } = await scene.boot());
    directory = await mkdtemp(join(tmpdir(), 'paysam-journal-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  const client = (options: Partial<PaySamOptions> = {}) =>
    new PaySam({ apiKey: scene.alice.apiKey, baseUrl: url, ...options });

  it('pays, and the result shows the payment and the course of the call', async () => {
    const before = await countRows(scene.sql);
    const { data, status, idempotencyKey, attempts, requestIds, headers, replayed } =
      await client().payments.create({ ...paySam, reference: 'for the piano – again' });

    expect(data).toMatchObject({
      object: 'payment',
      status: 'succeeded',
      amount: 100,
      reference: 'for the piano – again',
    });
    expect(data.idempotency_key).toBe(idempotencyKey);
    expect({ status, attempts, replayed }).toEqual({ status: 200, attempts: 1, replayed: false });
    expect(requestIds).toEqual([headers.get('request-id')]);
    expect(headers.get('idempotency-status')).toBe('completed');
    expect((await countRows(scene.sql)).payments).toBe(before.payments + 1);
  });

  it('pays once where the answer was cut short, and says that it is a replay', async () => {
    const cutter = await startAnswerCutter(Number(new URL(url).port));
    cutter.bytesPassedMax = 500;
    const before = await countRows(scene.sql);
    const { replayed, attempts } = await client({
      baseUrl: cutter.url,
      onEvent: ({ type }) => {
        if (type === 'exchange') cutter.bytesPassedMax = Infinity;
      },
    }).payments.create(paySam);
    cutter.stop();

    expect({ replayed, attempts, cuts: cutter.cuts }).toEqual({ replayed: true, attempts: 2, cuts: 1 });
    expect((await countRows(scene.sql)).payments).toBe(before.payments + 1);
  });

  it('pays once when the process of the client dies in between: the next one resumes', async () => {
    const victim = await scene.start({ faultPoint: 'committed' });
    const options = { baseUrl: victim.url, journal: FileJournal.at(directory) };
    const before = await countRows(scene.sql);
    // The API dies with the payment made and nobody told, and is not there for the retries.
    const error = await thrown(client({ ...options, backoff: { capMs: 10 } }).payments.create(paySam));
    await victim.exited;
    expect(error).toBeInstanceOf(OutcomeUnknown);
    const { idempotencyKey } = error as OutcomeUnknown;

    // It comes back; and a client that knows nothing but the directory.
    await scene.boot({ PORT: String(victim.port) });
    const later = client({ ...options, journal: FileJournal.at(directory) });
    const { resumed, skipped, unreadable } = await later.resume();
    expect(resumed).toMatchObject([
      { result: { idempotencyKey, replayed: true, data: { status: 'succeeded' } } },
    ]);
    expect([skipped, unreadable]).toEqual([[], []]);
    expect((await later.resume()).resumed).toEqual([]);
    expect((await countRows(scene.sql)).payments).toBe(before.payments + 1);
  });

  it('says no as the API does: declined, a collision, refused', async () => {
    const tooMuch = await thrown(client().payments.create({ ...paySam, amount: 50_000_000 }));
    expect(tooMuch).toBeInstanceOf(Declined);
    expect(tooMuch).toMatchObject({
      status: 402,
      code: 'insufficient_funds',
      payment: { status: 'declined', amount: 50_000_000 },
      page: `${url}/problems/insufficient_funds`,
      remedy: expect.stringContaining('new key') as string,
    });

    const { idempotencyKey } = await client().payments.create(paySam, { idempotencyKey: 'order-17' });
    const other = await thrown(
      client().payments.create({ ...paySam, amount: 7 }, { idempotencyKey: 'order-17' }),
    );
    expect(other).toBeInstanceOf(Collision);
    expect(other).toMatchObject({ differsIn: ['amount'], idempotencyKey });

    const nobody = await thrown(client().payments.create({ ...paySam, to: 'nobody' }));
    expect(nobody).toBeInstanceOf(Refused);
    expect(nobody).toMatchObject({ code: 'unknown_payee', attempts: 1 });
    const invalid = await thrown(client().payments.create({ ...paySam, currency: 'pounds' }));
    expect(invalid).toMatchObject({
      name: 'Refused',
      code: 'invalid_request',
      errors: [{ field: 'currency' }],
    });
    const stranger = await thrown(client({ apiKey: 'sk_nobody' }).payments.create(paySam));
    expect(stranger).toMatchObject({ name: 'Refused', status: 401 });
  });

  it.each(['"quoted"', 'back\\slash', "it's", '%2F/..', '?#', '~'])(
    'a key of the caller’s own, %p, is the same in the header, in the path and in the books',
    async key => {
      const { data, idempotencyKey } = await client().payments.create(paySam, { idempotencyKey: key });
      expect([data.idempotency_key, idempotencyKey]).toEqual([key, key]);
      const operation = await client().operations.get(key);
      expect(operation.data).toMatchObject({ key, state: 'completed' });
      expect(JSON.parse(operation.data.response?.body ?? '')).toEqual(data);
    },
  );

  it('gives money back, under a key of its own', async () => {
    const { data: payment } = await client().payments.create(paySam);
    const { data: refund } = await client().refunds.create(payment.id, { amount: 40 });
    expect(refund).toMatchObject({
      object: 'refund',
      payment_id: payment.id,
      amount: 40,
      status: 'succeeded',
    });
    expect((await client().payments.get(payment.id)).data.refunded).toBe(40);
    const tooMuch = await thrown(client().refunds.create(payment.id, { amount: 61 }));
    expect(tooMuch).toMatchObject({ name: 'Refused', code: 'refund_exceeds_payment' });
  });

  it('ends the doubt about a key that was never used, and is too late for one that was', async () => {
    expect(await thrown(client().operations.get('never-used'))).toMatchObject({
      name: 'Refused',
      code: 'not_found',
    });
    const closed = await client().operations.cancel('never-used');
    expect(closed.data).toMatchObject({
      kind: 'cancelled',
      operation: { state: 'cancelled', operation: null },
    });
    expect(await thrown(client().payments.create(paySam, { idempotencyKey: 'never-used' }))).toMatchObject({
      name: 'Refused',
      code: 'operation_cancelled',
    });

    const { data: payment } = await client().payments.create(paySam, { idempotencyKey: 'used' });
    const late = await client().operations.cancel('used');
    expect(late.data).toMatchObject({ kind: 'already_completed', response: { status: 200 } });
    expect(late.data.kind === 'already_completed' && JSON.parse(late.data.response.body)).toEqual(payment);
  });

  it('reads accounts, transfers and payments, page by page', async () => {
    for (let payments = 0; payments < 5; payments += 1) await client().payments.create(paySam);
    const seen: string[] = [];
    for await (const { id } of client().payments.list({ limit: 2 })) {
      seen.push(id);
      if (seen.length === 5) break;
    }
    const { data: page } = await client().payments.list({ limit: 5 }).page();
    expect(seen).toEqual(page.data.map(({ id }) => id));
    expect(page.next).not.toBeNull();

    expect((await client().accounts.get('alice')).data).toMatchObject({ object: 'account', currency: 'GBP' });
    const accounts = [];
    for await (const account of client().accounts.list()) accounts.push(account.id);
    expect(accounts).toEqual(['alice']);
    const { data: moved } = await client().accounts.transfers('alice', { limit: 1 }).page();
    expect(moved.data).toMatchObject([
      { object: 'transfer', debit_account: 'alice', amount: 100, state: 'posted' },
    ]);
  });

  it('pays a thousand times at once', async () => {
    const before = await countRows(scene.sql);
    const one = client();
    const results = await Promise.all(Array.from({ length: 1_000 }, () => one.payments.create(paySam)));
    expect(new Set(results.map(({ data }) => data.id)).size).toBe(1_000);
    expect((await countRows(scene.sql)).payments).toBe(before.payments + 1_000);
  }, 120_000);
});

describe('the client and a payment through another bank', () => {
  const scene = setUpBankScene();
  let url: string;
  let directory: string;

  beforeAll(async () => {
    ({ url } = await scene.boot());
    directory = await mkdtemp(join(tmpdir(), 'paysam-journal-'));
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('is pending first, is kept in the journal, and is waited for', async () => {
    const journal = FileJournal.at(directory);
    const client = new PaySam({ apiKey: scene.alice.apiKey, baseUrl: url, journal });
    const { data, status, idempotencyKey } = await client.payments.create(orderToSam as never, {
      waitSeconds: 0,
    });
    expect([data.status, status]).toEqual(['pending', 202]);
    expect((await journal.unfinished()).map(({ key }) => key)).toEqual([idempotencyKey]);

    const end = await client.operations.wait(idempotencyKey ?? '');
    expect(end.data).toMatchObject({ state: 'completed', response: { status: 200 } });
    expect(await journal.unfinished()).toEqual([]);
    expect((await client.payments.get(data.id)).data.status).toBe('succeeded');
    expect(await scene.bank.charges(data.id)).toHaveLength(1);
  });

  it('is declined by the bank: that is the answer, and it is final', async () => {
    const client = new PaySam({ apiKey: scene.alice.apiKey, baseUrl: url });
    const error = await thrown(client.payments.create({ ...orderToSam, to: 'dee' } as never));
    expect(error).toMatchObject({ name: 'Declined', code: 'declined_by_bank', payment: { to: 'dee' } });
  });
});
