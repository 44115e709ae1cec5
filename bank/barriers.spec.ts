import { endOf, openBank, order, ask, until, type TestBank } from './testing/caller.js';

describe('a barrier', () => {
  let bank: TestBank;
  beforeEach(async () => {
    bank = await openBank();
  });
  afterEach(() => bank.stop());

  const raise = async (body: object) => (await bank.control('barriers', body)).json.id;
  const watch = async (id: string, waitMs = 2_000) =>
    (await bank.call('GET', `/control/barriers/${id}?wait_ms=${waitMs}`)).json;
  const release = (id: string) => bank.call('DELETE', `/control/barriers/${id}`);
  const charges = async () => (await bank.totals()).charges;

  it('before: holds a request that is read, of which nothing is written', async () => {
    const id = await raise({ at: 'before', method: 'PUT' });
    const watching = watch(id);
    const held = bank.put('a');
    expect(await watching).toEqual({ reached: true, held: 1 });
    expect(await charges()).toBe(0);
    expect((await release(id)).status).toBe(204);
    expect((await held).status).toBe(201);
  });

  it('after: holds the answer to a request that is written', async () => {
    const id = await raise({ at: 'after', reference: 'a' });
    const held = bank.put('a');
    expect(await watch(id)).toEqual({ reached: true, held: 1 });
    expect(await charges()).toBe(1);
    // It holds the first such request only.
    expect((await bank.put('a')).status).toBe(200);
    await release(id);
    expect((await held).status).toBe(201);
  });

  it('after: holds the answer to a request that is refused, too', async () => {
    await bank.control('faults', { kind: 'error_before', status: 503 });
    const id = await raise({ at: 'after', method: 'PUT' });
    const held = bank.put('a');
    expect(await watch(id)).toEqual({ reached: true, held: 1 });
    await release(id);
    expect((await held).status).toBe(503);
    expect(await charges()).toBe(0);
  });

  it('lets a request be carried out whose caller has gone meanwhile', async () => {
    const id = await raise({ at: 'before', creditor: 'sam' });
    const leaving = new AbortController();
    const held = ask(bank.url, 'PUT', '/transfers/a', { body: order, signal: leaving.signal });
    const ended = endOf(held);
    await watch(id);
    leaving.abort();
    expect(await ended).toBe('ABORT_ERR');
    expect(await charges()).toBe(0);
    await release(id);
    await until(async () => (await charges()) === 1);
    const { requests } = (await bank.call('GET', '/control/requests?reference=a')).json;
    expect(requests).toEqual([
      { at: expect.any(String) as string, method: 'PUT', reference: 'a', status: null },
    ]);
  });

  it('charges once when two equal requests are held and released together', async () => {
    const id = await raise({ at: 'before', times: 2 });
    const held = Promise.all([bank.put('a'), bank.put('a')]);
    await until(async () => (await watch(id)).held === 2);
    await release(id);
    expect((await held).map(({ status }) => status)).toEqual([201, 200]);
    expect(await charges()).toBe(1);
  });

  it('holds every request when told to, until it is removed', async () => {
    const id = await raise({ at: 'before', method: 'GET', times: 0 });
    const held = Promise.all([bank.get('a'), bank.get('b'), bank.get('c')]);
    await until(async () => (await watch(id)).held === 3);
    expect((await bank.put('a')).status).toBe(201);
    await release(id);
    expect((await held).map(({ status }) => status)).toEqual([200, 404, 404]);
  });

  it('that nobody reaches says so when the wait is over; one that does not exist is not found', async () => {
    const id = await raise({ at: 'before', creditor: 'nobody' });
    await bank.put('a');
    expect(await watch(id, 50)).toEqual({ reached: false, held: 0 });
    expect((await release(id)).status).toBe(204);
    expect((await release(id)).status).toBe(404);
    expect((await bank.call('GET', `/control/barriers/${id}`)).status).toBe(404);
  });

  it('needs a place to stand', async () => {
    const { status, json } = await bank.control('barriers', { at: 'noon' });
    expect([status, json.error.message]).toEqual([400, 'at: must be one of before, after.']);
  });

  it('does not keep the bank from stopping', async () => {
    const other = await openBank();
    const id = (await other.control('barriers', { at: 'before' })).json.id;
    const held = endOf(other.put('a'));
    await other.call('GET', `/control/barriers/${id}?wait_ms=2000`);
    await other.stop();
    expect(await held).toBe('ECONNRESET');
  });
});
