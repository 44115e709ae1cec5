import type { ServerResponse } from 'node:http';
import type { BankClient } from '../../src/bank/bank.client.js';
import {
  SmallBank,
  afterCharging,
  again,
  clientFor,
  error,
  first,
  late,
  order,
  patient,
  resets,
  says,
  silent,
  startTcp,
  watchBank,
  type Fault,
} from './small-bank.js';

const done = { kind: 'done', transfer: { id: 'trf_pay_1', status: 'accepted' } };

describe('only a decline is a failure', () => {
  let bank: SmallBank;
  let client: BankClient;
  beforeEach(async () => {
    bank = await SmallBank.start();
    client = clientFor(bank.url);
  });
  afterEach(async () => {
    await client.close();
    bank.stop();
  });

  it('pays with one request when all is well', async () => {
    expect(await client.pay(order, first)).toEqual(done);
    expect(bank.requests).toEqual(['PUT pay_1']);
    expect([...bank.keysSeen]).toEqual(['Bearer key-of-ours']);
  });

  it('is told of a decline, by the first answer and by the books', async () => {
    const declined = { kind: 'declined', code: 'account_closed', message: 'Dee is gone.' };
    expect(await client.pay({ ...order, creditor: 'dee' }, first)).toEqual(declined);
    expect(await client.pay({ ...order, creditor: 'dee' }, again)).toEqual(declined);
    expect(bank.requests).toEqual(['PUT pay_1', 'GET pay_1']);
  });

  /** The first line of a page of `bytes` bytes, that comes slowly. */
  const byteByByte: Fault = response => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write('{'), 50);
    response.once('close', () => {
      clearInterval(timer);
    });
  };
  const cutOff = (end: (response: ServerResponse) => void): Fault => {
    return response => {
      response.writeHead(201, { 'content-type': 'application/json', 'content-length': 300 });
      response.write('{"id":"trf_pay_1",');
      setTimeout(end, 20, response);
    };
  };
  const troubles: [string, Fault][] = [
    ['no answer at all', silent],
    ['an answer that comes a byte at a time', byteByByte],
    ['a reset instead of an answer', resets],
    ['a reset in mid-answer', cutOff(response => response.socket?.resetAndDestroy())],
    ['an answer that ends too soon', cutOff(response => response.socket?.end())],
    ['500', says(500, error('internal'))],
    ['502 with a page of HTML', says(502, '<html>Bad gateway</html>')],
    ['200 with a page of HTML', says(200, '<html>Welcome</html>')],
    [
      '200 with HTML that calls itself JSON',
      says(200, '<html></html>', { 'content-type': 'application/json' }),
    ],
    ['200 with nothing', says(200, '', { 'content-type': 'application/json' })],
    ['a refusal page of some proxy', says(403, '<html>Forbidden</html>')],
    ['an answer that is too large', says(201, { ...error('x'), padding: 'x'.repeat(10_000) })],
    ['409 in_progress', says(409, error('in_progress'))],
    ['429', says(429, error('too_many_requests'))],
  ];

  it.each(troubles)('asks after %s that hid a charge, and finds it', async (_, fault) => {
    bank.plan(afterCharging(fault));
    expect(await client.pay(order, first)).toEqual(done);
    expect(bank.requests).toEqual(['PUT pay_1', 'GET pay_1']);
    expect(bank.charges).toBe(1);
  });

  it.each(troubles)(
    'asks after %s that hid nothing, and sends the same reference again',
    async (_, fault) => {
      bank.plan(fault);
      expect(await client.pay(order, first)).toEqual(done);
      expect(bank.requests).toEqual(['PUT pay_1', 'GET pay_1', 'PUT pay_1']);
      expect(bank.charges).toBe(1);
    },
  );

  it.each(troubles)('knows nothing after %s without end, and says so in time', async (_, fault) => {
    bank.usual = fault;
    const began = Date.now();
    const answer = await client.pay(order, first);
    expect(answer.kind).toBe('unknown');
    expect(JSON.stringify(answer)).not.toMatch(/key-of-ours|pay_1/);
    expect(Date.now() - began).toBeLessThan(2_500);
    expect(bank.requests.length).toBeLessThanOrEqual(6);
  });

  it('follows no redirect: the other host hears nothing, least of all the key', async () => {
    const other = await SmallBank.start();
    bank.usual = says(307, '', { location: `${other.url}/transfers/pay_1` });
    expect((await client.pay(order, first)).kind).toBe('unknown');
    expect(other.requests).toEqual([]);
    other.stop();
  });

  it('stops reading an answer that has no end', async () => {
    let written = 0;
    const flood = await startTcp(socket => {
      socket.write(
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: keep-alive\r\ncontent-length: 900000000\r\n\r\n',
      );
      const pour = () => {
        while (!socket.destroyed && socket.write(Buffer.alloc(16_384, 32))) written += 16_384;
      };
      socket.on('drain', pour);
      socket.once('data', pour);
    });
    const flooded = clientFor(flood.url, { bankRequestsMax: 1 });
    expect((await flooded.pay(order, first)).kind).toBe('unknown');
    // What the kernel's buffers swallow does not count.
    expect(written).toBeLessThan(20_000_000);
    await flooded.close();
    flood.stop();
  });

  it('asks before it sends what may have been sent before', async () => {
    expect(await client.pay(order, again)).toEqual(done);
    expect(bank.requests).toEqual(['GET pay_1', 'PUT pay_1']);
    expect(await client.pay(order, again)).toEqual(done);
    expect(bank.requests.slice(2)).toEqual(['GET pay_1']);
  });

  it('never sends what the bank may have forgotten', async () => {
    const answer = await client.pay(order, { ...again, maySend: false });
    expect(answer).toEqual({
      kind: 'unknown',
      reason: 'the bank does not know it, and it is too late to send it',
    });
    expect(bank.requests).toEqual(['GET pay_1', 'GET pay_1']);
    // Nobody ever sent it: then it may be cancelled.
    const never = await client.pay(order, { ...first, maySend: false });
    expect(never.kind).toBe('not_sent');
    expect(bank.charges).toBe(0);
  });

  it('lets an approval win over a decline that came after an answer was lost', async () => {
    const declined = { ...order, amount: 10_000, id: 'trf_x', status: 'declined' };
    const decline = says(422, { ...declined, decline: { code: 'limit', message: 'No.' } });
    // The charge is hidden twice: by the lost answer, and by books that lag behind.
    bank.plan(afterCharging(silent), says(404, error('unknown_reference')), decline);
    expect(await client.pay(order, first)).toEqual(done);
    expect(bank.requests).toEqual(['PUT pay_1', 'GET pay_1', 'PUT pay_1', 'GET pay_1']);

    // The same where it was an earlier call that lost the answer.
    bank.plan(says(404, error('unknown_reference')), decline);
    expect(await client.pay(order, again)).toEqual(done);
  });

  it('believes a decline after a lost answer once the books say so', async () => {
    bank.plan(silent);
    const answer = await client.pay({ ...order, creditor: 'dee' }, first);
    expect(answer.kind).toBe('declined');
    expect(bank.requests).toEqual(['PUT pay_1', 'GET pay_1', 'PUT pay_1', 'GET pay_1']);
  });

  it('does not believe a decline after a lost answer while the books cannot be read', async () => {
    bank.plan(silent, says(404, error('unknown_reference')));
    bank.plan((response, process) => {
      bank.usual = says(503, error('unavailable'));
      const { status, body } = process();
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    expect((await client.pay({ ...order, creditor: 'dee' }, first)).kind).toBe('unknown');
  });

  it.each([
    [
      'another reference',
      says(200, { ...order, id: 'trf_9', amount: 10_000, status: 'settled', reference: 'pay_2' }),
    ],
    ['another amount', says(201, { ...order, id: 'trf_9', amount: 1, status: 'accepted' })],
    [
      'another currency',
      says(201, { ...order, id: 'trf_9', amount: 10_000, currency: 'EUR', status: 'accepted' }),
    ],
    ['a reference conflict', says(409, error('reference_conflict'))],
    ['a request it does not understand', says(400, error('invalid_request'))],
  ] as [string, Fault][])('guesses nothing when the bank speaks of %s', async (_, fault) => {
    bank.plan(fault);
    expect((await client.pay(order, first)).kind).toBe('contradicted');
    expect(bank.requests).toHaveLength(1);
  });

  it('waits, rather than parks, while the bank refuses our key: surely nothing was sent', async () => {
    bank.usual = says(401, error('unauthorized'));
    const answer = await client.pay(order, first);
    expect(answer).toEqual({
      kind: 'not_sent',
      reason: 'the bank answered 401 unauthorized: it refuses our API key',
    });
    expect(bank.requests).toHaveLength(1);
    // What an earlier call may have sent, it may have done; but this one has not added to the doubt.
    expect((await client.pay(order, again)).kind).toBe('not_sent');
  });

  it('says what became of each request, and neither key nor reference', async () => {
    const { events, stop } = watchBank();
    bank.plan(silent);
    await client.pay(order, first);
    await client.pay({ ...order, reference: 'pay_2', creditor: 'dee' }, first);
    stop();
    expect(events).toMatchObject([
      { call: 'pay', kind: 'unknown', reason: 'no answer within 700 ms' },
      { call: 'ask', kind: 'not_found' },
      { call: 'pay', kind: 'ok' },
      { call: 'pay', kind: 'declined' },
    ]);
    expect(JSON.stringify(events)).not.toMatch(/key-of-ours|pay_[12]/);
  });

  it('ends at once when its caller gives up, whatever it was doing', async () => {
    for (const usual of [silent, late(1_000), says(503, error('unavailable'), { 'retry-after': '9' })]) {
      bank.usual = usual;
      const slow = clientFor(bank.url, {
        bankRequestTimeoutMs: 5_000,
        bankTimeoutMs: 9_000,
        bankBackoffMaxMs: 5_000,
      });
      const caller = new AbortController();
      const answer = slow.pay(order, { ...first, signal: caller.signal });
      setTimeout(() => {
        caller.abort();
      }, 100);
      const began = Date.now();
      expect((await answer).kind).toBe('unknown');
      expect(Date.now() - began).toBeLessThan(900);
      await slow.close();
    }
    const gone = { ...first, signal: AbortSignal.abort() };
    bank.requests.length = 0;
    expect(await client.pay(order, gone)).toEqual({ kind: 'not_sent', reason: 'its caller gave up' });
    expect(bank.requests).toEqual([]);
  });

  it('keeps to a base path and spells references safely', async () => {
    const below = clientFor(`${bank.url}/v1/`);
    await below.pay({ ...order, reference: 'a/b?c' }, { ...first, signal: patient });
    expect(bank.requests[0]).toBe('PUT transfers');
    await below.close();
    await client.pay({ ...order, reference: 'a/b?c' }, first);
    expect(bank.requests.at(-1)).toBe('PUT a/b?c');
  });
});
