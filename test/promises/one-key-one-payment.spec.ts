import type { Api } from '../support/api.js';
import { watchEngine } from '../support/engine-events.js';
import { inOneBatch } from '../support/foreign-lock.js';
import { together, type Answer } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

describe('one key, one payment', () => {
  const scene = setUpScene();
  let apis: Api[];

  beforeAll(async () => {
    apis = [await scene.boot(), await scene.boot()];
  });

  const payAtEither = (index: number, key: string, body?: object) =>
    scene.pay(apis[index % 2] as Api, key, body);

  it('pays once when 100 equal requests arrive together, and tells all of them the same (F70)', async () => {
    const before = await countRows(scene.sql);
    const answers = await together(100, () => payAtEither(0, 'equal-at-one'));

    expectOnePayment(answers);
    expect(await countRows(scene.sql)).toEqual(onePaymentMoreThan(before));
  });

  it('pays once when the 100 equal requests arrive at two instances (F71)', async () => {
    const before = await countRows(scene.sql);
    const answers = await together(100, index => payAtEither(index, 'equal-at-two'));

    expectOnePayment(answers);
    expect(await countRows(scene.sql)).toEqual(onePaymentMoreThan(before));
  });

  it('pays one of 100 different requests that share a key, and tells the other 99 that they differ (F72)', async () => {
    const before = await countRows(scene.sql);
    const answers = await together(100, index => payAtEither(index, 'different', { amount: 1 + index }));

    const refused = answers.filter(answer => answer.status === 409);
    expect([answers.filter(isFirstAnswer).length, refused.length]).toEqual([1, 99]);
    for (const answer of refused) {
      expect(answer.json).toMatchObject({ code: 'collision_detected', differs_in: ['amount'] });
      expect(answer.headers.get('should-retry')).toBe('false');
    }
    expect(await countRows(scene.sql)).toEqual(onePaymentMoreThan(before));
  });

  it('also when they share a transaction: the first pays, equal ones are replayed, different ones refused (F109)', async () => {
    const engine = watchEngine();
    const before = await countRows(scene.sql);
    const { url } = scene.database;
    // The first only keeps the road busy; the other 20 share a key and a batch.
    const [, ...answers] = await inOneBatch({ url, sql: scene.sql }, 21, index =>
      index === 0 ? payAtEither(0, 'alone') : payAtEither(0, 'shared', { amount: index % 2 ? 100 : 200 }),
    );
    engine.stop();

    expect(engine.largestBatch('committed')).toBe(20);
    expect(answers.filter(isFirstAnswer)).toHaveLength(1);
    expect(answers.filter(isReplay)).toHaveLength(9);
    expect(answers.filter(answer => answer.json?.code === 'collision_detected')).toHaveLength(10);
    expect(new Set(answers.filter(answer => answer.status === 200).map(answer => answer.text)).size).toBe(1);
    const after = await countRows(scene.sql);
    expect(after.payments - before.payments).toBe(2);
  });

  it('keeps count while two instances are hammered: 10 keys 40 times each, 100 others once each', async () => {
    const before = await countRows(scene.sql);
    const answers = await together(500, index => {
      if (index % 5 === 4) return payAtEither(index, `fresh-${index}`);
      const repeat = index - Math.floor(index / 5);
      // A key's repeats alternate between the instances.
      return payAtEither(Math.floor(repeat / 10), `hammered-${repeat % 10}`);
    });

    expect(answers.every(answer => isFirstAnswer(answer) || isReplay(answer))).toBe(true);
    const keys = new Set(answers.map(answer => answer.json?.idempotency_key));
    expect([keys.size, new Set(answers.map(answer => answer.text)).size]).toEqual([110, 110]);
    expect(answers.filter(isFirstAnswer)).toHaveLength(110);
    const after = await countRows(scene.sql);
    expect([after.keys - before.keys, after.payments - before.payments]).toEqual([110, 110]);
  });
});

function expectOnePayment(answers: Answer[]): void {
  expect(new Set(answers.map(answer => answer.status))).toEqual(new Set([200]));
  expect(new Set(answers.map(answer => answer.text)).size).toBe(1);
  expect(answers.filter(isFirstAnswer)).toHaveLength(1);
  expect(answers.filter(isReplay)).toHaveLength(answers.length - 1);
}

function onePaymentMoreThan({ keys, payments, transfers }: Awaited<ReturnType<typeof countRows>>) {
  return { keys: keys + 1, payments: payments + 1, transfers: transfers + 1 };
}
