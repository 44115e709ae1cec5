import { endOf, openBank, type TestBank } from './testing/caller.js';

describe('a payee', () => {
  let bank: TestBank;
  beforeEach(async () => {
    bank = await openBank();
  });
  afterEach(() => bank.stop());

  const pay = (creditor: string) => bank.put('p', { creditor });
  const charges = async () => (await bank.totals()).charges;

  it('sam is paid, and so is anybody else', async () => {
    expect((await pay('sam')).status).toBe(201);
    expect((await bank.put('q', { creditor: 'Zoë & Sons' })).status).toBe(201);
  });

  it('dee is declined, each time it is asked, and never charged for', async () => {
    const first = await pay('dee');
    expect(first.status).toBe(422);
    expect(first.json).toMatchObject({
      ...{ status: 'declined', reference: 'p', settled_at: null },
      decline: { code: 'account_closed', message: 'The account is closed.' },
    });
    const repeat = await pay('dee');
    expect([repeat.status, repeat.text]).toEqual([422, first.text]);
    const lookedUp = await bank.get('p');
    expect([lookedUp.status, lookedUp.text]).toEqual([200, first.text]);
    expect(await bank.statement()).toEqual({ bookings: [], next: 0 });
  });

  it('tim is charged for, the answer never comes, and the transfer is found', async () => {
    const started = performance.now();
    const call = pay('tim');
    expect(await endOf(call)).toBe('ECONNRESET');
    expect(performance.now() - started).toBeGreaterThanOrEqual(95);
    expect((await bank.get('p')).json.status).toBe('settled');
    expect((await pay('tim')).status).toBe(200);
    expect(await charges()).toBe(1);
  });

  it('nia is not charged for at first: no answer, nothing found; then it is paid', async () => {
    expect(await endOf(pay('nia'))).toBe('ECONNRESET');
    expect((await bank.get('p')).status).toBe(404);
    expect(await charges()).toBe(0);
    expect((await pay('nia')).status).toBe(201);
    expect((await pay('nia')).status).toBe(200);
    expect(await charges()).toBe(1);
    expect(await endOf(bank.put('another', { creditor: 'nia' }))).toBe('ECONNRESET');
  });

  it('flo gets 503 three times, then is paid', async () => {
    const statuses = [];
    for (let times = 0; times < 3; times += 1) statuses.push((await pay('flo')).status);
    expect(await charges()).toBe(0);
    for (let times = 0; times < 2; times += 1) statuses.push((await pay('flo')).status);
    expect(statuses).toEqual([503, 503, 503, 201, 200]);
    expect(await charges()).toBe(1);
  });

  it('rex is charged for and answered 500, then known', async () => {
    expect((await pay('rex')).status).toBe(500);
    expect((await bank.get('p')).status).toBe(200);
    expect((await pay('rex')).status).toBe(200);
    expect(await charges()).toBe(1);
  });
});
