import type { Api } from '../support/api.js';
import { setUpBankScene, patient } from '../promises/bank-scene.js';
import { call, together, type Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';

const ledger = { rail: 'ledger' };

/** COLLISION_STATUS=422: the status of the IETF draft, and nothing else is another. F72 to F74 once more. */
describe('the draft’s profile tells collisions apart as well', () => {
  const scene = setUpBankScene();
  let apis: [Api, Api];

  beforeAll(async () => {
    const env = { ...patient, COLLISION_STATUS: '422', WORKERS: 'elsewhere' };
    apis = [await scene.boot(env), await scene.boot(env)];
  });

  const expectCollision = (answer: Answer, differsIn: string[]) => {
    expect([answer.status, answer.json]).toMatchObject([
      422,
      { status: 422, code: 'collision_detected', differs_in: differsIn, retryable: false },
    ]);
    expect(answer.headers.get('should-retry')).toBe('false');
    expect(answer.headers.get('retry-after')).toBeNull();
    expect(answer.headers.get('idempotency-status')).toBe('collision_detected');
  };
  const refund = (payment: Answer, key: string, amount: number) =>
    call(`${apis[0].url}/payments/${String(payment.json?.id)}/refunds`, {
      apiKey: scene.alice.apiKey,
      key,
      body: { amount },
    });

  it('F117: of 100 different requests with one key one is paid, and the others are 422 (F72)', async () => {
    const before = await countRows(scene.sql);
    const answers = await together(100, index =>
      scene.pay(apis[index % 2 ? 0 : 1], 'different', { ...ledger, amount: 1 + index }),
    );
    expect(answers.filter(isFirstAnswer)).toHaveLength(1);
    const refused = answers.filter(answer => !isFirstAnswer(answer));
    expect(refused).toHaveLength(99);
    for (const answer of refused) expectCollision(answer, ['amount']);
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 1, payments: 1, transfers: 1 });
  });

  it('F117: so is one that comes while the first is running, and in progress stays 409 (F72)', async () => {
    const held = await scene.barrier('before');
    expect((await scene.pay(apis[0], 'running', {}, { prefer: 'respond-async' })).status).toBe(202);
    await held.reached();
    expectCollision(await scene.pay(apis[1], 'running', { amount: 7 }), ['amount']);
    const repeat = await scene.pay(apis[1], 'running');
    expect([repeat.status, repeat.json?.code, repeat.headers.get('should-retry')]).toEqual([
      409,
      'in_progress',
      'true',
    ]);
    await held.release();
    expect((await scene.payUntilAnswered(apis[1], 'running')).status).toBe(200);
  });

  it('F117: and one that comes later; what was stored is as it was, and is replayed (F73)', async () => {
    const first = await scene.pay(apis[0], 'later', ledger);
    const stored = (await scene.row('later'))?.response_body;
    expectCollision(await scene.pay(apis[1], 'later', { ...ledger, reference: 'another' }), ['reference']);
    expect((await scene.row('later'))?.response_body).toBe(stored);
    for (const api of apis) {
      const replay = await scene.pay(api, 'later', ledger);
      expect([isReplay(replay), replay.text]).toEqual([true, first.text]);
    }
  });

  it('F117: another operation or path, too, by POST and by PUT (F74)', async () => {
    const [one, other] = [await scene.pay(apis[0], 'one', ledger), await scene.pay(apis[0], 'other', ledger)];
    expect((await refund(one, 'refund', 10)).status).toBe(200);
    expectCollision(await refund(one, 'one', 10), ['operation']);
    expectCollision(await refund(other, 'refund', 10), ['payment_id']);
    expectCollision(await scene.pay(apis[1], 'refund', ledger), ['operation']);
    const put = (key: string, operation: string, params: object) =>
      call(`${apis[1].url}/operations/${key}`, {
        method: 'PUT',
        apiKey: scene.alice.apiKey,
        body: { operation, params },
      });
    expectCollision(await put('one', 'refund', { payment_id: one.json?.id, amount: 10 }), ['operation']);
    expectCollision(await put('refund', 'payment', { to: 'sam', amount: 10, currency: 'GBP' }), [
      'operation',
    ]);
    expectCollision(await put('refund', 'refund', { payment_id: other.json?.id, amount: 10 }), [
      'payment_id',
    ]);
  });
});
