import { setTimeout as sleep } from 'node:timers/promises';
import { hasEnded, setUpBankScene } from './bank-scene.js';

/** To go on would be to guess with somebody's money. So nobody goes on, and somebody is told. */
describe('what makes no sense is left to a person', () => {
  const scene = setUpBankScene();

  // Whoever is left over from the test before would go on by other settings.
  beforeEach(() => scene.stopApis());

  const expectParked = async (api: { url: string }, key: string, body = {}) => {
    const { recovery_point: point } = await scene.untilRow(key, row => row.parked_because !== null);
    const operation = await scene.operation(api, key);
    expect([operation.status, operation.json]).toMatchObject([
      200,
      { state: 'parked', recovery_point: point, retry_after: null, response: null },
    ]);
    // Not declined, not cancelled, and not free either: the money may be at the bank.
    const repeat = await scene.pay(api, key, body);
    expect([repeat.status, repeat.json]).toMatchObject([409, { code: 'in_progress', retryable: true }]);
    expect(repeat.headers.get('retry-after')).toBe('30');
    expect(repeat.headers.get('should-retry')).toBe('true');
    expect((await scene.pay(api, key, { ...body, amount: 7 })).json?.code).toBe('collision_detected');
    expect((await scene.cancel(api, key)).json?.code).toBe('in_progress');
    expect((await scene.paymentOf(key)).status).toBe('pending');
    const [transfer] = await scene.sql(
      `SELECT transfers.state FROM transfers JOIN payments ON payments.id = payment_id
        WHERE idempotency_key = $1`,
      [key],
    );
    expect(transfer).toEqual({ state: 'pending' });
  };

  describe('an answer about another payment (F57)', () => {
    it.each([
      ['wrong_reference', 'reference'],
      ['wrong_amount', 'amount'],
      ['wrong_currency', 'currency'],
    ] as const)('%s: parked, counted and written down, without the caller’s key', async (kind, member) => {
      const api = await scene.start();
      const series = 'paysam_parked_total{recovery_point="funds_reserved"}';
      const before = await scene.metric(api, series);
      const held = (await scene.balanceOf('alice')).pending;
      await scene.fault({ kind });
      const first = await scene.pay(api, kind);

      expect([first.status, first.json]).toMatchObject([202, { status: 'pending' }]);
      await expectParked(api, kind);
      expect(await scene.metric(api, series)).toBe(before + 1);
      expect(await scene.metric(api, 'paysam_parked_keys')).toBeGreaterThan(0);
      const logged = api
        .stdout()
        .split('\n')
        .filter(line => line.includes('"event":"parked"'));
      const line = JSON.parse(logged.at(-1) ?? '{}') as Record<string, unknown>;
      // 50 is pino's number for an error: what an operator is woken up for.
      expect(line).toMatchObject({ level: 50, recoveryPoint: 'funds_reserved' });
      expect(line.reason).toContain(member);
      expect(JSON.stringify(line)).not.toMatch(new RegExp(`"${kind}"|alice|sam|sk_test`));

      // Whatever the bank really did, she cannot spend it twice; and nobody asks the bank again.
      expect((await scene.balanceOf('alice')).pending).toBe(held + 100);
      const { id } = await scene.paymentOf(kind);
      await sleep(500);
      expect(await scene.conversation(id)).toEqual(['PUT 201']);
    });

    it('and one that comes only when the bank is asked again', async () => {
      const api = await scene.boot();
      const wait = await scene.barrier('before', { method: 'GET' });
      const paying = scene.pay(api, 'asked-again', { to: 'dora' });
      await wait.reached();
      const { id } = await scene.paymentOf('asked-again');
      await scene.fault({ kind: 'wrong_amount', method: 'GET', reference: id });
      await wait.release();
      expect((await paying).status).toBe(202);
      await expectParked(api, 'asked-again', { to: 'dora' });
    });
  });

  describe('when the bank has forgotten (F59)', () => {
    const forgetful = { BANK_MEMORY_MS: '0', RECOVERY_ATTEMPTS_MAX: '4', BANK_REQUESTS_MAX: '2' };

    it('a payment past the bank’s memory is only asked for, never sent, and parked at last', async () => {
      const api = await scene.boot(forgetful);
      // Charged, unheard of, and then forgotten: sent again, it would be charged again.
      await scene.fault(
        { kind: 'timeout_after', creditor: 'lena' },
        { kind: 'forget', method: 'GET', creditor: 'lena', times: 1 },
      );
      const first = await scene.pay(api, 'forgotten', { to: 'lena' });
      expect(first.status).toBe(202);
      await expectParked(api, 'forgotten', { to: 'lena' });

      const { id } = await scene.paymentOf('forgotten');
      const conversation = await scene.conversation(id);
      expect(conversation[0]).toBe('PUT null');
      expect(conversation.slice(1).every(line => line === 'GET 404')).toBe(true);
      // Not at the first "not found": it might only be late.
      expect(conversation.length).toBeGreaterThan(4);
      expect((await scene.row('forgotten'))?.attempts).toBe(4);
      expect(await scene.bank.charges(id)).toHaveLength(1);
    });

    it('not found, and found later, is paid (F60)', async () => {
      const api = await scene.boot({ ...forgetful, RECOVERY_ATTEMPTS_MAX: '40' });
      await scene.fault({ kind: 'timeout_after' }, { kind: 'not_found', times: 5 });
      expect((await scene.pay(api, 'late-to-be-seen')).status).toBe(202);
      await scene.untilRow('late-to-be-seen', hasEnded);

      expect(await scene.paymentOf('late-to-be-seen')).toMatchObject({ status: 'succeeded' });
      const { id } = await scene.paymentOf('late-to-be-seen');
      expect((await scene.conversation(id)).slice(0, 7)).toEqual([
        'PUT null',
        ...Array<string>(5).fill('GET 404'),
        'GET 200',
      ]);
    });

    it('and what was certainly never sent may be sent however late', async () => {
      const lost = await scene.boot({ ...forgetful, BANK_URL: 'http://127.0.0.1:9', WORKERS: 'elsewhere' });
      expect((await scene.pay(lost, 'never-sent')).status).toBe(202);
      const api = await scene.boot(forgetful);
      expect((await scene.payUntilAnswered(api, 'never-sent')).status).toBe(200);
    });
  });

  it('an operation that never comes to an end is parked after so many attempts, and not sooner', async () => {
    const api = await scene.boot({ RECOVERY_ATTEMPTS_MAX: '3', BANK_REQUESTS_MAX: '2' });
    await scene.fault(
      { kind: 'error_before', creditor: 'olga', times: 0 },
      { kind: 'error_before', method: 'GET', times: 0 },
    );
    expect((await scene.pay(api, 'never-ends', { to: 'olga' })).status).toBe(202);
    await expectParked(api, 'never-ends', { to: 'olga' });
    expect(await scene.row('never-ends')).toMatchObject({
      attempts: 3,
      parked_because: expect.stringContaining('3 attempts') as string,
    });
  });

  it('attempts that cannot reach the bank do not count: an outage parks nothing', async () => {
    const env = { RECOVERY_ATTEMPTS_MAX: '2', BANK_URL: 'http://127.0.0.1:9', OUTAGE_BACKOFF_MAX_MS: '50' };
    const api = await scene.boot(env);
    expect((await scene.pay(api, 'outage')).status).toBe(202);
    await scene.untilRow('outage', row => row.epoch > 8);
    // An attempt counts while it runs, and is taken back once it is known that nothing was sent: so at rest.
    await api.stop();
    expect(await scene.row('outage')).toMatchObject({
      attempts: 1,
      parked_because: null,
      may_be_sent: false,
    });
    const healed = await scene.boot();
    expect((await scene.payUntilAnswered(healed, 'outage')).status).toBe(200);
  });

  it('a holder that has died too often is not given another try', async () => {
    const api = await scene.boot({ RECOVERY_ATTEMPTS_MAX: '3', WORKERS: 'elsewhere' });
    // The lease of each of them ran out before it could write anything down.
    const held = await scene.barrier('before', { creditor: 'petra', times: 0 });
    const first = scene.pay(api, 'dies-often', { to: 'petra' }, { prefer: 'respond-async' });
    await held.reached();
    expect((await first).status).toBe(202);
    await scene.sql(
      "UPDATE idempotency_keys SET attempts = 3, epoch = 9, locked_until = now() - interval '1 s' WHERE key = 'dies-often'",
    );
    const { id } = await scene.paymentOf('dies-often');
    const before = await scene.conversation(id);
    const repeat = await scene.pay(api, 'dies-often', { to: 'petra' });
    expect(repeat.status).toBe(202);
    expect(await scene.row('dies-often')).toMatchObject({
      epoch: 10,
      attempts: 4,
      parked_because: expect.stringContaining('taken up 3 times') as string,
    });
    // Parked without another word to the bank; and the holder that was fenced off wrote nothing.
    await held.release();
    await expectParked(api, 'dies-often', { to: 'petra' });
    expect((await scene.conversation(id)).filter(line => line.startsWith('PUT'))).toHaveLength(before.length);
  });
});

