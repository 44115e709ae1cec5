import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../support/api-process.js';
import { isReplay } from '../support/scene.js';
import { Rail } from './rail.js';

/**
 * A holder has left its payment to others, and is about to tell its caller that it goes on. Before it does, its process
 * stands still: meanwhile the payment is finished, and perhaps even its stored answer is gone.
 */
describe('a holder that comes late to its own payment', () => {
  let rail: Rail;
  let other: ApiProcess;

  beforeAll(async () => {
    rail = await Rail.open({ ANSWER_RETENTION_MS: '1000' });
    other = await rail.startApi();
  });

  afterAll(() => rail.close());

  it.each([
    ['is finished', false],
    ['is finished, and its key reaped', true],
  ])('tells how it ended, when it %s', async (_, isReaped) => {
    const key = `late-${String(isReaped)}`;
    await rail.bank.control('POST', '/faults', { kind: 'error_before', status: 503 });
    const late = await rail.startApi({
      faultPoint: 'postponed',
      faultSignal: 'SIGSTOP',
      env: { BANK_REQUESTS_MAX: '1' },
    });
    const inside = rail.pay(late, key);
    await late.faultPointReached();

    const first = await rail.payUntilFinal([other], key);
    expect(first.status).toBe(200);
    if (isReaped) await reap(key);
    late.signal('SIGCONT');

    const told = await inside;
    expect([told.status, told.text, isReplay(told)]).toEqual([200, first.text, true]);
  });

  async function reap(key: string): Promise<void> {
    const reaper = rail.startWorker(['reaper'], { env: { REAP_EVERY_MS: '100' } });
    while ((await rail.sql('SELECT FROM idempotency_keys WHERE key = $1', [key])).length > 0) await sleep(50);
    await reaper.kill('SIGTERM');
  }
});
