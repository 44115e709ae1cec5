import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Api } from '../support/api.js';
import type { Answer } from '../support/http.js';
import { isReplay } from '../support/scene.js';
import { hasEnded, setUpBankScene, type Fault } from './bank-scene.js';

/** What a bank can do to a payment. Only a yes or a no of the bank's ends it, whatever else happens. */
describe('an unknown outcome is not a failure', () => {
  const scene = setUpBankScene();
  let api: Api;

  beforeAll(async () => {
    api = await scene.boot();
  });

  const idOf = ({ json }: Answer) => ((json?.payment ?? json) as { id: string }).id;
  const expectReplay = async (first: Answer, key: string, body?: object) => {
    const repeat = await scene.pay(api, key, body);
    expect([repeat.status, repeat.text, isReplay(repeat)]).toEqual([first.status, first.text, true]);
  };

  describe('the test payees', () => {
    it.each(['sam', 'tim', 'nia', 'flo', 'rex', 'anybody-else'])(
      '%s is paid, and charged for once',
      async to => {
        const before = await scene.balanceOf('alice');
        const answer = await scene.payUntilAnswered(api, `to-${to}`, { to });

        expect([answer.status, answer.json]).toMatchObject([200, { status: 'succeeded', to, rail: 'bank' }]);
        expect(answer.json?.bank_transfer_id).toMatch(/^trf_/);
        expect(await scene.bank.charges(idOf(answer))).toEqual([{ amount: 100, currency: 'GBP' }]);
        expect(await scene.balanceOf('alice')).toEqual({ posted: before.posted - 100, pending: 0 });
        await expectReplay(answer, `to-${to}`, { to });
      },
    );

    it('dee is declined: nothing is charged, the money is free again, and a new key may try again (F63)', async () => {
      const before = await scene.balanceOf('alice');
      const first = await scene.pay(api, 'declined', { to: 'dee' });

      expect([first.status, first.json]).toMatchObject([
        402,
        {
          code: 'declined_by_bank',
          retryable: false,
          payment: { status: 'declined', to: 'dee', amount: 100, decline: { code: 'declined_by_bank' } },
        },
      ]);
      expect(first.headers.get('should-retry')).toBe('false');
      expect(await scene.bank.charges(idOf(first))).toEqual([]);
      expect(await scene.balanceOf('alice')).toEqual(before);
      await expectReplay(first, 'declined', { to: 'dee' });

      const again = await scene.pay(api, 'declined-again', { to: 'dee' });
      expect([again.status, idOf(again)]).toEqual([402, expect.not.stringContaining(idOf(first)) as string]);
      expect((await scene.pay(api, 'declined-then-paid')).status).toBe(200);
    });
  });

  /** Faults, and what the bank was then asked for: the reference stays the same, so its own log tells. */
  const whatGoesWrong: [id: string, what: string, faults: Fault[], conversation: string[]][] = [
    ['F49', 'it charges and never answers', [{ kind: 'timeout_after' }], ['PUT null', 'GET 200']],
    [
      'F50',
      'it never answers, and has not charged',
      [{ kind: 'timeout_before' }],
      ['PUT null', 'GET 404', 'PUT 201'],
    ],
    ['F51', '500, but it has charged', [{ kind: 'error_after' }], ['PUT 500', 'GET 200']],
    [
      'F52',
      '502 without charging',
      [{ kind: 'error_before', status: 502 }],
      ['PUT 502', 'GET 404', 'PUT 201'],
    ],
    [
      'F52',
      '503 again and again',
      [{ kind: 'error_before', status: 503, method: 'PUT', times: 3 }],
      ['PUT 503', 'GET 404', 'PUT 503', 'GET 404', 'PUT 503', 'GET 404', 'PUT 201'],
    ],
    ['F54', 'the connection breaks in mid-answer', [{ kind: 'reset_in_answer' }], ['PUT 201', 'GET 200']],
    ['F55', 'a byte a second', [{ kind: 'drip', delay_ms: 1_000 }], ['PUT 201', 'GET 200']],
    ['F56', 'a page instead of an answer', [{ kind: 'html' }], ['PUT 200', 'GET 200']],
    ['F56', 'an empty answer', [{ kind: 'empty' }], ['PUT 200', 'GET 200']],
    ['F56', 'broken JSON', [{ kind: 'broken_json' }], ['PUT 201', 'GET 200']],
    ['F56', 'an answer without end', [{ kind: 'huge' }], ['PUT 201', 'GET 200']],
    [
      'F60',
      'charged, and then it says that it has never heard of it',
      [{ kind: 'timeout_after' }, { kind: 'not_found' }],
      ['PUT null', 'GET 404', 'PUT 200'],
    ],
    ['F61', 'somebody is at it', [{ kind: 'in_progress' }], ['PUT 409', 'GET 404', 'PUT 201']],
    ['F62', 'too many requests', [{ kind: 'rate_limited' }], ['PUT 429', 'GET 404', 'PUT 201']],
    [
      'F64',
      'a decline after an approval that was never heard of',
      [{ kind: 'timeout_after' }, { kind: 'not_found' }, { kind: 'decline_despite_charge' }],
      ['PUT null', 'GET 404', 'PUT 422', 'GET 200'],
    ],
    [
      'F49',
      'silence, also when it is asked what became of it',
      [{ kind: 'timeout_after' }, { kind: 'timeout_before', method: 'GET' }],
      ['PUT null', 'GET null', 'GET 200'],
    ],
  ];

  it.each(whatGoesWrong)('%s: %s', async (id, what, faults, conversation) => {
    const key = `${id} ${what}`.replaceAll(/\W+/g, '-');
    await scene.fault(...faults);
    const first = await scene.pay(api, key);
    expect([200, 202]).toContain(first.status);
    const answer = first.status === 200 ? first : await scene.payUntilAnswered(api, key);

    expect([answer.status, answer.json]).toMatchObject([200, { status: 'succeeded', id: idOf(first) }]);
    expect((await scene.conversation(idOf(first))).slice(0, conversation.length)).toEqual(conversation);
    expect(await scene.bank.charges(idOf(first))).toEqual([{ amount: 100, currency: 'GBP' }]);
    await expectReplay(answer, key);
  });

  it.each(['timeout_before', 'error_before', 'rate_limited', 'in_progress'] as const)(
    'a decline is heard also after %s: no charge, no money held, and the same answer for ever (F63)',
    async kind => {
      const before = await scene.balanceOf('alice');
      const key = `declined-${kind}`;
      await scene.fault({ kind, method: 'PUT' });
      const answer = await scene.payUntilAnswered(api, key, { to: 'dee' });
      expect([answer.status, answer.json]).toMatchObject([402, { code: 'declined_by_bank' }]);
      // A request had been lost, so the decline is believed only once the books say it too.
      expect((await scene.conversation(idOf(answer))).slice(1)).toEqual(['GET 404', 'PUT 422', 'GET 200']);
      expect(await scene.bank.charges(idOf(answer))).toEqual([]);
      expect(await scene.balanceOf('alice')).toEqual(before);
      await expectReplay(answer, key, { to: 'dee' });
    },
  );

  it('money that the bank sends back is declined, and free again', async () => {
    const before = await scene.balanceOf('alice');
    await scene.fault({ kind: 'returned' });
    const answer = await scene.payUntilAnswered(api, 'returned');
    expect([answer.status, answer.json]).toMatchObject([402, { payment: { status: 'declined' } }]);
    expect(await scene.balanceOf('alice')).toEqual(before);
    await expectReplay(answer, 'returned');
  });

  it('the caller is told that it goes on, and the completer finds the charge (F49, F51)', async () => {
    const hasty = await scene.boot({ BANK_REQUESTS_MAX: '2' });
    await scene.fault({ kind: 'timeout_after' }, { kind: 'error_before', method: 'GET', times: 4 });
    const first = await scene.pay(hasty, 'found-by-the-completer');
    expect([first.status, first.json]).toMatchObject([202, { status: 'pending', bank_transfer_id: null }]);
    const { attempts } = await scene.untilRow('found-by-the-completer', hasEnded);

    expect(attempts).toBeGreaterThan(1);
    expect((await scene.conversation(idOf(first))).filter(line => line.startsWith('PUT'))).toEqual([
      'PUT null',
    ]);
    expect(await scene.bank.charges(idOf(first))).toHaveLength(1);
    const answer = await scene.pay(hasty, 'found-by-the-completer');
    expect([answer.status, answer.json, isReplay(answer)]).toMatchObject([
      200,
      { status: 'succeeded' },
      true,
    ]);
  });

  it.each([
    ['in seconds', () => '1', 100],
    ['as a date', () => new Date(Date.now() + 60_000).toUTCString(), 300],
    ['as nonsense', () => 'soon', 0],
  ])(
    '429 with Retry-After %s: waited for, within bounds, and no business of the caller’s (F62)',
    async (...row) => {
      const [how, retryAfter, waitMs] = row;
      const patient = await scene.boot({ BANK_BACKOFF_MAX_MS: String(Math.max(waitMs, 10)) });
      const key = `rate-limited-${how.replaceAll(' ', '-')}`;
      await scene.fault({ kind: 'rate_limited', retry_after: retryAfter(), times: 2 });
      const began = performance.now();
      const answer = await scene.pay(patient, key);
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([200, null]);
      // Two waits as long as it asked for, or as we allow; far from a minute, or from two seconds.
      expect(performance.now() - began).toBeGreaterThanOrEqual(2 * waitMs);
      expect(performance.now() - began).toBeLessThan(2 * waitMs + 1_500);
    },
  );

  it('429 for as long as the caller waits: 202, not 429 (F62)', async () => {
    await scene.fault({ kind: 'rate_limited', retry_after: '30', times: 0 });
    const first = await scene.pay(api, 'rate-limited-for-long');
    expect([first.status, first.headers.get('idempotency-status')]).toEqual([202, 'in_progress']);
    await scene.bank.control('DELETE', '/faults');
    expect((await scene.payUntilAnswered(api, 'rate-limited-for-long')).status).toBe(200);
  });

  it('a redirect is not followed, and our credentials go nowhere else (F65)', async () => {
    const visitors: string[] = [];
    const elsewhere = createServer((request, response) => {
      visitors.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      response.end();
    }).listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/transfers/x`;
    await scene.fault({ kind: 'redirect', location });
    const answer = await scene.payUntilAnswered(api, 'redirected');
    elsewhere.close();

    expect(visitors).toEqual([]);
    const conversation = await scene.conversation(idOf(answer));
    expect(conversation.slice(0, 3)).toEqual(['PUT 307', 'GET 404', 'PUT 201']);
    expect(await scene.bank.charges(idOf(answer))).toHaveLength(1);
  });

  it.each([
    ['nobody listens', () => 'http://127.0.0.1:9'],
    ['there is no such host', () => 'http://bank.invalid'],
    ['TLS fails', () => scene.bank.url.replace('http:', 'https:')],
  ])('where %s it was certainly not sent, and is sent as soon as somebody can (F66)', async (what, url) => {
    const key = what.replaceAll(' ', '-');
    const lost = await scene.boot({ BANK_URL: url(), WORKERS: 'elsewhere' });
    const requests = (kind: string) =>
      scene.metric(lost, `paysam_bank_requests_total{call="pay",kind="${kind}"}`);
    const [notSent, unknown] = [await requests('not_sent'), await requests('unknown')];

    const first = await scene.pay(lost, key);
    expect([first.status, first.json]).toMatchObject([202, { status: 'pending' }]);
    expect(await requests('unknown')).toBe(unknown);
    expect(await requests('not_sent')).toBeGreaterThan(notSent);
    const answer = await scene.payUntilAnswered(api, key);
    expect(answer.status).toBe(200);
    // Without a question first: it was known that nothing had been sent.
    expect((await scene.conversation(idOf(first)))[0]).toBe('PUT 201');
    expect(await scene.bank.charges(idOf(first))).toHaveLength(1);
  });
});
