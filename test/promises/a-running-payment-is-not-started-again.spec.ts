import type { Api } from '../support/api.js';
import { call } from '../support/http.js';
import { countRows } from '../support/invariants.js';
import { fingerprintOfPaySam, setUpScene } from '../support/scene.js';

describe('a running payment is not started again', () => {
  const scene = setUpScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot();
  });

  /** Somebody is at work on it, elsewhere, and has said for how long. */
  const leaveRunning = (key: string, leaseMs: number) =>
    scene.database.insertKeyRow({
      customerId: scene.alice.id,
      key,
      params: { amount: 100, currency: 'GBP', from: 'alice', rail: 'ledger', reference: null, to: 'sam' },
      fingerprintOf: fingerprintOfPaySam,
      recoveryPoint: 'funds_reserved',
      leaseMs,
    });

  const leaseLeft = async (key: string) => {
    const [row] = await scene.sql<{ seconds: string }>(
      `SELECT extract(epoch FROM locked_until - clock_timestamp()) AS seconds
         FROM idempotency_keys WHERE key = $1`,
      [key],
    );
    return Number(row?.seconds);
  };

  it.each([
    ['12-seconds', 12_400],
    ['just-begun', 29_900],
    ['nearly-over', 300],
    ['for-an-hour', 3_600_000],
  ])('while its lease lasts (%s): the caller learns when to ask again', async (key, leaseMs) => {
    await leaveRunning(key, leaseMs);
    const [row] = await scene.sql('SELECT * FROM idempotency_keys WHERE key = $1', [key]);
    const counts = await countRows(scene.sql);

    const before = await leaseLeft(key);
    const told = await scene.pay(api, key);
    const after = await leaseLeft(key);

    expect([told.status, told.json]).toMatchObject([409, { code: 'in_progress', retryable: true }]);
    expect(told.headers.get('idempotency-status')).toBe('in_progress');
    expect(told.headers.get('should-retry')).toBe('true');
    expect(told.headers.get('idempotency-key')).toBe(key);
    expect(told.headers.get('idempotent-replayed')).toBeNull();
    // By the database's clock, in whole seconds, rounded up: who waits that long does not come too early.
    const within1And30 = (seconds: number) => Math.min(30, Math.max(1, Math.ceil(seconds)));
    const retryAfter = Number(told.headers.get('retry-after'));
    expect(retryAfter).toBeLessThanOrEqual(within1And30(before));
    expect(retryAfter).toBeGreaterThanOrEqual(within1And30(after));

    const operation = await call(`${api.url}/operations/${key}`, { apiKey: scene.alice.apiKey });
    expect(operation.json).toMatchObject({
      state: 'in_progress',
      recovery_point: 'funds_reserved',
      duplicates: 1,
      response: null,
    });
    expect(await scene.sql('SELECT * FROM idempotency_keys WHERE key = $1', [key])).toEqual([
      { ...row, duplicates: 1, last_duplicate_at: expect.any(Date) as Date },
    ]);
    expect(await countRows(scene.sql)).toEqual(counts);
  });

  it('and does not keep other payments waiting', async () => {
    await leaveRunning('slow', 20_000);
    const statuses = await Promise.all(['slow', 'quick', 'slow'].map(key => scene.pay(api, key)));
    expect(statuses.map(answer => answer.status)).toEqual([409, 200, 409]);
  });
});
