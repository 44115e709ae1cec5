import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import { systemClock } from '../src/clock.js';
import { NotSent, OutcomeUnknown, Refused, Unanswered } from '../src/errors.js';
import type { PaySamOptions } from '../src/options.js';
import { Caller, errorOf, paySam } from './support/caller.js';
import {
  answer,
  paid,
  paymentFor,
  problem,
  reset,
  startScriptedServer,
  type ScriptedServer,
} from './support/scripted-server.js';

describe('what a caller does, and what it is told', () => {
  let server: ScriptedServer;
  let alice: Caller;

  beforeAll(async () => {
    server = await startScriptedServer();
  });
  beforeEach(() => {
    alice = new Caller(server.url);
  });
  afterAll(() => server.stop());

  describe('the caller’s signal', () => {
    it('given before anything was sent: nothing is', async () => {
      server.play(paid());
      const error = await errorOf(
        alice.client().payments.create(paySam, { signal: AbortSignal.abort('changed my mind') }),
      );
      expect(error).toBeInstanceOf(NotSent);
      expect(error).toMatchObject({ why: 'aborted', attempts: 0, cause: 'changed my mind' });
      expect(server.requests).toEqual([]);
      expect(await alice.isRemembered()).toBe(false);
    });

    it('given while an attempt is under way: nobody knows', async () => {
      const giveUp = new AbortController();
      server.play(() => {
        giveUp.abort();
      });
      const error = await errorOf(alice.client().payments.create(paySam, { signal: giveUp.signal }));
      expect(error).toBeInstanceOf(OutcomeUnknown);
      expect(error).toMatchObject({ why: 'aborted', attempts: 1 });
      expect(await alice.isRemembered()).toBe(true);
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
        await errorOf(alice.client(options).payments.create(paySam, { signal: giveUp.signal }));
        await hungUp;
      },
    );

    it('given between two attempts: the wait ends at once', async () => {
      const giveUp = new AbortController();
      server.play(problem(503, 'unavailable', { 'retry-after': '20' }));
      const patient = alice.client({
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
      const many = alice.client({ attemptTimeoutMs: 60_000, clock: systemClock });
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
      const one = alice.client({ baseUrl: fresh.url, attemptTimeoutMs: 60_000 });
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
        await expect(alice.client().payments.create(wrong)).rejects.toThrow(TypeError);
        await expect(alice.client().refunds.create('p-1', wrong)).rejects.toThrow(TypeError);
        expect([server.requests, alice.events, await alice.isRemembered()]).toEqual([[], [], false]);
      },
    );

    it.each(['', ' ', 'a b', 'a,b', 'é', 'tab\t', 'x'.repeat(256), '.', '..', 17, null])(
      'key %p is not repaired',
      async key => {
        server.play(paid());
        const options = { idempotencyKey: key as string };
        const error = await errorOf(alice.client().payments.create(paySam, options));
        expect(error).toBeInstanceOf(TypeError);
        expect(server.requests).toEqual([]);
      },
    );

    it.each(['x', 'x'.repeat(255), '"quoted"', 'back\\slash', '!#$%&()*+-./:;<=>?@[]^_`{|}~', '...'])(
      'key %p arrives as it is',
      async key => {
        server.play((socket, { body }) => socket.write(answer(200, paymentFor({ key, body }))));
        const { idempotencyKey } = await alice.client().payments.create(paySam, { idempotencyKey: key });
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
      expect(() => alice.client(options)).toThrow(TypeError);
    });
  });

  describe('a question', () => {
    it('leaves no doubt behind: its last answer counts', async () => {
      server.play(reset, problem(404, 'not_found'));
      expect(await errorOf(alice.client().payments.get('p-1'))).toBeInstanceOf(Refused);
    });

    it('that got no answer says just that, without a key', async () => {
      server.play(reset);
      const error = await errorOf(alice.client().payments.get('p-1'));
      expect(error).toBeInstanceOf(Unanswered);
      expect(error).toMatchObject({ idempotencyKey: null, attempts: 4, why: 'attempts' });
      expect(server.requests[0]?.bytes).not.toMatch(/idempotency-key/i);
    });

    it('for a list asks for a page when it is needed, and for no more once the loop is left', async () => {
      const page = (ids: string[], next: string | null) =>
        answer(200, { object: 'list', data: ids.map(id => ({ object: 'payment', id })), next });
      server.play(page(['a', 'b'], 'b'), page(['c', 'd'], 'd'), page(['e'], null));
      const seen: string[] = [];
      for await (const { id } of alice.client().payments.list({ limit: 2 })) {
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
      const { data, attempts } = await alice.client({ attemptsMax: 1 }).operations.wait('order-17');
      expect([data.state, attempts]).toEqual(['completed', 5]);
    });

    it('ends with its deadline: the outcome is unknown', async () => {
      server.play(operation('in_progress', 30));
      const error = await errorOf(
        alice.client({ clock: systemClock }).operations.wait('order-17', { deadlineMs: 300 }),
      );
      expect(error).toMatchObject({ name: 'OutcomeUnknown', why: 'deadline', idempotencyKey: 'order-17' });
    });

    it('ends with a no', async () => {
      server.play(problem(404, 'not_found'));
      expect(await errorOf(alice.client().operations.wait('order-17'))).toBeInstanceOf(Refused);
    });
  });

  describe('what is told', () => {
    it('a listener that throws, at once or later, stops no payment', async () => {
      server.play(reset, paid());
      let told = 0;
      const { attempts } = await alice.pay({
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
      const { idempotencyKey } = await alice.pay();
      expect(alice.events.map(({ type }) => type)).toEqual([
        'attempt',
        'exchange',
        'wait',
        'attempt',
        'exchange',
        'end',
      ]);
      expect(new Set(alice.events.map(({ call }) => call)).size).toBe(1);
      expect(new Set(alice.events.map(event => event.idempotencyKey))).toEqual(new Set([idempotencyKey]));
    });

    it('the API key is in no event, no error, no entry, and not in the client as a log prints it', async () => {
      const leaky: typeof fetch = (url, init) =>
        Promise.reject(
          Object.assign(new TypeError(`could not send ${JSON.stringify(init)}`), {
            request: { url, init },
            cause: new Error(`authorization: Bearer ${alice.apiKey}`),
          }),
        );
      const one = alice.client({ fetch: leaky });
      const error = await errorOf(one.payments.create(paySam));
      server.play(problem(401, 'unauthenticated'));
      const other = await errorOf(alice.pay());
      const all = [error, other, alice.events, await alice.journal.unfinished(), one];
      const shown =
        inspect(all, { depth: 12, showHidden: true }) +
        JSON.stringify(all) +
        String(error.stack) +
        String(error.cause);
      expect(error).toBeInstanceOf(OutcomeUnknown);
      expect(shown).not.toContain(alice.apiKey);
    });
  });
});
