import { randomUUID } from 'node:crypto';
import { problemExamples } from '../../src/http/problem-examples.js';
import { problems, type ProblemCode } from '../../src/http/problems.js';
import { patient, setUpBankScene } from '../promises/bank-scene.js';
import type { Api } from '../support/api.js';
import { call, rawRequest, type Answer } from '../support/http.js';

const order = { to: 'sam', amount: 100, currency: 'GBP', rail: 'ledger' };
const codes = Object.keys(problems) as ProblemCode[];

/** Headers that belong to a problem; the others are on every answer. */
const telling = /^(allow|www-authenticate|retry-after|idempotency-(key|status|expires)|should-retry)$/;

describe('errors teach', () => {
  const scene = setUpBankScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot(patient);
    await scene.database.addCustomer({ name: 'euro', currency: 'EUR' });
  });

  const pay = (key: string = randomUUID(), body: object | string = {}) =>
    scene.pay(api, key, ...((typeof body === 'string' ? [] : [{ ...order, ...body }]) as [object?]));
  const post = (body: string | object, headers: Record<string, string> = {}, at = api) =>
    call(`${at.url}/payments`, {
      apiKey: scene.alice.apiKey,
      body,
      headers: { 'idempotency-key': randomUUID(), ...headers },
    });
  const refund = (id: string, amount: number) =>
    call(`${api.url}/payments/${id}/refunds`, {
      apiKey: scene.alice.apiKey,
      key: randomUUID(),
      body: { amount },
    });

  /** Each refusal as the example of its page has it. */
  const provoke: Partial<Record<ProblemCode, () => Promise<Answer>>> = {
    malformed_json: () => post('{"to":'),
    invalid_request: () => post({ ...order, amount: '100', reference: 'x'.repeat(141) }),
    idempotency_key_missing: () => call(`${api.url}/payments`, { apiKey: scene.alice.apiKey, body: order }),
    idempotency_key_invalid: () => post(order, { 'idempotency-key': 'k'.repeat(300) }),
    unauthenticated: () => post(order, { authorization: 'Bearer sk_nobody' }),
    insufficient_funds: () => pay(randomUUID(), { amount: 99_000_000 }),
    declined_by_bank: () => pay(randomUUID(), { to: 'dee', rail: 'bank' }),
    forbidden: async () => {
      const reader = await scene.database.addCustomer({ name: `reader-${randomUUID()}`, scopes: ['read'] });
      return post(order, { authorization: `Bearer ${reader.apiKey}` });
    },
    not_found: () => call(`${api.url}/payments/${randomUUID()}`, { apiKey: scene.alice.apiKey }),
    method_not_allowed: () => call(`${api.url}/payments`, { method: 'DELETE', apiKey: scene.alice.apiKey }),
    collision_detected: async () => {
      const key = randomUUID();
      await pay(key);
      return pay(key, { amount: 101 });
    },
    in_progress: async () => {
      const key = randomUUID();
      const barrier = await scene.barrier('before');
      await scene.pay(api, key, {}, { prefer: 'respond-async' });
      await barrier.reached();
      const answer = await scene.pay(api, key);
      await barrier.release();
      return answer;
    },
    already_completed: async () => {
      const key = randomUUID();
      await pay(key);
      return scene.cancel(api, key);
    },
    operation_cancelled: async () => {
      const key = randomUUID();
      await scene.cancel(api, key);
      return pay(key);
    },
    body_too_large: () => post(' '.repeat(70_000)),
    unsupported_media_type: () => post('x', { 'content-type': 'text/plain' }),
    unknown_payee: () => pay(randomUUID(), { to: 'nobody' }),
    currency_mismatch: () => pay(randomUUID(), { to: 'euro' }),
    amount_above_limit: () => pay(randomUUID(), { amount: 100_000_001 }),
    refund_exceeds_payment: async () => {
      const paid = await pay();
      await refund(String(paid.json?.id), 60);
      return refund(String(paid.json?.id), 41);
    },
    rate_limited: async () => {
      const strict = await scene.boot({ REQUESTS_PER_SECOND_MAX: '1' });
      const headers = { authorization: `Bearer ${scene.alice.apiKey}` };
      await call(`${strict.url}/payments`, { headers });
      return call(`${strict.url}/payments`, { headers });
    },
    headers_too_large: () => {
      const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`x-${index}`, '1']));
      return post(order, many);
    },
  };

  it.each(Object.entries(provoke))('%s answers what its page shows', async (code, refused) => {
    const { detail, members, headers } = problemExamples[code as ProblemCode];
    const answer = await refused();
    expect([answer.status, answer.json?.code]).toEqual([problems[code as ProblemCode].status, code]);
    expect(withoutFigures(answer.json?.detail)).toBe(withoutFigures(detail));
    expect(Object.keys(answer.json ?? {}).sort()).toEqual(
      ['type', 'title', 'status', 'code', 'detail', 'retryable', ...Object.keys(members ?? {})].sort(),
    );
    if (code === 'invalid_request') expect(answer.json?.errors).toEqual(members?.errors);
    const shown = ['should-retry', ...Object.keys(headers ?? {}).map(name => name.toLowerCase())];
    for (const name of shown) expect([name, answer.headers.has(name)]).toEqual([name, true]);
    expect([...answer.headers.keys()].filter(name => telling.test(name)).sort()).toEqual(
      shown.filter(name => telling.test(name)).sort(),
    );
  });

  it('request_timeout answers what its page shows, to whoever never finishes', async () => {
    const hasty = await scene.boot({ REQUEST_TIMEOUT_MS: '300' });
    const port = Number(new URL(hasty.url).port);
    const text = await rawRequest(
      port,
      'POST /payments HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
      4_000,
    );
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(withoutFigures(text)).toContain(withoutFigures(problemExamples.request_timeout.detail));
    expect(text).toContain('should-retry: true');
  });

  /** What cannot be had from a healthy service; their own suites show them. */
  const elsewhere = ['request_timeout', 'internal', 'overloaded', 'unavailable'];
  it('no other problem is left out', () => {
    expect([...Object.keys(provoke), ...elsewhere].sort()).toEqual([...codes].sort());
  });

  describe('the page of a problem', () => {
    const page = (code: string) => call(`${api.url}/problems/${code}`);

    it.each(codes)('%s says what it means, when it occurs, what to do, and shows an example', async code => {
      const { status, text } = await page(code);
      expect(status).toBe(200);
      const headings = [...text.matchAll(/<h([12])>([^<]*)<\/h\1>/g)].map(([, , heading]) => heading);
      expect(headings).toEqual([
        problems[code].title,
        'What it means',
        'When it occurs',
        'What to do',
        'What it looks like',
        'All problems',
      ]);
      const { meaning, occurs, remedy } = problems[code];
      const plain = text.replace(/<\/?code>/g, '`');
      for (const sentence of [meaning, occurs, remedy]) expect(plain).toContain(`<p>${sentence}</p>`);
      expect(text).toContain(`HTTP/1.1 ${problems[code].status} `);
      expect(text).toContain(`Should-Retry: ${problems[code].retryable}`);
      expect(text).toContain(`"type": "/problems/${code}"`);
      expect(text).not.toMatch(/undefined|\[object/);
    });

    it('needs nothing from elsewhere, runs nothing, and its only style is known by its hash', async () => {
      const { headers, text } = await page('in_progress');
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; /,
      );
      expect(headers.get('content-security-policy')).not.toContain('unsafe');
      expect(text).not.toMatch(/<script|\son\w+=|\sstyle=|https?:|<img|<link|@import|url\(/);
    });

    it('holds nobody’s secrets, so it may be kept: the only answer that may', async () => {
      expect((await page('in_progress')).headers.get('cache-control')).toBe('public, max-age=3600');
      expect((await page('nonsense')).headers.get('cache-control')).toBe('no-store');
    });

    it('has words without markup, so that they can be shown as they are', () => {
      for (const code of codes) {
        const { title, meaning, occurs, remedy } = problems[code];
        expect(title + meaning + occurs + remedy + JSON.stringify(problemExamples[code])).not.toMatch(
          /[<>&]/,
        );
        expect(occurs).toMatch(/^[A-Z].*\.$/);
      }
    });
  });

  describe('a detail names the member, and the limit it broke', () => {
    const query = (path: string) => call(api.url + path, { apiKey: scene.alice.apiKey });

    it.each<[what: string, refused: () => Promise<Answer>, detail: RegExp]>([
      ['no payee', () => post({ ...order, to: undefined }), /^to: must be the id of an account/],
      ['a long payee', () => post({ ...order, to: 'x'.repeat(65) }), /^to: must have 1 to 64 characters/],
      ['a text', () => post({ ...order, amount: '1' }), /^amount: must be a whole number/],
      ['nothing', () => post({ ...order, amount: 0 }), /^amount: must not be less than 1/],
      ['too much', () => post({ ...order, amount: 100_000_001 }), /^amount: at most 100000000 minor units/],
      ['an unsafe number', () => post('{"amount":9007199254740993}'), /9007199254740993 cannot be held/],
      [
        'no code',
        () => post({ ...order, currency: 'gbp' }),
        /^currency: must be an ISO 4217 code in capitals/,
      ],
      ['no currency', () => post({ ...order, currency: 'QQQ' }), /^currency: is not a currency/],
      ['a rail', () => post({ ...order, rail: 'x' }), /^rail: must be "ledger" or "bank"/],
      ['a long line', () => post({ ...order, reference: 'x'.repeat(141) }), /^reference: must have 0 to 140/],
      ['unknown', () => post({ ...order, tip: 1 }), /^tip: this member is unknown/],
      ['named twice', () => post('{"to":"a","to":"b"}'), /the member "to" is there twice/],
      ['nested', () => post(`{"to":${'['.repeat(33)}${']'.repeat(33)}}`), /nested deeper than 32 levels/],
      ['no object', () => post('[]'), /^The body must be a JSON object/],
      ['empty', () => post(''), /it is empty/],
      ['a long body', () => post(' '.repeat(65_537)), /at most 65536 bytes/],
      [
        'a long key',
        () => post(order, { 'idempotency-key': 'k'.repeat(256) }),
        /256 characters; at most 255/,
      ],
      ['an empty key', () => post(order, { 'idempotency-key': '' }), /It is empty/],
      ['a blank key', () => post(order, { 'idempotency-key': 'a b' }), /visible ASCII/],
      ['somebody else’s account', () => post({ ...order, from: 'sam' }), /^from: you have no account/],
      ['nobody', () => post({ ...order, to: 'nobody' }), /^to: there is no account/],
      ['no yen', () => post({ ...order, currency: 'JPY' }), /^currency: you have no account in JPY/],
      ['a page of 0', () => query('/payments?limit=0'), /^limit: must not be less than 1/],
      ['a page of 101', () => query('/payments?limit=101'), /^limit: must not be greater than 100/],
      ['no cursor', () => query('/payments?after=1'), /^after: must be the `next` of an earlier page/],
      ['an unknown query', () => query('/payments?page=2'), /^page: this member is unknown/],
      ['a refund of nothing', () => refund(randomUUID(), 0), /^amount: must not be less than 1/],
      ['a broken path', () => query('/operations/%zz'), /^The path cannot be decoded: %/],
      ['another type', () => post(order, { 'content-type': 'text/json' }), /Send application\/json in UTF-8/],
    ])('%s', async (_, refused, detail) => {
      const { json } = await refused();
      expect(json?.detail).toMatch(detail);
      // For people: sentences of ours, and nothing of how they come about.
      expect(json?.detail).not.toMatch(/sql|exception|\bat \w+ \(|node_modules|undefined|\[object/i);
    });
  });
});

/** The figures of an example are its own. */
function withoutFigures(text: unknown): string {
  return String(text).replace(/\d+/g, '#');
}
