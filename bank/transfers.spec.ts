import { connect } from 'node:net';
import { ask, openBank, order, until, type TestBank } from './testing/caller.js';

describe('the bank', () => {
  let bank: TestBank;
  beforeEach(async () => {
    bank = await openBank();
  });
  afterEach(() => bank.stop());

  it('carries out a transfer once, however often it is asked', async () => {
    const first = await bank.put('rent');
    expect(first.status).toBe(201);
    expect(first.json).toEqual({
      ...{ id: expect.stringMatching(/^trf_[0-9a-f]{32}$/) as string, reference: 'rent', ...order },
      ...{ status: 'settled', decline: null, created_at: isTime, settled_at: first.json.created_at },
    });
    const repeat = await bank.put('rent');
    expect([repeat.status, repeat.text]).toEqual([200, first.text]);
    expect((await bank.get('rent')).text).toBe(first.text);
    expect(await bank.totals()).toEqual({ charges: 1, returned: 0, references: 1, sums: { GBP: 10_000 } });
  });

  it('charges once when fifty equal requests arrive together', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => bank.put('together')));
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array<number>(49).fill(200), 201]);
    expect(new Set(answers.map(({ json }) => json.id)).size).toBe(1);
    expect((await bank.totals()).charges).toBe(1);
  });

  it.each([{ amount: 10_001 }, { currency: 'EUR' }, { creditor: 'ann' }])(
    'refuses a known reference with another body: %j',
    async changed => {
      await bank.put('rent');
      const answer = await bank.put('rent', changed);
      expect([answer.status, answer.json.error.code]).toEqual([409, 'reference_conflict']);
      expect((await bank.totals()).charges).toBe(1);
    },
  );

  it('says 404 to a reference it has never seen', async () => {
    const answer = await bank.get('never');
    expect([answer.status, answer.json.error.code]).toEqual([404, 'unknown_reference']);
  });

  it.each([
    ['amount', { amount: 0 }],
    ['amount', { amount: 1.5 }],
    ['amount', { amount: '100' }],
    ['amount', { amount: 2 ** 53 }],
    ['amount', { amount: undefined }],
    ['currency', { currency: 'gbp' }],
    ['currency', { currency: undefined }],
    ['creditor', { creditor: '' }],
    ['creditor', { creditor: 'x'.repeat(141) }],
    ['creditor', { creditor: null }],
    ['colour', { colour: 'red' }],
    ['body', { creditor: 'x'.repeat(20_000) }],
  ])('names the member that is wrong: %s in %j', async (member, changed) => {
    const { status, json } = await bank.put('wrong', changed);
    expect([status, json.error.code]).toEqual([400, 'invalid_request']);
    expect(json.error.message).toMatch(new RegExp(`^${member}: `));
    expect((await bank.totals()).charges).toBe(0);
  });

  it.each(['', '{', '[]', 'null', '7'])('refuses a body that is no JSON object: %j', async body => {
    const { status, json } = await bank.call('PUT', '/transfers/wrong', body);
    expect([status, json.error.message]).toEqual([400, expect.stringMatching(/^body: /)]);
  });

  it.each(['', 'a'.repeat(65), 'a.b', 'a%20b', 'a/b'])('refuses the reference %j', async reference => {
    for (const { status, json } of [await bank.put(reference), await bank.get(reference)]) {
      expect([status, json.error.message]).toEqual([400, expect.stringMatching(/^reference: /)]);
    }
  });

  it('takes references of 64 characters', async () => {
    expect((await bank.put('Az09_-' + 'a'.repeat(58))).status).toBe(201);
  });

  it('answers nobody without its key, and tells everybody that it is well', async () => {
    for (const apiKey of [null, '', 'wrong']) {
      for (const path of ['/transfers', '/transfers/a', '/control/books', '/nowhere']) {
        expect((await ask(bank.url, 'GET', path, { apiKey })).status).toBe(401);
      }
      const { status, json } = await ask(bank.url, 'GET', '/health', { apiKey });
      expect([status, json]).toEqual([200, { status: 'ok' }]);
    }
    expect((await ask(bank.url, 'PUT', '/transfers/a', { apiKey: 'wrong', body: order })).status).toBe(401);
    expect((await bank.totals()).charges).toBe(0);
  });

  it.each(['GET /', 'GET /nowhere', 'POST /transfers/a', 'DELETE /transfers', 'GET /control/nowhere'])(
    'does nothing by %s',
    async route => {
      const [method = '', path = ''] = route.split(' ');
      const { status, json } = await bank.call(method, path);
      // Not to be taken for "unknown_reference": a wrong address says nothing about a transfer.
      expect([status, json.error.code]).toEqual([404, 'not_found']);
    },
  );

  it('settles a transfer when its time has come', async () => {
    await bank.control('settings', { settle_ms: 150 });
    const first = await bank.put('later');
    expect([first.json.status, first.json.settled_at]).toEqual(['accepted', null]);
    await until(async () => (await bank.get('later')).json.status === 'settled');
    const { json } = await bank.get('later');
    expect(Date.parse(json.settled_at) - Date.parse(json.created_at)).toBeGreaterThanOrEqual(149);
    expect((await bank.put('later')).json).toEqual(json);
  });

  it('forgets a reference after its time, and then charges again', async () => {
    await bank.control('settings', { remembers_ms: 100 });
    const first = await bank.put('old');
    expect((await bank.get('old')).status).toBe(200);
    await until(async () => (await bank.get('old')).status === 404);
    const second = await bank.put('old', { amount: 7 });
    expect([second.status, second.json.id === first.json.id]).toEqual([201, false]);
    expect(await bank.totals()).toEqual({ charges: 2, returned: 0, references: 1, sums: { GBP: 10_007 } });
  });

  it('keeps a statement that can be read on from where one stopped', async () => {
    await bank.fault({ kind: 'returned', reference: 'b' });
    for (const reference of ['a', 'b', 'c']) await bank.put(reference);
    await bank.put('d', { creditor: 'dee' });
    const { bookings, next } = await bank.statement();
    expect(bookings[0]).toEqual({
      ...{ sequence: 1, kind: 'charge', reference: 'a', amount: 10_000, currency: 'GBP' },
      ...{ transfer_id: (await bank.get('a')).json.id, booked_at: isTime },
    });
    const read = bookings.map(booking => `${booking.kind} ${booking.reference}`);
    expect(read).toEqual(['charge a', 'charge b', 'return b', 'charge c']);
    expect(next).toBe(4);
    const page = await bank.statement('?since=1&limit=2');
    expect(page).toEqual({ bookings: bookings.slice(1, 3), next: 3 });
    expect(await bank.statement('?since=4')).toEqual({ bookings: [], next: 4 });
    expect(await bank.totals()).toEqual({ charges: 3, returned: 1, references: 3, sums: { GBP: 20_000 } });
  });

  it.each(['since=-1', 'since=x', 'limit=0', 'limit=1001', 'limit='])(
    'refuses a statement with %s',
    async query => {
      const { status, json } = await bank.call('GET', `/transfers?${query}`);
      expect([status, json.error.code]).toEqual([400, 'invalid_request']);
    },
  );

  it('carries out nothing for a caller that leaves in the middle of its request', async () => {
    const socket = connect(bank.port, '127.0.0.1');
    socket.write('PUT /transfers/half HTTP/1.1\r\nHost: bank\r\nAuthorization: Bearer bk_demo_paysam\r\n');
    socket.write('Content-Length: 50\r\n\r\n{"amount":1');
    await until(
      async () => (await bank.call('GET', '/control/requests?reference=half')).json.counts.PUT === 1,
    );
    socket.destroy();
    expect((await bank.get('half')).status).toBe(404);
  });

  it('answers later when it is slow that day, and has written its books by then', async () => {
    await bank.control('settings', { delay_ms: 150 });
    const started = performance.now();
    const slow = bank.put('slow');
    await until(async () => (await bank.totals()).charges === 1);
    expect((await slow).status).toBe(201);
    expect(performance.now() - started).toBeGreaterThanOrEqual(145);
  });
});

describe('a bank outside of tests', () => {
  it('lets nobody control it', async () => {
    const bank = await openBank({ control: false });
    expect((await bank.call('POST', '/control/faults', { kind: 'html' })).status).toBe(404);
    expect((await bank.call('GET', '/control/books')).status).toBe(404);
    await bank.stop();
  });
});

const isTime: unknown = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
