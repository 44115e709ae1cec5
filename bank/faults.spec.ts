import { ask, endOf, openBank, order, until, type TestBank } from './testing/caller.js';

let bank: TestBank;
beforeEach(async () => {
  bank = await openBank();
});
afterEach(() => bank.stop());

const charges = async () => (await bank.totals()).charges;

describe('before anything is written', () => {
  it.each([
    ['error_before', {}, 500, 'unavailable', undefined],
    ['error_before', { status: 502 }, 502, 'unavailable', undefined],
    ['rate_limited', {}, 429, 'rate_limited', '1'],
    ['rate_limited', { retry_after: 'Wed, 21 Oct 2026 07:28:00 GMT' }, 429, 'rate_limited', /GMT$/],
    ['in_progress', {}, 409, 'in_progress', '1'],
  ])('%s %j', async (kind, more, status, code, retryAfter) => {
    await bank.fault({ kind, ...more });
    const answer = await bank.put('a');
    expect([answer.status, answer.json.error.code]).toEqual([status, code]);
    const told = answer.headers['retry-after'];
    if (retryAfter instanceof RegExp) expect(told).toMatch(retryAfter);
    else expect(told).toBe(retryAfter);
    expect(await charges()).toBe(0);
    expect((await bank.put('a')).status).toBe(201);
  });

  it('timeout_before', async () => {
    await bank.fault({ kind: 'timeout_before' });
    expect(await endOf(bank.put('a'))).toBe('ECONNRESET');
    expect(await charges()).toBe(0);
  });

  it('redirect', async () => {
    await bank.fault({ kind: 'redirect', location: 'http://127.0.0.1:9/elsewhere' });
    const { status, headers } = await bank.put('a');
    expect([status, headers.location]).toEqual([307, 'http://127.0.0.1:9/elsewhere']);
    expect(await charges()).toBe(0);
  });

  it('decline', async () => {
    await bank.fault({ kind: 'decline' });
    const { status, json } = await bank.put('a');
    expect([status, json.status, json.decline.code]).toEqual([422, 'declined', 'declined_by_test']);
    expect((await bank.put('a')).status).toBe(422);
    expect(await charges()).toBe(0);
  });
});

