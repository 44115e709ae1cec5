import { hasEnded, patient, setUpBankScene } from '../../test/promises/bank-scene.js';
import type { Api } from '../../test/support/api.js';
import { User } from './support/paysam-process.js';

/** Through another bank a payment may take longer than a command: pending is neither paid nor failed. */
describe('paysam and a payment that is pending', () => {
  const scene = setUpBankScene();
  let api: Api;
  let alice: User;

  beforeEach(async () => {
    await scene.stopApis();
    api = await scene.boot(patient);
    alice = new User({ PAYSAM_URL: api.url, PAYSAM_API_KEY: scene.alice.apiKey });
  });
  afterEach(() => {
    alice.leave();
  });

  it('follows it to its end', async () => {
    const barrier = await scene.barrier('before');
    const running = alice.start('pay sam 1 GBP --rail bank --wait 0 --key followed');
    await running.says('GET /operations/followed');
    await barrier.release();
    const { code, stdout, stderr } = await running.ended;
    expect([code, stdout]).toEqual([0, expect.stringContaining('Paid 1.00 GBP from alice to sam.')]);
    expect(stderr).toContain('202 still pending');
    expect(alice.unfinished()).toEqual([]);
  });

  it('exits with 5 once its time is over, and the command that it prints waits on', async () => {
    const barrier = await scene.barrier('before');
    const pending = await alice.run('pay sam 1 GBP --rail bank --wait 0 --deadline 1.5 --key slow --json');
    expect(pending.code).toBe(5);
    expect(pending.json()).toMatchObject({
      error: { kind: 'Pending' },
      data: { status: 'pending' },
      idempotencyKey: 'slow',
    });
    expect(pending.stderr).toContain('\n  paysam wait slow\n');
    expect(alice.unfinished()).toHaveLength(1);
    expect((await alice.run('wait slow --deadline 0.5')).code).toBe(5);
    const early = await alice.run('cancel slow --deadline 0.5');
    expect([early.code, early.stdout]).toEqual([5, '']);

    await barrier.release();
    const waited = await alice.runPrinted('paysam wait slow');
    expect([waited.code, waited.stdout]).toEqual([0, expect.stringContaining('Paid 1.00 GBP')]);
    expect(alice.unfinished()).toEqual([]);
  });

  it('resumes it, and follows it from there', async () => {
    const barrier = await scene.barrier('before');
    expect((await alice.run('pay sam 1 GBP --rail bank --wait 0 --deadline 1 --key resumed')).code).toBe(5);
    const running = alice.start('resume');
    await running.says('POST /payments');
    await barrier.release();
    const { code, stdout } = await running.ended;
    expect([code, stdout]).toEqual([0, expect.stringContaining('Paid 1.00 GBP')]);
    expect(alice.unfinished()).toEqual([]);
    expect(await scene.sql("SELECT FROM payments WHERE idempotency_key = 'resumed'")).toHaveLength(1);
  });

  it('exits with 3 when it comes to be declined', async () => {
    const barrier = await scene.barrier('before');
    const running = alice.start('pay dee 1 GBP --rail bank --wait 0 --key declined --json');
    await running.says('GET /operations/declined');
    await barrier.release();
    const { code, json, stderr } = await running.ended;
    expect(code).toBe(3);
    expect(json().error).toMatchObject({
      kind: 'Declined',
      code: 'declined_by_bank',
      payment: { amount: 100 },
    });
    expect(stderr).toContain('✗ The bank declined the payment');
    expect(alice.unfinished()).toEqual([]);
  });

  it('stopped by Ctrl-C while it follows: 5, and how to go on', async () => {
    const barrier = await scene.barrier('before');
    const running = alice.start('pay sam 1 GBP --rail bank --wait 0 --key stopped');
    await running.says('GET /operations/stopped');
    running.child.kill('SIGINT');
    const { code, stderr } = await running.ended;
    expect([code, stderr]).toEqual([5, expect.stringContaining('\n  paysam wait stopped\n')]);
    await barrier.release();
    await scene.untilRow('stopped', hasEnded);
    expect((await alice.run('resume')).code).toBe(0);
  });
});
