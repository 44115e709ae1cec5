import type { Api } from '../support/api.js';
import { call, together, type Answer } from '../support/http.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { isFirstAnswer, isReplay } from '../support/scene.js';
import { hasEnded, patient, setUpBankScene, type Barrier } from './bank-scene.js';

/** A bank takes its time. How much of it a caller spends waiting is the caller's choice; the payment goes on. */
describe('a caller need not wait', () => {
  const scene = setUpBankScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot(patient);
  });

  const timed = async (calling: Promise<Answer>) => {
    const began = performance.now();
    const answer = await calling;
    return { ...answer, ms: performance.now() - began };
  };

  const expectPending = (answer: Answer, key: string) => {
    expect([answer.status, answer.json]).toMatchObject([
      202,
      {
        object: 'payment',
        status: 'pending',
        amount: 100,
        to: 'sam',
        idempotency_key: key,
        completed_at: null,
        decline: null,
      },
    ]);
    expect(answer.headers.get('location')).toBe(`/operations/${key}`);
    expect(answer.headers.get('idempotency-status')).toBe('in_progress');
    expect(answer.headers.get('idempotency-key')).toBe(key);
    expect(Date.parse(answer.headers.get('idempotency-expires') ?? '')).toBeGreaterThan(Date.now());
    expect(answer.headers.get('idempotent-replayed')).toBeNull();
    expectRetryAfter(answer);
  };

  const expectInProgress = (answer: Answer) => {
    expect([answer.status, answer.json]).toMatchObject([409, { code: 'in_progress', retryable: true }]);
    expect(answer.headers.get('idempotency-status')).toBe('in_progress');
    expect(answer.headers.get('should-retry')).toBe('true');
    expectRetryAfter(answer);
  };

  const expectRetryAfter = ({ headers }: Answer) => {
    expect(headers.get('retry-after')).toMatch(/^([1-9]|[12]\d|30)$/);
  };

  describe('the first call', () => {
    it('is told 202 when its wait is over, and the payment goes on without it', async () => {
      const held = await scene.barrier('before');
      const first = await timed(scene.pay(api, 'waits-1', {}, { prefer: 'wait=1' }));
      expectPending(first, 'waits-1');
      expect(first.headers.get('preference-applied')).toBe('wait=1');
      expect(first.ms).toBeGreaterThanOrEqual(1_000);
      expect(first.ms).toBeLessThan(3_000);

      const operation = await call(`${api.url}${first.headers.get('location')}`, {
        apiKey: scene.alice.apiKey,
      });
      expect(operation.json).toMatchObject({ state: 'in_progress', recovery_point: 'funds_reserved' });
      await held.release();
      await scene.untilRow('waits-1', hasEnded);
      const repeat = await scene.pay(api, 'waits-1');
      expect([repeat.status, isReplay(repeat), repeat.json?.id]).toEqual([200, true, first.json?.id]);
    });

    it.each(['respond-async', 'wait=0'])(
      'is answered at once with "%s", when the funds are reserved',
      async prefer => {
        const key = prefer.replace('=', '-');
        const before = await scene.balanceOf('alice');
        const held = await scene.barrier('before');
        const first = await timed(scene.pay(api, key, {}, { prefer }));
        expectPending(first, key);
        expect(first.headers.get('preference-applied')).toBe(prefer);
        expect(first.ms).toBeLessThan(5_000);
        expect(await scene.balanceOf('alice')).toEqual({ ...before, pending: before.pending + 100 });
        await held.release();
      },
    );

    it('waits for as long as the service thinks right when it says nothing', async () => {
      const hasty = await scene.boot({ ...patient, CALLER_WAIT_MS: '300' });
      const held = await scene.barrier('before');
      const first = await timed(scene.pay(hasty, 'says-nothing'));
      expectPending(first, 'says-nothing');
      expect(first.headers.get('preference-applied')).toBeNull();
      expect(first.ms).toBeGreaterThanOrEqual(300);
      expect(first.ms).toBeLessThan(2_000);
      await held.release();
    });

    it('gets the answer itself when that comes in time', async () => {
      const held = await scene.barrier('before');
      const paying = scene.pay(api, 'in-time', {}, { prefer: 'wait=20' });
      await held.reached();
      await held.release();
      const first = await paying;
      expect([first.status, isFirstAnswer(first)]).toEqual([200, true]);
      expect(first.headers.get('preference-applied')).toBe('wait=20');
    });

    it('cannot ask for more than 30 seconds', async () => {
      const first = await scene.pay(api, 'an-hour', {}, { prefer: 'wait=3600' });
      expect([first.status, first.headers.get('preference-applied')]).toEqual([200, 'wait=30']);
    });

    it.each([
      'wait',
      'wait=',
      'wait=-1',
      'wait=1.5',
      'wait=soon',
      'respond-asynchronously',
      'return=minimal',
      ';,=',
    ])('is not refused for a preference that means nothing here (%s)', async prefer => {
      const first = await scene.pay(api, `prefers-${Buffer.from(prefer).toString('hex')}`, {}, { prefer });
      expect([first.status, first.headers.get('preference-applied')]).toEqual([200, null]);
    });

    it('may hang up: the work goes on, and a later retry is told what came of it (F69, F79)', async () => {
      const held = await scene.barrier('before');
      const patience = new AbortController();
      const leaving = fetch(`${api.url}/payments`, {
        method: 'POST',
        signal: patience.signal,
        headers: {
          authorization: `Bearer ${scene.alice.apiKey}`,
          'idempotency-key': 'hangs-up',
          'content-type': 'application/json',
        },
        body: JSON.stringify({ to: 'sam', amount: 100, currency: 'GBP', rail: 'bank' }),
      });
      await held.reached();
      patience.abort();
      await expect(leaving).rejects.toThrow('aborted');
      await held.release();
      await scene.untilRow('hangs-up', hasEnded);

      const retry = await scene.pay(api, 'hangs-up');
      expect([retry.status, isReplay(retry)]).toEqual([200, true]);
      expect(await scene.bank.charges(retry.json?.id as string)).toHaveLength(1);
    });
  });

  describe('a repeat, while the first one runs', () => {
    let held: Barrier;
    const begin = async (key: string) => {
      held = await scene.barrier('before');
      await scene.pay(api, key, {}, { prefer: 'respond-async' });
      await held.reached();
    };
    afterEach(() => held.release().catch(() => undefined));

    it('is told at once that it runs, and when to come back', async () => {
      await begin('told');
      const [repeat, row] = [await timed(scene.pay(api, 'told')), await scene.row('told')];
      expectInProgress(repeat);
      expect(repeat.ms).toBeLessThan(5_000);
      expect(repeat.headers.get('preference-applied')).toBeNull();
      const left = Math.ceil((row?.locked_ms ?? 0) / 1_000);
      expect([left, left + 1]).toContain(Number(repeat.headers.get('retry-after')));
      await held.release();
    });

    it('may wait, and gets the answer when it comes, like everybody else who waits', async () => {
      await begin('waits');
      const other = await scene.boot({ ...patient, WORKERS: 'elsewhere' });
      const waiting = together(20, index =>
        scene.pay(index % 2 ? api : other, 'waits', {}, { prefer: 'wait=20' }),
      );
      await new Promise(resolve => setTimeout(resolve, 500));
      await held.release();
      const answers = await waiting;
      expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
      expect(answers.every(isReplay)).toBe(true);
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      expect(answers[0]?.headers.get('preference-applied')).toBe('wait=20');
      await other.stop();
    });

    it('is told that it still runs when its own wait is over', async () => {
      await begin('waits-in-vain');
      const repeat = await timed(scene.pay(api, 'waits-in-vain', {}, { prefer: 'wait=1' }));
      expectInProgress(repeat);
      expect(repeat.headers.get('preference-applied')).toBe('wait=1');
      expect(repeat.ms).toBeGreaterThanOrEqual(1_000);
      expect(repeat.ms).toBeLessThan(3_000);
    });

    it('is a collision when it differs, at once, however long it would wait (F72)', async () => {
      await begin('differs');
      const row = await scene.row('differs');
      const repeat = await timed(
        scene.pay(api, 'differs', { amount: 4_711, to: 'eve' }, { prefer: 'wait=20' }),
      );
      expect([repeat.status, repeat.json]).toMatchObject([
        409,
        { code: 'collision_detected', differs_in: ['amount', 'to'] },
      ]);
      expect(repeat.headers.get('should-retry')).toBe('false');
      expect(repeat.text).not.toMatch(/4711|eve|sam/);
      expect(repeat.ms).toBeLessThan(5_000);
      const counted = { locked_ms: 0, duplicates: 0, last_duplicate_at: null };
      expect({ ...(await scene.row('differs')), ...counted }).toEqual({ ...row, ...counted });
    });
  });

  it.each([undefined, 'wait=20'])(
    'of 100 equal requests at once one pays (Prefer: %s; F70, F71)',
    async prefer => {
      const other = await scene.boot(patient);
      const key = `herd-${prefer ?? 'impatient'}`;
      const wishes = prefer === undefined ? {} : { prefer };
      const answers = await together(100, index => scene.pay(index % 2 ? api : other, key, {}, wishes));
      expect(answers.filter(isFirstAnswer)).toHaveLength(1);
      const told = answers.filter(answer => !isFirstAnswer(answer));
      for (const answer of told) {
        if (!isReplay(answer)) expectInProgress(answer);
      }
      if (prefer !== undefined) expect(told.every(isReplay)).toBe(true);
      const { id } = await scene.paymentOf(key);
      expect(await scene.bank.charges(id)).toHaveLength(1);
      expect(new Set(answers.filter(({ status }) => status === 200).map(({ text }) => text)).size).toBe(1);
    },
  );

  it('a service that has enough in hand says so, and keeps nothing of the request (F35, F53)', async () => {
    const small = await scene.boot({ ...patient, IN_FLIGHT_MAX: '3' });
    const held = await scene.barrier('before', { times: 0 });
    await together(3, index => scene.pay(small, `in-flight-${index}`, {}, { prefer: 'respond-async' }));
    const before = await countRows(scene.sql);
    const refused = await scene.pay(small, 'one-too-many');

    expect([refused.status, refused.json]).toMatchObject([503, { code: 'overloaded', retryable: true }]);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(refused.headers.get('should-retry')).toBe('true');
    expect(await countNewRows(scene.sql, before)).toEqual({ keys: 0, payments: 0, transfers: 0 });
    expect((await scene.operation(small, 'one-too-many')).status).toBe(404);
    // Payments that ask nobody outside go on.
    expect((await scene.pay(small, 'ledger-meanwhile', { rail: 'ledger' })).status).toBe(200);

    await held.release();
    await scene.untilRow('in-flight-0', hasEnded);
    expect((await scene.payUntilAnswered(small, 'one-too-many')).status).toBe(200);
  });
});