describe('after it has been charged', () => {
  afterEach(async () => {
    expect(await charges()).toBe(1);
    const truth = await bank.get('a');
    expect([truth.status, truth.json]).toEqual([200, expect.objectContaining({ reference: 'a', ...order })]);
  });

  it('timeout_after', async () => {
    await bank.fault({ kind: 'timeout_after' });
    expect(await endOf(bank.put('a'))).toBe('ECONNRESET');
  });

  it.each([
    [{}, 500],
    [{ status: 503 }, 503],
  ])('error_after %j', async (more, status) => {
    await bank.fault({ kind: 'error_after', ...more });
    expect((await bank.put('a')).status).toBe(status);
  });

  it.each([
    ['wrong_reference', { reference: 'somebody-elses' }],
    ['wrong_amount', { amount: 10_001 }],
    ['wrong_currency', { currency: 'EUR' }],
  ])('%s', async (kind, lie) => {
    await bank.fault({ kind, times: 2 });
    const put = await bank.put('a');
    expect([put.status, put.json]).toEqual([
      201,
      expect.objectContaining({ reference: 'a', ...order, ...lie }),
    ]);
    const got = await bank.get('a');
    expect([got.status, got.json]).toEqual([200, put.json]);
  });

  it('html', async () => {
    await bank.fault({ kind: 'html' });
    const { status, headers, text } = await bank.put('a');
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(text).toMatch(/^<!doctype html>/);
  });

  it('empty', async () => {
    await bank.fault({ kind: 'empty' });
    const { status, text } = await bank.put('a');
    expect([status, text]).toEqual([200, '']);
  });

  it('broken_json', async () => {
    await bank.fault({ kind: 'broken_json' });
    const { status, text, json } = await bank.put('a');
    expect([status, text.slice(0, 8), json]).toEqual([201, '{"id":"t', undefined]);
  });

  it('huge', async () => {
    await bank.fault({ kind: 'huge' });
    const { status, text, json } = await bank.put('a');
    expect([status, json.reference]).toEqual([201, 'a']);
    expect(text.length).toBeGreaterThan(5 * 1024 * 1024);
  });

  it('slow', async () => {
    await bank.fault({ kind: 'slow', delay_ms: 150 });
    const started = performance.now();
    expect((await bank.put('a')).status).toBe(201);
    expect(performance.now() - started).toBeGreaterThanOrEqual(145);
  });

  it('drip', async () => {
    await bank.fault({ kind: 'drip', delay_ms: 1 });
    let pieces = 0;
    const path = '/transfers/a';
    const { status, json } = await ask(bank.url, 'PUT', path, { body: order, onData: () => (pieces += 1) });
    expect([status, json.status]).toEqual([201, 'settled']);
    expect(pieces).toBeGreaterThan(50);
  });

  it('drip, at one byte a second, to a caller who leaves', async () => {
    await bank.fault({ kind: 'drip' });
    const leaving = new AbortController();
    let got = '';
    const onData = (text: string) => {
      got = text;
      setTimeout(() => {
        leaving.abort();
      }, 300);
    };
    const call = ask(bank.url, 'PUT', '/transfers/a', { body: order, signal: leaving.signal, onData });
    expect([await endOf(call), got]).toEqual(['ABORT_ERR', '{']);
  });

  it('reset_in_answer', async () => {
    await bank.fault({ kind: 'reset_in_answer' });
    let got = '';
    const onData = (text: string) => {
      got = text;
    };
    expect(await endOf(ask(bank.url, 'PUT', '/transfers/a', { body: order, onData }))).toBe('ECONNRESET');
    expect(got).toMatch(/^\{"id":"trf_[^}]+$/);
  });

  it('decline_despite_charge', async () => {
    await bank.fault({ kind: 'decline_despite_charge', times: 2 });
    for (const { status, json } of [await bank.put('a'), await bank.put('a')]) {
      expect([status, json.status, json.decline.code]).toEqual([422, 'declined', 'declined_by_test']);
    }
  });

  it('not_found', async () => {
    await bank.fault({ kind: 'not_found' });
    expect((await bank.put('a')).status).toBe(201);
    const answer = await bank.get('a');
    expect([answer.status, answer.json.error.code]).toEqual([404, 'unknown_reference']);
  });

  it('never_settles', async () => {
    await bank.fault({ kind: 'never_settles' });
    expect((await bank.put('a')).json.status).toBe('accepted');
    expect((await bank.get('a')).json).toMatchObject({ status: 'accepted', settled_at: null });
  });
});

describe('the books themselves', () => {
  it('forget: a known reference is new again, and charged again', async () => {
    await bank.put('a');
    await bank.fault({ kind: 'forget' });
    expect((await bank.put('a')).status).toBe(201);
    expect(await charges()).toBe(2);
    await bank.fault({ kind: 'forget', method: 'GET' });
    expect((await bank.get('a')).status).toBe(404);
    expect((await bank.get('a')).status).toBe(404);
  });

  it('double_charge: two charges, under one reference', async () => {
    await bank.fault({ kind: 'double_charge' });
    const { json } = await bank.put('a');
    expect((await bank.put('a')).json).toEqual(json);
    const { bookings } = await bank.statement();
    expect(bookings).toMatchObject([
      { kind: 'charge', reference: 'a', transfer_id: json.id },
      { kind: 'charge', reference: 'a', transfer_id: expect.not.stringMatching(json.id) as string },
    ]);
    expect(await bank.totals()).toMatchObject({ charges: 2, references: 1, sums: { GBP: 20_000 } });
  });

  it('returned: the charge is booked at once, the return when it would have settled', async () => {
    await bank.control('settings', { settle_ms: 100 });
    await bank.fault({ kind: 'returned' });
    expect((await bank.put('a')).json.status).toBe('accepted');
    expect((await bank.statement()).bookings).toMatchObject([{ kind: 'charge' }]);
    await until(async () => (await bank.get('a')).json.status === 'returned');
    const { settled_at, id } = (await bank.get('a')).json;
    for (let reads = 0; reads < 2; reads += 1) {
      expect((await bank.statement()).bookings).toMatchObject([
        { sequence: 1, kind: 'charge' },
        { sequence: 2, kind: 'return', transfer_id: id, amount: 10_000, booked_at: settled_at },
      ]);
    }
    expect(await bank.totals()).toEqual({ charges: 1, returned: 1, references: 1, sums: { GBP: 0 } });
  });
});

describe('a fault happens', () => {
  it('once, unless told otherwise, and then no more', async () => {
    await bank.fault({ kind: 'error_before', times: 2 });
    const statuses = [];
    for (let times = 0; times < 3; times += 1) statuses.push((await bank.put('a')).status);
    expect(statuses).toEqual([500, 500, 201]);
  });

  it('until it is removed', async () => {
    await bank.fault({ kind: 'error_before', times: 0 });
    for (let times = 0; times < 5; times += 1) expect((await bank.get('a')).status).toBe(500);
    expect((await bank.call('DELETE', '/control/faults')).status).toBe(204);
    expect((await bank.get('a')).status).toBe(404);
  });

  it('and it is told how often each has struck, also once it is over', async () => {
    const plan = async (body: object) => (await bank.control('faults', body)).json.id;
    const once = await plan({ kind: 'error_before' });
    const never = await plan({ kind: 'error_before', creditor: 'nobody' });
    for (let times = 0; times < 2; times += 1) await bank.put('a');
    await bank.call('DELETE', '/control/faults');
    expect((await bank.call('GET', '/control/faults')).json.struck).toEqual({ [once]: 1, [never]: 0 });
  });

  it('one after the other, the oldest first', async () => {
    await bank.fault({ kind: 'error_after', status: 502 });
    await bank.fault({ kind: 'decline_despite_charge' });
    const statuses = [];
    for (let times = 0; times < 3; times += 1) statuses.push((await bank.put('a')).status);
    expect(statuses).toEqual([502, 422, 200]);
  });

  it('to the reference, payee and method that is meant, and to no other', async () => {
    await bank.fault({ kind: 'error_before', status: 500, reference: 'a', times: 0 });
    await bank.fault({ kind: 'error_before', status: 502, creditor: 'eve', times: 0 });
    await bank.fault({ kind: 'error_before', status: 503, method: 'GET', times: 0 });
    const answers = [
      await bank.put('a'),
      await bank.put('b', { creditor: 'eve' }),
      await bank.put('c'),
      await bank.get('c'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([500, 502, 201, 503]);
  });

  it('to a look-up by payee, once the bank knows whose it is', async () => {
    await bank.fault({ kind: 'error_before', creditor: 'eve', method: 'GET' });
    await bank.put('a', { creditor: 'eve' });
    expect((await bank.get('a')).status).toBe(500);
  });

  it('only to calls it could go wrong with: others do not use it up', async () => {
    await bank.fault({ kind: 'not_found' });
    await bank.fault({ kind: 'wrong_amount' });
    expect((await bank.get('a')).json.error.code).toBe('unknown_reference');
    expect((await bank.put('a')).json.amount).toBe(10_001);
    expect((await bank.get('a')).status).toBe(404);
    expect((await bank.get('a')).status).toBe(200);
  });

  it('to the statement, if it is named', async () => {
    await bank.fault({ kind: 'error_before', times: 0 });
    expect((await bank.call('GET', '/transfers')).status).toBe(200);
    await bank.control('reset');
    await bank.fault({ kind: 'error_before', statement: true, times: 2 });
    expect((await bank.get('a')).status).toBe(500);
    expect((await bank.call('GET', '/transfers')).status).toBe(500);
    await bank.fault({ kind: 'reset_in_answer', statement: 'only' });
    expect((await bank.get('a')).status).toBe(404);
    expect(await endOf(bank.call('GET', '/transfers'))).toBe('ECONNRESET');
    expect((await bank.call('GET', '/transfers')).status).toBe(200);
  });

  it('instead of what the payee would do', async () => {
    await bank.fault({ kind: 'error_before', creditor: 'dee' });
    expect((await bank.put('a', { creditor: 'dee' })).status).toBe(500);
    expect((await bank.put('a', { creditor: 'dee' })).status).toBe(422);
  });

  it('and spoils no answer but its own', async () => {
    await bank.fault({ kind: 'huge' });
    await bank.fault({ kind: 'decline_despite_charge', creditor: 'eve' });
    expect((await bank.get('a')).text.length).toBeGreaterThan(5 * 1024 * 1024);
    expect((await bank.get('a')).text.length).toBeLessThan(200);
    await bank.put('a');
    expect((await bank.put('a', { creditor: 'eve' })).status).toBe(409);
  });

  it.each([
    ['kind', {}],
    ['kind', { kind: 'explode' }],
    ['kind', { kind: 'toString' }],
    ['times', { kind: 'html', times: -1 }],
    ['method', { kind: 'html', method: 'POST' }],
    ['status', { kind: 'error_after', status: 200 }],
    ['creditors', { kind: 'html', creditors: 'sam' }],
    ['location', { kind: 'redirect' }],
    ['delay_ms', { kind: 'slow' }],
  ])('never, if it is not understood: %s in %j', async (member, body) => {
    const { status, json } = await bank.control('faults', body);
    expect([status, json.error.message]).toEqual([400, expect.stringMatching(`^${member}: `)]);
    expect((await bank.put('a')).status).toBe(201);
  });
});

describe('the control endpoint', () => {
  it('logs every request about a transfer, and the answer, if one was sent', async () => {
    await bank.fault({ kind: 'timeout_after', method: 'PUT' });
    await endOf(bank.put('a'));
    await bank.get('a');
    await bank.put('b', { amount: -1 });
    const { requests, counts } = (await bank.call('GET', '/control/requests')).json;
    const at: unknown = expect.stringMatching(/Z$/);
    expect(requests).toEqual([
      { at, method: 'PUT', reference: 'a', status: null },
      { at, method: 'GET', reference: 'a', status: 200 },
      { at, method: 'PUT', reference: 'b', status: 400 },
    ]);
    expect(counts).toEqual({ PUT: 2, GET: 1 });
    const one = (await bank.call('GET', '/control/requests?reference=a')).json;
    expect([one.requests.length, one.counts]).toEqual([2, { PUT: 1, GET: 1 }]);
  });

  it('resets faults, barriers and log, and leaves the books alone', async () => {
    await bank.put('a');
    await bank.fault({ kind: 'error_before', times: 0 });
    const { id } = (await bank.control('barriers', { at: 'before' })).json;
    const held = bank.get('a');
    await bank.call('GET', `/control/barriers/${id}?wait_ms=2000`);
    expect((await bank.control('reset')).status).toBe(204);
    expect((await held).status).toBe(200);
    expect((await bank.put('a')).status).toBe(200);
    expect((await bank.call('GET', '/control/requests')).json.counts).toEqual({ PUT: 1, GET: 0 });
    expect(await charges()).toBe(1);
  });

  it.each([
    ['settle_ms', -1],
    ['delay_ms', 'x'],
    ['colour', 1],
  ])('changes no setting to nonsense: %s=%s', async (name, value) => {
    const { status, json } = await bank.control('settings', { [name]: value });
    expect([status, json.error.message]).toEqual([400, expect.stringMatching(`^${name}: `)]);
  });
});
