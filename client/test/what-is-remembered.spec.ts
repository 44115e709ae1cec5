import { systemClock } from '../src/clock.js';
import { Collision, OutcomeUnknown } from '../src/errors.js';
import type { Entry, Journal } from '../src/journal/journal.js';
import { MemoryJournal } from '../src/journal/memory-journal.js';
import { Caller, errorOf, paySam } from './support/caller.js';
import {
  answer,
  paid,
  paymentFor,
  problem,
  reset,
  startScriptedServer,
  type Reply,
  type ScriptedServer,
} from './support/scripted-server.js';

describe('what a client remembers', () => {
  let server: ScriptedServer;
  let alice: Caller;

  beforeAll(async () => {
    server = await startScriptedServer();
  });
  beforeEach(() => {
    alice = new Caller(server.url);
  });
  afterAll(() => server.stop());

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
      await alice.pay({ journal: careful });
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
      const error = await errorOf(alice.pay({ journal: full }));
      expect(error).toMatchObject({ name: 'NotSent', why: 'journal', attempts: 0 });
      expect(server.requests).toEqual([]);
    });

    const cannotForget = () => {
      alice.journal.close = () => Promise.reject(new Error('read-only file system'));
      alice.journal.withdraw = () => Promise.reject(new Error('read-only file system'));
    };

    it('that cannot forget a payment: the payment is told all the same', async () => {
      server.play(paid());
      cannotForget();
      expect((await alice.pay()).data.status).toBe('succeeded');
    });

    it.each([
      ['refused', problem(422, 'unknown_payee')],
      ['not sent', problem(429, 'rate_limited')],
    ])(
      'that cannot forget one that was %s: it may be sent later, so nobody is told that it is not done',
      async (_, reply) => {
        server.play(reply);
        cannotForget();
        expect(await errorOf(alice.pay())).toMatchObject({ name: 'OutcomeUnknown', why: 'journal' });
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
      const one = alice.client();
      const { data } = await one.payments.create(paySam, { idempotencyKey: key });
      expect([data.status, await alice.isRemembered()]).toEqual(['pending', true]);
      expect((await one.operations.get(key)).data.state).toBe('in_progress');
      expect(await alice.isRemembered()).toBe(true);
      expect((await one.operations.get(key)).data.state).toBe('completed');
      expect(await alice.isRemembered()).toBe(false);
    });

    it('has the key from an earlier call: then nothing but a stored answer settles it', async () => {
      const options = { idempotencyKey: 'order-18' };
      server.play(reset);
      await errorOf(alice.client().payments.create(paySam, options));
      // Another request by mistake: what became of the first is not known by that.
      server.play(problem(409, 'collision_detected'));
      expect(await errorOf(alice.client().payments.create({ ...paySam, amount: 1 }, options))).toBeInstanceOf(
        Collision,
      );
      expect(await alice.isRemembered()).toBe(true);
      // A server that is gone: it may have been there the first time.
      server.play(problem(429, 'rate_limited'));
      expect(await errorOf(alice.client().payments.create(paySam, options))).toBeInstanceOf(OutcomeUnknown);
      expect(await alice.isRemembered()).toBe(true);
      server.play(paid());
      await alice.client().payments.create(paySam, options);
      expect(await alice.isRemembered()).toBe(false);
    });
  });

  describe('resume', () => {
    it('sends the same bytes again, and forgets what is settled', async () => {
      server.play(reset);
      await errorOf(alice.pay());
      const first = server.requests[0]?.bytes;
      server.play(paid({ 'idempotent-replayed': 'true' }));
      const { resumed, skipped, unreadable } = await alice.client().resume();
      expect(server.requests.map(({ bytes }) => bytes)).toEqual([first]);
      expect(resumed).toMatchObject([{ result: { replayed: true, data: { status: 'succeeded' } } }]);
      expect([skipped, unreadable, await alice.isRemembered()]).toEqual([[], [], false]);
    });

    it.each<[string, Reply]>([
      ['a server that refuses the API key', problem(401, 'unauthenticated')],
      ['a server that turns everybody away', problem(429, 'rate_limited')],
      ['an address where nobody knows of payments', answer(404)],
    ])('%s settles nothing: it may have been paid in an earlier life', async (_, reply) => {
      server.play(reset);
      await errorOf(alice.pay());
      server.play(reply);
      const { resumed } = await alice.client().resume();
      expect(resumed).toMatchObject([{ error: { name: 'OutcomeUnknown' } }]);
      expect(await alice.isRemembered()).toBe(true);
    });

    it('a definitive no of the server’s settles it', async () => {
      server.play(reset);
      await errorOf(alice.pay());
      server.play(problem(409, 'operation_cancelled'));
      const { resumed } = await alice.client().resume();
      expect(resumed).toMatchObject([{ error: { name: 'Refused', code: 'operation_cancelled' } }]);
      expect(await alice.isRemembered()).toBe(false);
    });

    it('sends nothing in the name of another customer, or to another address', async () => {
      server.play(reset);
      await errorOf(alice.pay());
      server.play(paid());
      for (const options of [{ apiKey: 'sk_bob' }, { baseUrl: 'http://127.0.0.1:9' }]) {
        const { resumed, skipped } = await alice.client(options).resume();
        expect(resumed).toEqual([]);
        expect(skipped).toMatchObject([{ why: 'another_sender' }]);
      }
      expect([server.requests, await alice.isRemembered()]).toEqual([[], true]);
    });

    it('sends no more at a time than it was told, and one that fails stops no other', async () => {
      server.play(reset);
      await Promise.all(Array.from({ length: 10 }, () => errorOf(alice.pay({ attemptsMax: 1 }))));
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
      const { resumed } = await alice.client().resume({ concurrency: 3 });
      expect([resumed.length, most]).toEqual([10, 3]);
      const left = resumed.filter(({ error }) => error).map(({ entry }) => entry.key);
      expect((await alice.journal.unfinished()).map(({ key }) => key)).toEqual(left);
    });

    it('without a journal is a mistake', async () => {
      await expect(alice.client({ journal: undefined }).resume()).rejects.toThrow(TypeError);
    });
  });
});
