import { createServer } from 'node:net';
import { Collision, Declined, NotSent, OutcomeUnknown, Refused, type PaySamError } from '../src/errors.js';
import { RetryBudget } from '../src/policy/retry-budget.js';
import { Caller, errorOf, paySam } from './support/caller.js';
import {
  answer,
  cutAfter,
  paid,
  paymentFor,
  problem,
  reset,
  silence,
  startScriptedServer,
  type Reply,
  type ScriptedServer,
} from './support/scripted-server.js';

describe('a payment over a network that does its worst', () => {
  let server: ScriptedServer;
  let alice: Caller;

  beforeAll(async () => {
    server = await startScriptedServer();
  });
  beforeEach(() => {
    alice = new Caller(server.url);
  });
  afterAll(() => server.stop());

  describe('an answer that is lost is asked for again, with the same bytes', () => {
    it.each<[string, Reply]>([
      ['the connection is reset before the answer', reset],
      ['the connection is reset in the middle of the headers', cutAfter(25, 'reset')],
      ['the connection is reset in the middle of the body', cutAfter(130, 'reset')],
      ['the body ends too soon', cutAfter(130, 'end')],
      [
        'the connection is closed without a word',
        socket => {
          socket.end();
        },
      ],
      ['200 and HTML', answer(200, '<html>Welcome to our hotel</html>', { 'content-type': 'text/html' })],
      ['200 and nothing', answer(200)],
      ['204', answer(204)],
      ['200 and another object', answer(200, { object: 'refund' })],
      [
        '200 and a payment under another key',
        (socket, { body }) => socket.write(answer(200, paymentFor({ key: 'another', body }))),
      ],
      ['402 without what was declined', problem(402, 'insufficient_funds')],
      ['what is no HTTP', 'SSH-2.0-OpenSSH_9.9\r\n'],
    ])('%s', async (_, reply) => {
      server.play(reply, paid({ 'request-id': 'r-2', 'idempotent-replayed': 'true' }));
      const { data, attempts, requestIds, replayed, idempotencyKey } = await alice.pay();

      expect(alice.exchanges()[0]).toEqual({ kind: 'broken' });
      expect(server.requests).toHaveLength(2);
      expect(new Set(server.requests.map(({ bytes }) => bytes)).size).toBe(1);
      expect(data).toMatchObject({ status: 'succeeded', idempotency_key: idempotencyKey });
      expect({ attempts, replayed, last: requestIds.at(-1) }).toEqual({
        attempts: 2,
        replayed: true,
        last: 'r-2',
      });
      expect(await alice.isRemembered()).toBe(false);
    });

    it('no answer in time, or one that comes a byte at a time', async () => {
      const dribble: Reply = socket => {
        const timer = setInterval(() => socket.write('H'), 20);
        socket.on('close', () => {
          clearInterval(timer);
        });
      };
      server.play(silence, dribble, paid());
      const { attempts } = await alice.pay({ attemptTimeoutMs: 150 });
      expect([attempts, alice.exchanges().map(({ kind }) => kind)]).toEqual([
        3,
        ['timed_out', expect.stringMatching(/timed_out|broken/), 'answered'],
      ]);
      expect(new Set(server.requests.map(({ bytes }) => bytes)).size).toBe(1);
    });

    it.each([
      ['503, without a word on retrying', answer(503, 'busy', { 'content-type': 'text/plain' })],
      ['408', problem(408, 'request_timeout')],
      ['429', problem(429, 'rate_limited')],
      ['409 in progress', problem(409, 'in_progress')],
      ['400 with Should-Retry: true', problem(400, 'invalid_request', { 'should-retry': 'true' })],
    ])('%s', async (_, reply) => {
      server.play(reply, paid());
      expect((await alice.pay()).attempts).toBe(2);
    });
  });

  describe('what is definitive ends the call', () => {
    it.each<[string, Reply, new (...args: never[]) => PaySamError, object]>([
      [
        '402',
        (socket, received) =>
          socket.write(
            problem(
              402,
              'insufficient_funds',
              {},
              { payment: { ...paymentFor(received), status: 'declined' } },
            ),
          ),
        Declined,
        { status: 402, code: 'insufficient_funds', payment: { status: 'declined' }, refund: null },
      ],
      [
        '409 collision_detected',
        problem(409, 'collision_detected', {}, { differs_in: ['amount'] }),
        Collision,
        { status: 409, differsIn: ['amount'] },
      ],
      [
        '422 collision_detected, in the profile of the draft',
        problem(422, 'collision_detected', {}, { differs_in: ['to'] }),
        Collision,
        { status: 422, differsIn: ['to'] },
      ],
      [
        '409 operation_cancelled',
        problem(409, 'operation_cancelled'),
        Refused,
        { code: 'operation_cancelled' },
      ],
      [
        '422',
        problem(422, 'unknown_payee'),
        Refused,
        { code: 'unknown_payee', remedy: 'Check `to` and send the request again, with the same key.' },
      ],
      [
        '400',
        problem(400, 'invalid_request', {}, { errors: [{ field: 'to', message: 'is needed' }] }),
        Refused,
        { errors: [{ field: 'to', message: 'is needed' }] },
      ],
      ['401', problem(401, 'unauthenticated'), Refused, { status: 401 }],
      [
        'a gateway’s own 402',
        answer(402, '{"code":"unpaid"}', { 'content-type': 'application/json' }),
        Refused,
        { status: 402, code: null, page: null },
      ],
      ['a code from the future', problem(422, 'moon_is_full'), Refused, { code: 'moon_is_full', remedy: '' }],
    ])('%s', async (_, reply, kind, members) => {
      server.play(reply);
      const error = await errorOf(alice.pay());
      expect(error).toBeInstanceOf(kind);
      expect(error).toMatchObject({ ...members, attempts: 1, idempotencyKey: server.requests[0]?.key });
      expect(await alice.isRemembered()).toBe(false);
    });

    it('names the page of the problem at the address that it called', async () => {
      server.play(problem(422, 'unknown_payee'));
      const error = await errorOf(alice.pay({ baseUrl: `${server.url}/v1/` }));
      expect(error).toMatchObject({ page: `${server.url}/v1/problems/unknown_payee` });
      expect(server.requests[0]?.bytes).toMatch(/^POST \/v1\/payments HTTP/);
    });

    it('a redirect is not followed, and nobody else sees the API key', async () => {
      const elsewhere = await startScriptedServer();
      elsewhere.play(paid());
      server.play(answer(307, '', { location: `${elsewhere.url}/payments` }));
      const error = await errorOf(alice.pay());
      expect(error).toBeInstanceOf(Refused);
      expect(error).toMatchObject({ status: 302, code: null, attempts: 1 });
      expect(elsewhere.connections).toBe(0);
      await elsewhere.stop();
    });

    it('nor where a fetch of one’s own hides it, as a browser does', async () => {
      const hidden = Object.defineProperty(Response.error(), 'type', { value: 'opaqueredirect' });
      const error = await errorOf(alice.pay({ fetch: () => Promise.resolve(hidden) }));
      expect(error).toBeInstanceOf(Refused);
      expect(error).toMatchObject({ status: 302, code: null, attempts: 1 });
    });
  });

  describe('a no that was said before the look at the key does not settle what was sent before', () => {
    it.each([
      ['400', problem(400, 'invalid_request')],
      ['401', problem(401, 'unauthenticated')],
      ['403', problem(403, 'forbidden')],
      ['404', problem(404, 'not_found')],
      ['415', problem(415, 'unsupported_media_type')],
      ['431, from the parser', answer(431)],
      ['302', answer(302, '', { location: '/login' })],
    ])('%s after a lost answer leaves the outcome unknown', async (_, no) => {
      server.play(reset, no);
      const error = await errorOf(alice.pay());
      expect(error).toBeInstanceOf(OutcomeUnknown);
      expect(error).toMatchObject({ why: 'refused', attempts: 2 });
      expect(error.cause).toBeInstanceOf(Refused);
      expect(error.message).toContain(server.requests[0]?.key);
      expect(await alice.isRemembered()).toBe(true);
    });

    it('a no after the look at the key does', async () => {
      server.play(reset, problem(422, 'unknown_payee'));
      expect(await errorOf(alice.pay())).toBeInstanceOf(Refused);
      expect(await alice.isRemembered()).toBe(false);
    });

    it('a server that wants no retry of its own failure leaves it unknown', async () => {
      server.play(answer(503, 'no', { 'should-retry': 'false' }));
      const error = await errorOf(alice.pay());
      expect(error).toBeInstanceOf(OutcomeUnknown);
      expect(error).toMatchObject({ why: 'refused', attempts: 1, problem: { status: 503, code: null } });
      expect(await alice.isRemembered()).toBe(true);
    });
  });

  describe('that nothing was sent is only said when it is certain', () => {
    const closedPort = async () => {
      const closed = createServer().listen(0, '127.0.0.1');
      await new Promise(resolve => closed.once('listening', resolve));
      const { port } = closed.address() as { port: number };
      await new Promise(resolve => closed.close(resolve));
      return port;
    };

    it.each([
      ['nobody listens', async () => `http://127.0.0.1:${await closedPort()}`],
      ['nobody listens at any of its addresses', async () => `http://localhost:${await closedPort()}`],
      ['there is no such host', async () => Promise.resolve('http://bank.invalid')],
    ])('where %s', async (_, url) => {
      const error = await errorOf(alice.pay({ baseUrl: await url() }));
      expect(error).toBeInstanceOf(NotSent);
      expect(error).toMatchObject({ why: 'attempts', attempts: 4, requestIds: [], headers: null });
      expect(await alice.isRemembered()).toBe(false);
    });

    it('where only 429 came back, with nothing done', async () => {
      server.play(problem(429, 'rate_limited'));
      const error = await errorOf(alice.pay());
      expect(error).toBeInstanceOf(NotSent);
      expect(error).toMatchObject({ problem: { code: 'rate_limited' } });
    });

    it('but not where something else listens that speaks no TLS', async () => {
      server.play(silence);
      const error = await errorOf(
        alice.pay({ baseUrl: server.url.replace('http', 'https'), attemptTimeoutMs: 200 }),
      );
      expect(error).toBeInstanceOf(OutcomeUnknown);
    });
  });

  describe('Retry-After', () => {
    it.each([
      ['in seconds', { 'retry-after': '7' }, 7_000],
      [
        'as a date',
        { 'retry-after': 'Thu, 01 Jan 2026 00:00:09 GMT', date: 'Thu, 01 Jan 2026 00:00:00 GMT' },
        9_000,
      ],
      [
        'as a date that has passed',
        { 'retry-after': 'Thu, 01 Jan 2026 00:00:00 GMT', date: 'Thu, 01 Jan 2026 00:00:09 GMT' },
        0,
      ],
      ['for an hour, which is bounded', { 'retry-after': '3600' }, 30_000],
      ['as nonsense', { 'retry-after': 'soon' }, 0],
      ['as a negative number', { 'retry-after': '-5' }, 0],
    ])('%s', async (_, headers, waitMs) => {
      server.play(problem(503, 'unavailable', headers), paid());
      await alice.pay({ backoff: { baseMs: 0 } });
      expect(alice.waits()).toMatchObject([{ waitMs, because: waitMs === 0 ? 'backoff' : 'retry_after' }]);
    });

    it('does not make a call outlive its deadline', async () => {
      server.play(problem(503, 'unavailable', { 'retry-after': '20' }));
      const error = await errorOf(alice.pay({ deadlineMs: 10_000 }));
      expect(error).toMatchObject({ name: 'OutcomeUnknown', why: 'deadline', attempts: 1 });
    });
  });

  describe('the bounds are shared', () => {
    it('all calls of a client spend one budget, and a call that finds it empty sends one request', async () => {
      server.play(problem(503, 'unavailable'));
      const budget = new RetryBudget({ capacity: 20 });
      const one = alice.client({ budget });
      const errors: PaySamError[] = [];
      for (let calls = 0; calls < 5; calls += 1) errors.push(await errorOf(one.payments.create(paySam)));
      expect(errors.map(({ attempts }) => attempts)).toEqual([4, 2, 1, 1, 1]);
      expect(errors.at(-1)).toMatchObject({ why: 'budget' });
      expect(budget.tokens).toBe(0);
    });

    it('an attempt outlasts the wait that the server was asked for', async () => {
      server.play((socket, received) => {
        setTimeout(() => socket.write(answer(200, paymentFor(received))), 300);
      });
      const { attempts } = await alice.client({ attemptTimeoutMs: 100 }).payments.create(paySam, {
        waitSeconds: 1,
      });
      expect(attempts).toBe(1);
      expect(server.requests[0]?.bytes).toContain('prefer: wait=1\r\n');
    });
  });
});