/** The one thing that no idempotency of ours can prevent. */
describe('a bank that charges twice is found out (F58)', () => {
  const scene = setUpBankScene({ isHonest: false });

  it('by the reconciler: its gauge leaves 0, and the difference is named', async () => {
    const api = await scene.start({ env: { RECONCILE_EVERY_MS: '100' } });
    const series = 'paysam_reconciler_differences';
    const until = async (wanted: number) => {
      for (let looks = 0; looks < 100; looks += 1) {
        const is = await scene.metric(api, series).catch(() => NaN);
        if (is === wanted) return;
        await sleep(50);
      }
      throw new Error(`the gauge never was ${wanted}`);
    };
    expect((await scene.pay(api, 'honest')).status).toBe(200);
    await until(0);

    await scene.fault({ kind: 'double_charge' });
    const answer = await scene.pay(api, 'charged-twice');
    expect(answer.status).toBe(200);
    const { id } = await scene.paymentOf('charged-twice');
    expect(await scene.bank.charges(id)).toHaveLength(2);
    await until(1);
    const logged =
      api
        .stdout()
        .split('\n')
        .find(line => line.includes('"event":"difference"')) ?? '{}';
    expect(JSON.parse(logged)).toMatchObject({ level: 50, kind: 'charged_twice', reference: id });
    // It repairs nothing: what was answered stays answered.
    expect((await scene.pay(api, 'charged-twice')).text).toBe(answer.text);
  });
});
