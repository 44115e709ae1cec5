import { getEventListeners } from 'node:events';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { systemClock, type Clock } from '../src/clock.js';
import {
  Collision,
  Declined,
  NotSent,
  OutcomeUnknown,
  PaySamError,
  Refused,
  Unanswered,
} from '../src/errors.js';
import type { ClientEvent } from '../src/events.js';
import type { Entry, Journal } from '../src/journal/journal.js';
import { MemoryJournal } from '../src/journal/memory-journal.js';
import type { PaySamOptions } from '../src/options.js';
import { PaySam } from '../src/pay-sam.js';
import { RetryBudget } from '../src/policy/retry-budget.js';
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

const apiKey = 'sk_secret_of_alice';
const paySam = { to: 'sam', amount: 100, currency: 'GBP' };

/** Attempts take their time; the waits between them take none. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() };

describe('a payment over a network that does its worst', () => {
  let server: ScriptedServer;
  let events: ClientEvent[];
  let journal: MemoryJournal;

  beforeAll(async () => {
    server = await startScriptedServer();
  });
  beforeEach(() => {
    events = [];
    journal = new MemoryJournal();
  });
  afterAll(() => server.stop());

  const client = (options: Partial<PaySamOptions> = {}) =>
    new PaySam({
      apiKey,
      baseUrl: server.url,
      journal,
      clock: impatient,
      onEvent: event => events.push(event),
      ...options,
    });
  const pay = (options: Partial<PaySamOptions> = {}) => client(options).payments.create(paySam);
  const errorOf = (work: Promise<unknown>): Promise<PaySamError> =>
    work.then(
      result => {
        throw new Error(`no error, but ${inspect(result)}`);
      },
      (error: unknown) => error as PaySamError,
    );
  const exchanges = () => events.flatMap(event => (event.type === 'exchange' ? [event.exchange] : []));
  const waits = () => events.flatMap(event => (event.type === 'wait' ? [event] : []));
  const isRemembered = async () => (await journal.unfinished()).length === 1;

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
      const { data, attempts, requestIds, replayed, idempotencyKey } = await pay();

      expect(exchanges()[0]).toEqual({ kind: 'broken' });
      expect(server.requests).toHaveLength(2);
      expect(new Set(server.requests.map(({ bytes }) => bytes)).size).toBe(1);
      expect(data).toMatchObject({ status: 'succeeded', idempotency_key: idempotencyKey });
      expect({ attempts, replayed, last: requestIds.at(-1) }).toEqual({
        attempts: 2,
        replayed: true,
        last: 'r-2',
      });
      expect(await isRemembered()).toBe(false);
    });

    it('no answer in time, or one that comes a byte at a time', async () => {
      const dribble: Reply = socket => {
        const timer = setInterval(() => socket.write('H'), 20);
        socket.on('close', () => {
          clearInterval(timer);
        });
      };
      server.play(silence, dribble, paid());
      const { attempts } = await pay({ attemptTimeoutMs: 150 });
      expect([attempts, exchanges().map(({ kind }) => kind)]).toEqual([
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
      expect((await pay()).attempts).toBe(2);
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
      const error = await errorOf(pay());
      expect(error).toBeInstanceOf(kind);
      expect(error).toMatchObject({ ...members, attempts: 1, idempotencyKey: server.requests[0]?.key });
      expect(await isRemembered()).toBe(false);
    });

    it('names the page of the problem at the address that it called', async () => {
      server.play(problem(422, 'unknown_payee'));
      const error = await errorOf(pay({ baseUrl: `${server.url}/v1/` }));
      expect(error).toMatchObject({ page: `${server.url}/v1/problems/unknown_payee` });
      expect(server.requests[0]?.bytes).toMatch(/^POST \/v1\/payments HTTP/);
    });

    it('a redirect is not followed, and nobody else sees the API key', async () => {
      const elsewhere = await startScriptedServer();
      elsewhere.play(paid());
      server.play(answer(307, '', { location: `${elsewhere.url}/payments` }));
      const error = await errorOf(pay());
      expect(error).toBeInstanceOf(Refused);
      expect(error).toMatchObject({ status: 302, code: null, attempts: 1 });
      expect(elsewhere.connections).toBe(0);
      await elsewhere.stop();
    });

    it('nor where a fetch of one’s own hides it, as a browser does', async () => {
      const hidden = Object.defineProperty(Response.error(), 'type', { value: 'opaqueredirect' });
      const error = await errorOf(pay({ fetch: () => Promise.resolve(hidden) }));
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
      const error = await errorOf(pay());
      expect(error).toBeInstanceOf(OutcomeUnknown);
      expect(error).toMatchObject({ why: 'refused', attempts: 2 });
      expect(error.cause).toBeInstanceOf(Refused);
      expect(error.message).toContain(server.requests[0]?.key);
      expect(await isRemembered()).toBe(true);
    });

    it('a no after the look at the key does', async () => {
      server.play(reset, problem(422, 'unknown_payee'));
      expect(await errorOf(pay())).toBeInstanceOf(Refused);
      expect(await isRemembered()).toBe(false);
    });

    it('a server that wants no retry of its own failure leaves it unknown', async () => {
      server.play(answer(503, 'no', { 'should-retry': 'false' }));
      const error = await errorOf(pay());
      expect(error).toBeInstanceOf(OutcomeUnknown);
      expect(error).toMatchObject({ why: 'refused', attempts: 1, problem: { status: 503, code: null } });
      expect(await isRemembered()).toBe(true);
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
      const error = await errorOf(pay({ baseUrl: await url() }));
      expect(error).toBeInstanceOf(NotSent);
      expect(error).toMatchObject({ why: 'attempts', attempts: 4, requestIds: [], headers: null });
      expect(await isRemembered()).toBe(false);
    });

    it('where only 429 came back, with nothing done', async () => {
      server.play(problem(429, 'rate_limited'));
      const error = await errorOf(pay());
      expect(error).toBeInstanceOf(NotSent);
      expect(error).toMatchObject({ problem: { code: 'rate_limited' } });
    });

    it('but not where something else listens that speaks no TLS', async () => {
      server.play(silence);
      const error = await errorOf(
        pay({ baseUrl: server.url.replace('http', 'https'), attemptTimeoutMs: 200 }),
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
      await pay({ backoff: { baseMs: 0 } });
      expect(waits()).toMatchObject([{ waitMs, because: waitMs === 0 ? 'backoff' : 'retry_after' }]);
    });

    it('does not make a call outlive its deadline', async () => {
      server.play(problem(503, 'unavailable', { 'retry-after': '20' }));
      const error = await errorOf(pay({ deadlineMs: 10_000 }));
      expect(error).toMatchObject({ name: 'OutcomeUnknown', why: 'deadline', attempts: 1 });
    });
  });

  describe('the caller’s signal', () => {
    it('given before anything was sent: nothing is', async () => {
      server.play(paid());
      const error = await errorOf(
        client().payments.create(paySam, { signal: AbortSignal.abort('changed my mind') }),
      );
      expect(error).toBeInstanceOf(NotSent);
      expect(error).toMatchObject({ why: 'aborted', attempts: 0, cause: 'changed my mind' });
      expect(server.requests).toEqual([]);
      expect(await isRemembered()).toBe(false);
    });

    it('given while an attempt is under way: nobody knows', async () => {
      const giveUp = new AbortController();
      server.play(() => {
        giveUp.abort();
      });
      const error = await errorOf(client().payments.create(paySam, { signal: giveUp.signal }));
      expect(error).toBeInstanceOf(OutcomeUnknown);
      expect(error).toMatchObject({ why: 'aborted', attempts: 1 });
      expect(await isRemembered()).toBe(true);
    });

    it.each<[string, Partial<PaySamOptions>, boolean]>([
      ['a time-out', { attemptTimeoutMs: 100, attemptsMax: 1 }, false],
      ['the caller’s signal', {}, true],
    ])(
      'or %s hangs up as well: no answer is left behind for the next request',
      async (_, options, isAborted) => {
        const giveUp = new AbortController();
        const hungUp = new Promise(resolve => {
          server.play(socket => {
            socket.once('close', resolve);
            if (isAborted) giveUp.abort();
          });
        });
        await errorOf(client(options).payments.create(paySam, { signal: giveUp.signal }));
        await hungUp;
      },
    );

    it('given between two attempts: the wait ends at once', async () => {
      const giveUp = new AbortController();
      server.play(problem(503, 'unavailable', { 'retry-after': '20' }));
      const patient = client({
        clock: systemClock,
        onEvent: ({ type }) => {
          if (type === 'wait') giveUp.abort();
        },
      });
      const error = await errorOf(patient.payments.create(paySam, { signal: giveUp.signal }));
      expect(error).toMatchObject({ name: 'OutcomeUnknown', why: 'aborted', attempts: 1 });
    });

    it('may be shared by a thousand calls at once: no warning, and nothing is left on it', async () => {
      const warnings: Error[] = [];
      const warn = (warning: Error) => warnings.push(warning);
      process.on('warning', warn);
      server.play(problem(503, 'unavailable'), paid());
      const { signal } = new AbortController();
      const many = client({ attemptTimeoutMs: 60_000, clock: systemClock });
      const results = await Promise.all(
        Array.from({ length: 1_000 }, () => many.payments.create(paySam, { signal })),
      );
      // Warnings are told in a later turn.
      await new Promise(resolve => setImmediate(resolve));
      process.off('warning', warn);
      expect(new Set(results.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1_000);
      expect(warnings).toEqual([]);
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    }, 60_000);

    it('aborted after a result does nothing to the connection, which the next call uses', async () => {
      const fresh = await startScriptedServer();
      fresh.play(paid());
      const one = client({ baseUrl: fresh.url, attemptTimeoutMs: 60_000 });
      for (let calls = 0; calls < 20; calls += 1) {
        const giveUp = new AbortController();
        await one.payments.create(paySam, { signal: giveUp.signal });
        giveUp.abort();
      }
      expect(fresh.requests).toHaveLength(20);
      // Node's pool now and then takes a second one before it knows that the first is free again.
      expect(fresh.connections).toBeLessThanOrEqual(2);
      await fresh.stop();
    });
  });

  describe('a mistake is told at once, and nothing is sent', () => {
    it.each([0.1, 1e21, Number.NaN, Infinity, 2 ** 53, '100', 100n, undefined, null])(
      'amount %p is not rounded',
      async amount => {
        server.play(paid());
        const wrong = { ...paySam, amount: amount as number };
        await expect(client().payments.create(wrong)).rejects.toThrow(TypeError);
        await expect(client().refunds.create('p-1', wrong)).rejects.toThrow(TypeError);
        expect([server.requests, events, await isRemembered()]).toEqual([[], [], false]);
      },
    );

    it.each(['', ' ', 'a b', 'a,b', 'é', 'tab\t', 'x'.repeat(256), '.', '..', 17, null])(
      'key %p is not repaired',
      async key => {
        server.play(paid());
        const options = { idempotencyKey: key as string };
        const error = await errorOf(client().payments.create(paySam, options));
        expect(error).toBeInstanceOf(TypeError);
        expect(server.requests).toEqual([]);
      },
    );

    it.each(['x', 'x'.repeat(255), '"quoted"', 'back\\slash', '!#$%&()*+-./:;<=>?@[]^_`{|}~', '...'])(
      'key %p arrives as it is',
      async key => {
        server.play((socket, { body }) => socket.write(answer(200, paymentFor({ key, body }))));
        const { idempotencyKey } = await client().payments.create(paySam, { idempotencyKey: key });
        expect(idempotencyKey).toBe(key);
        expect(server.requests[0]?.bytes).toContain(`idempotency-key: ${JSON.stringify(key)}\r\n`);
      },
    );

    it.each<[string, Partial<PaySamOptions>]>([
      ['no API key', { apiKey: '' }],
      ['an API key with a line end', { apiKey: 'sk_1\n' }],
      ['no address', { baseUrl: 'pay.example' }],
      ['another protocol', { baseUrl: 'ftp://pay.example' }],
      ['an address with credentials', { baseUrl: 'https://me:secret@pay.example' }],
      ['an address with a query', { baseUrl: 'https://pay.example?x=1' }],
      ['no attempt at all', { attemptsMax: 0 }],
      ['half an attempt', { attemptsMax: 1.5 }],
      ['no time', { attemptTimeoutMs: 0 }],
      ['more time than a timer has', { attemptTimeoutMs: 2 ** 31 }],
      ['no time at all', { deadlineMs: Number.NaN }],
    ])('%s', (_, options) => {
      expect(() => client(options)).toThrow(TypeError);
    });
  });

  describe('the journal', () => {
    it('has the request before its first byte is sent, and its bytes are the ones that are sent', async () => {
      const opened: Entry[] = [];
      let sentWhenOpened = -1;
      const careful: Journal = {
        open: async entry => {
          await systemClock.sleep(20);
          sentWhenOpened = server.requests.length;
          opened.push(entry);
          return true;
        },
        close: () => Promise.resolve(),
        adopt: () => Promise.resolve(true),
        withdraw: () => Promise.resolve(true),
        unfinished: () => Promise.resolve(opened),
      };
      server.play(paid());
      await pay({ journal: careful });
      expect(sentWhenOpened).toBe(0);
      expect(opened).toMatchObject([
        {
          operation: 'payment',
          path: '/payments',
          body: server.requests[0]?.body,
          key: server.requests[0]?.key,
        },
      ]);
      expect(opened[0]?.sender).toMatch(new RegExp(`^${server.url}#[0-9a-f]{32}$`));
    });

    it('that cannot keep it: nothing is sent', async () => {
      server.play(paid());
      const full = new MemoryJournal();
      full.open = () => Promise.reject(new Error('no space left on device'));
      const error = await errorOf(pay({ journal: full }));
      expect(error).toMatchObject({ name: 'NotSent', why: 'journal', attempts: 0 });
      expect(server.requests).toEqual([]);
    });

    const cannotForget = () => {
      journal.close = () => Promise.reject(new Error('read-only file system'));
      journal.withdraw = () => Promise.reject(new Error('read-only file system'));
    };

    it('that cannot forget a payment: the payment is told all the same', async () => {
      server.play(paid());
      cannotForget();
      expect((await pay()).data.status).toBe('succeeded');
    });

    it.each([
      ['refused', problem(422, 'unknown_payee')],
      ['not sent', problem(429, 'rate_limited')],
    ])(
      'that cannot forget one that was %s: it may be sent later, so nobody is told that it is not done',
      async (_, reply) => {
        server.play(reply);
        cannotForget();
        expect(await errorOf(pay())).toMatchObject({ name: 'OutcomeUnknown', why: 'journal' });
      },
    );

    it('keeps a pending payment, until somebody learns how it ended', async () => {
      const key = 'order-17';
      const operation = { object: 'operation', key, state: 'completed', retry_after: null };
      server.play(
        (socket, received) => socket.write(answer(202, { ...paymentFor(received), status: 'pending' })),
        answer(200, { ...operation, state: 'in_progress', retry_after: 1 }),
        answer(503),
        answer(200, operation),
      );
      const one = client();
      const { data } = await one.payments.create(paySam, { idempotencyKey: key });
      expect([data.status, await isRemembered()]).toEqual(['pending', true]);
      expect((await one.operations.get(key)).data.state).toBe('in_progress');
      expect(await isRemembered()).toBe(true);
      expect((await one.operations.get(key)).data.state).toBe('completed');
      expect(await isRemembered()).toBe(false);
    });

    it('has the key from an earlier call: then nothing but a stored answer settles it', async () => {
      const options = { idempotencyKey: 'order-18' };
      server.play(reset);
      await errorOf(client().payments.create(paySam, options));
      // Another request by mistake: what became of the first is not known by that.
      server.play(problem(409, 'collision_detected'));
      expect(await errorOf(client().payments.create({ ...paySam, amount: 1 }, options))).toBeInstanceOf(
        Collision,
      );
      expect(await isRemembered()).toBe(true);
      // A server that is gone: it may have been there the first time.
      server.play(problem(429, 'rate_limited'));
      expect(await errorOf(client().payments.create(paySam, options))).toBeInstanceOf(OutcomeUnknown);
      expect(await isRemembered()).toBe(true);
      server.play(paid());
      await client().payments.create(paySam, options);
      expect(await isRemembered()).toBe(false);
    });
  });

  describe('resume', () => {
    it('sends the same bytes again, and forgets what is settled', async () => {
      server.play(reset);
      await errorOf(pay());
      const first = server.requests[0]?.bytes;
      server.play(paid({ 'idempotent-replayed': 'true' }));
      const { resumed, skipped, unreadable } = await client().resume();
      expect(server.requests.map(({ bytes }) => bytes)).toEqual([first]);
      expect(resumed).toMatchObject([{ result: { replayed: true, data: { status: 'succeeded' } } }]);
      expect([skipped, unreadable, await isRemembered()]).toEqual([[], [], false]);
    });

    it.each<[string, Reply]>([
      ['a server that refuses the API key', problem(401, 'unauthenticated')],
      ['a server that turns everybody away', problem(429, 'rate_limited')],
      ['an address where nobody knows of payments', answer(404)],
    ])('%s settles nothing: it may have been paid in an earlier life', async (_, reply) => {
      server.play(reset);
      await errorOf(pay());
      server.play(reply);
      const { resumed } = await client().resume();
      expect(resumed).toMatchObject([{ error: { name: 'OutcomeUnknown' } }]);
      expect(await isRemembered()).toBe(true);
    });

    it('a definitive no of the server’s settles it', async () => {
      server.play(reset);
      await errorOf(pay());
      server.play(problem(409, 'operation_cancelled'));
      const { resumed } = await client().resume();
      expect(resumed).toMatchObject([{ error: { name: 'Refused', code: 'operation_cancelled' } }]);
      expect(await isRemembered()).toBe(false);
    });

    it('sends nothing in the name of another customer, or to another address', async () => {
      server.play(reset);
      await errorOf(pay());
      server.play(paid());
      for (const options of [{ apiKey: 'sk_bob' }, { baseUrl: 'http://127.0.0.1:9' }]) {
        const { resumed, skipped } = await client(options).resume();
        expect(resumed).toEqual([]);
        expect(skipped).toMatchObject([{ why: 'another_sender' }]);
      }
      expect([server.requests, await isRemembered()]).toEqual([[], true]);
    });

    it('sends no more at a time than it was told, and one that fails stops no other', async () => {
      server.play(reset);
      await Promise.all(Array.from({ length: 10 }, () => errorOf(pay({ attemptsMax: 1 }))));
      let underWay = 0;
      let most = 0;
      server.play((socket, received) => {
        underWay += 1;
        most = Math.max(most, underWay);
        setTimeout(() => {
          underWay -= 1;
          const isOdd = received.key.charCodeAt(35) % 2 === 1;
          socket.write(isOdd ? answer(401) : answer(200, paymentFor(received)));
        }, 20);
      });
      const { resumed } = await client().resume({ concurrency: 3 });
      expect([resumed.length, most]).toEqual([10, 3]);
      const left = resumed.filter(({ error }) => error).map(({ entry }) => entry.key);
      expect((await journal.unfinished()).map(({ key }) => key)).toEqual(left);
    });

    it('without a journal is a mistake', async () => {
      await expect(client({ journal: undefined }).resume()).rejects.toThrow(TypeError);
    });
  });

  describe('a question', () => {
    it('leaves no doubt behind: its last answer counts', async () => {
      server.play(reset, problem(404, 'not_found'));
      expect(await errorOf(client().payments.get('p-1'))).toBeInstanceOf(Refused);
    });

    it('that got no answer says just that, without a key', async () => {
      server.play(reset);
      const error = await errorOf(client().payments.get('p-1'));
      expect(error).toBeInstanceOf(Unanswered);
      expect(error).toMatchObject({ idempotencyKey: null, attempts: 4, why: 'attempts' });
      expect(server.requests[0]?.bytes).not.toMatch(/idempotency-key/i);
    });

    it('for a list asks for a page when it is needed, and for no more once the loop is left', async () => {
      const page = (ids: string[], next: string | null) =>
        answer(200, { object: 'list', data: ids.map(id => ({ object: 'payment', id })), next });
      server.play(page(['a', 'b'], 'b'), page(['c', 'd'], 'd'), page(['e'], null));
      const seen: string[] = [];
      for await (const { id } of client().payments.list({ limit: 2 })) {
        seen.push(id);
        if (id === 'c') break;
      }
      expect(seen).toEqual(['a', 'b', 'c']);
      expect(server.requests.map(({ bytes }) => bytes.split(' ')[1])).toEqual([
        '/payments?limit=2',
        '/payments?limit=2&after=b',
      ]);
    });
  });

  describe('waiting for an operation', () => {
    const operation = (state: string, retryAfter: number | null) =>
      answer(200, { object: 'operation', key: 'order-17', state, retry_after: retryAfter });

    it('goes on through an outage, and ends when it is settled', async () => {
      server.play(
        operation('in_progress', 1),
        reset,
        reset,
        operation('parked', null),
        operation('completed', null),
      );
      const { data, attempts } = await client({ attemptsMax: 1 }).operations.wait('order-17');
      expect([data.state, attempts]).toEqual(['completed', 5]);
    });

    it('ends with its deadline: the outcome is unknown', async () => {
      server.play(operation('in_progress', 30));
      const error = await errorOf(
        client({ clock: systemClock }).operations.wait('order-17', { deadlineMs: 300 }),
      );
      expect(error).toMatchObject({ name: 'OutcomeUnknown', why: 'deadline', idempotencyKey: 'order-17' });
    });

    it('ends with a no', async () => {
      server.play(problem(404, 'not_found'));
      expect(await errorOf(client().operations.wait('order-17'))).toBeInstanceOf(Refused);
    });
  });

  describe('what is told', () => {
    it('a listener that throws, at once or later, stops no payment', async () => {
      server.play(reset, paid());
      let told = 0;
      const { attempts } = await pay({
        onEvent: () => {
          told += 1;
          if (told % 2 === 0) return Promise.reject(new Error('the log is full')) as unknown as undefined;
          throw new Error('the log is full');
        },
      });
      expect([attempts, told]).toEqual([2, 6]);
    });

    it('one call’s events belong together, and tell the whole story', async () => {
      server.play(reset, paid({ 'request-id': 'r-2' }));
      const { idempotencyKey } = await pay();
      expect(events.map(({ type }) => type)).toEqual([
        'attempt',
        'exchange',
        'wait',
        'attempt',
        'exchange',
        'end',
      ]);
      expect(new Set(events.map(({ call }) => call)).size).toBe(1);
      expect(new Set(events.map(event => event.idempotencyKey))).toEqual(new Set([idempotencyKey]));
    });

    it('the API key is in no event, no error, no entry, and not in the client as a log prints it', async () => {
      const leaky: typeof fetch = (url, init) =>
        Promise.reject(
          Object.assign(new TypeError(`could not send ${JSON.stringify(init)}`), {
            request: { url, init },
            cause: new Error(`authorization: Bearer ${apiKey}`),
          }),
        );
      const one = client({ fetch: leaky });
      const error = await errorOf(one.payments.create(paySam));
      server.play(problem(401, 'unauthenticated'));
      const other = await errorOf(pay());
      const all = [error, other, events, await journal.unfinished(), one];
      const shown =
        inspect(all, { depth: 12, showHidden: true }) +
        JSON.stringify(all) +
        String(error.stack) +
        String(error.cause);
      expect(error).toBeInstanceOf(OutcomeUnknown);
      expect(shown).not.toContain(apiKey);
    });
  });

  describe('the bounds are shared', () => {
    it('all calls of a client spend one budget, and a call that finds it empty sends one request', async () => {
      server.play(problem(503, 'unavailable'));
      const budget = new RetryBudget({ capacity: 20 });
      const one = client({ budget });
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
      const { attempts } = await client({ attemptTimeoutMs: 100 }).payments.create(paySam, {
        waitSeconds: 1,
      });
      expect(attempts).toBe(1);
      expect(server.requests[0]?.bytes).toContain('prefer: wait=1\r\n');
    });
  });
});
