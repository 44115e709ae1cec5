import fc from 'fast-check';
import { judgeAnswer, judgeFailure } from './bank-answer.js';

const order = { reference: 'pay_1', amount: 10_000n, currency: 'GBP', creditor: 'sam' };
const transfer = {
  id: 'trf_1',
  reference: 'pay_1',
  amount: 10_000,
  currency: 'GBP',
  creditor: 'sam',
  status: 'accepted',
  decline: null as unknown,
  created_at: '2026-02-03T04:05:06.789Z',
  settled_at: null,
};
const declined = { ...transfer, status: 'declined', decline: { code: 'account_closed', message: 'Closed.' } };

function answer(status: number, body: unknown, { contentType = 'application/json', retryAfter = '' } = {}) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { status, contentType, retryAfter: retryAfter || undefined, body: Buffer.from(text) };
}
const error = (code: string) => ({ error: { code, message: 'A sentence.' } });
const judge = (method: 'GET' | 'PUT', ...given: Parameters<typeof answer>) =>
  judgeAnswer(method, answer(...given), order);

const methods = fc.constantFrom('GET' as const, 'PUT' as const);
const statuses = fc.integer({ min: 200, max: 599 });

describe('an answer of the bank', () => {
  it.each([
    ['PUT', 201, 'accepted'],
    ['PUT', 200, 'settled'],
    ['GET', 200, 'returned'],
  ] as const)('%s %i with our transfer is done: %s', (method, status, at) => {
    expect(judge(method, status, { ...transfer, status: at })).toEqual({
      kind: 'done',
      transfer: { id: 'trf_1', status: at },
    });
  });

  it.each([
    ['PUT', 422],
    ['PUT', 200],
    ['PUT', 201],
    ['GET', 200],
  ] as const)('%s %i with our transfer, declined, is a decline', (method, status) => {
    const verdict = { kind: 'declined', code: 'account_closed', message: 'Closed.' };
    expect(judge(method, status, declined)).toEqual(verdict);
  });

  const told = [
    ['GET', 404, 'unknown_reference', 'not_found'],
    ['GET', 404, 'no_such_page', 'unknown'],
    ['PUT', 404, 'unknown_reference', 'unknown'],
    ['PUT', 400, 'invalid_request', 'contradicted'],
    ['PUT', 409, 'reference_conflict', 'contradicted'],
    ['PUT', 409, 'in_progress', 'unknown'],
    ['PUT', 429, 'too_many_requests', 'unknown'],
    ['PUT', 500, 'internal', 'unknown'],
    ['GET', 503, 'unavailable', 'unknown'],
    ['PUT', 307, 'moved', 'unknown'],
    ['PUT', 401, 'unauthorized', 'not_sent'],
    ['GET', 403, 'forbidden', 'not_sent'],
  ] as const;
  it.each(told)('%s %i %s is %s', (method, status, code, kind) => {
    expect(judge(method, status, error(code)).kind).toBe(kind);
  });

  it('is contradicted by another reference, amount, currency or creditor, whatever else it says', () => {
    const other = fc.constantFrom(
      { reference: 'pay_2' },
      { amount: 10_001 },
      { currency: 'EUR' },
      { creditor: 'x' },
    );
    const said = fc.constantFrom(transfer, declined, { ...transfer, status: 'settled' });
    fc.assert(
      fc.property(fc.constantFrom(200, 201, 422), said, other, (status, base, change) => {
        const verdict = judge('PUT', status, { ...base, ...change });
        expect(verdict.kind).toBe('contradicted');
        expect(JSON.stringify(verdict)).toContain(Object.keys(change)[0]);
      }),
    );
  });

  it('is contradicted by itself where 422 comes with a transfer that is not declined', () => {
    expect(judge('PUT', 422, transfer).kind).toBe('contradicted');
  });

  it('is unknown where it is no JSON, whatever its status', () => {
    const bodies = fc.oneof(
      fc.string(),
      fc.constantFrom('', '<html>', '{"id":"trf_1",', 'null', '[]', '{}', '7'),
    );
    fc.assert(
      fc.property(
        methods,
        statuses,
        bodies,
        (method, status, body) => judge(method, status, body).kind === 'unknown',
      ),
    );
  });

  it('is unknown where it does not call itself JSON, whatever its status and body', () => {
    const types = fc.constantFrom(
      'text/html',
      'text/plain',
      'application/jsonp',
      'application/problem+json',
      '',
    );
    const bodies = fc.constantFrom(transfer, declined, error('invalid_request'), error('unauthorized'));
    fc.assert(
      fc.property(methods, statuses, types, bodies, (method, status, contentType, body) => {
        expect(judge(method, status, body, { contentType }).kind).toBe('unknown');
      }),
    );
    expect(judge('GET', 200, transfer, { contentType: 'Application/JSON; charset=utf-8' }).kind).toBe('done');
  });

  it('is done or declined only with every member there and of its kind', () => {
    const members = fc.constantFrom('id', 'reference', 'amount', 'currency', 'creditor', 'status');
    const nonsense = fc.oneof(
      fc.constantFrom(null, undefined, '', true, -1, 1.5, 2 ** 60, {}, []),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(methods, members, nonsense, (method, member, value) => {
        fc.pre(!/"[!-~]+"/.test(JSON.stringify(value ?? null)) && value !== 10_000);
        expect(['unknown', 'contradicted']).toContain(
          judge(method, 200, { ...transfer, [member]: value }).kind,
        );
      }),
    );
  });

  it('is no decline without its code, or with a message that no database could hold', () => {
    const wrong = [
      null,
      {},
      { code: 'x' },
      { code: 'x', message: 'NUL \0' },
      { code: 'x', message: 'half \ud800' },
    ];
    for (const decline of wrong) expect(judge('PUT', 422, { ...declined, decline }).kind).toBe('unknown');
  });

  it('says when to come back, in either form', () => {
    const now = Date.UTC(2026, 1, 3, 4, 5, 6);
    const asked = (retryAfter: string) =>
      judgeAnswer('PUT', answer(429, error('too_many_requests'), { retryAfter }), order, now);
    expect(asked('7')).toMatchObject({ retryAfterMs: 7_000 });
    expect(asked('Tue, 03 Feb 2026 04:05:09 GMT')).toMatchObject({ retryAfterMs: 3_000 });
  });

  it('holds amounts that a double cannot for a contradiction or unknown, never for done', () => {
    const large = { ...order, amount: 2n ** 53n + 1n };
    const body = `{"id":"trf_1","reference":"pay_1","amount":9007199254740993,"currency":"GBP","creditor":"sam","status":"accepted"}`;
    expect(judgeAnswer('PUT', answer(201, body), large).kind).toBe('unknown');
  });
});

describe('a request that came to no answer', () => {
  it('is not sent only where not one byte has left', () => {
    const failure = fc.record({
      isSent: fc.boolean(),
      isTimeout: fc.boolean(),
      blame: fc.constantFrom('bank' as const, 'us' as const),
      reason: fc.string(),
    });
    fc.assert(
      fc.property(failure, given => judgeFailure(given).kind === (given.isSent ? 'unknown' : 'not_sent')),
    );
  });
});
