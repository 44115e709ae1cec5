import { hasEnded, quick, setUpBankScene } from './bank-scene.js';

/** A process may stand still while others finish its payment, and throw the stored answer away when its time is over. */
describe('a caller outlives the row of its key', () => {
  const scene = setUpBankScene();

  it('is told how its payment ended, though its own process has slept through all of it', async () => {
    const asleep = await scene.start({
      env: { ...quick, WORKERS: 'elsewhere' },
      faultPoint: 'call_begins@funds_reserved',
      faultSignal: 'SIGSTOP',
    });
    const told = scene.pay(asleep, 'outlived', {}, { prefer: 'wait=1' });
    await asleep.faultPointReached();

    await scene.boot({ ...quick });
    await scene.untilRow('outlived', hasEnded);
    await scene.sql("DELETE FROM idempotency_keys WHERE key = 'outlived'");
    // Its caller's wait is over by now, and the first thing that it looks for is gone.
    await new Promise(resolve => setTimeout(resolve, 1_000));
    asleep.signal('SIGCONT');

    const { status, json } = await told;
    expect([status, json]).toMatchObject([200, { status: 'succeeded', idempotency_key: 'outlived' }]);
    const { id } = await scene.paymentOf('outlived');
    expect(await scene.bank.charges(id)).toHaveLength(1);
  });
});
