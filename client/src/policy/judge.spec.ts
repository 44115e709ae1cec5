import fc from 'fast-check';
import type { Exchange } from '../exchange.js';
import { judge } from './judge.js';

const answer = (status: number, code: string | null = null): Exchange => ({
  kind: 'answered',
  status,
  code,
  shouldRetry: null,
  retryAfterMs: null,
});

const notSent: Exchange = { kind: 'not_sent' };
const broken: Exchange = { kind: 'broken' };
const timedOut: Exchange = { kind: 'timed_out' };
const aborted: Exchange = { kind: 'aborted' };
const tooMany = answer(429, 'rate_limited');
const tooSlow = answer(408, 'request_timeout');

/** Which the server gives before it looks at the key. */
const unseen = [0, 301, 303, 308, 400, 401, 403, 404, 405, 413, 415, 431].map(status => answer(status));
/** Which it gives after it has looked. */
const seen = [
  answer(402, 'insufficient_funds'),
  answer(402, 'declined_by_bank'),
  answer(409, 'collision_detected'),
  answer(409, 'operation_cancelled'),
  answer(409, 'already_completed'),
  answer(422, 'unknown_payee'),
  // The profile of the IETF draft.
  answer(422, 'collision_detected'),
];
/** After which the payment may have been made. */
const doubtful = [
  broken,
  timedOut,
  aborted,
  answer(500, 'internal'),
  answer(502),
  answer(503, 'overloaded'),
  answer(503, 'unavailable'),
  answer(409, 'in_progress'),
  answer(409),
  answer(409, 'a_code_of_tomorrow'),
];
const harmless = [notSent, tooMany, tooSlow];
const results = [answer(200), answer(202), answer(299)];

const oneOf = (exchanges: readonly Exchange[]) => fc.constantFrom(...exchanges);
const manyOf = (exchanges: readonly Exchange[]) => fc.array(oneOf(exchanges), { maxLength: 5 });
const everything = [...unseen, ...seen, ...doubtful, ...harmless, ...results];
const first = { resumed: false };
const anyLife = fc.record({ resumed: fc.boolean() });

describe('what the exchanges of one call say about its payment', () => {
  it('a result is a result, whatever came before it', () => {
    fc.assert(
      fc.property(manyOf(everything), oneOf(results), anyLife, (earlier, last, life) => {
        expect(judge([...earlier, last], life)).toBe('answered');
      }),
    );
  });

  it('a no that comes after the look at the key is definitive, whatever came before it', () => {
    fc.assert(
      fc.property(manyOf(everything), oneOf(seen), anyLife, (earlier, last, life) => {
        expect(judge([...earlier, last], life)).toBe('refused');
      }),
    );
  });

  it('a no that comes before it is neither a refusal nor "not sent" where an earlier attempt may have paid', () => {
    fc.assert(
      fc.property(
        manyOf(everything),
        oneOf([...doubtful, ...results]),
        manyOf([...unseen, ...harmless]),
        oneOf([...unseen, ...harmless]),
        anyLife,
        (earlier, doubt, later, last, life) => {
          expect(judge([...earlier, doubt, ...later, last], life)).toBe('unknown');
        },
      ),
    );
  });

  it('a no that comes before it is neither where an earlier life of the process may have paid', () => {
    fc.assert(
      fc.property(manyOf([...unseen, ...harmless]), exchanges => {
        expect(judge(exchanges, { resumed: true })).toBe('unknown');
      }),
    );
  });

  it('a no that comes before it is a refusal where nothing earlier may have paid', () => {
    fc.assert(
      fc.property(manyOf(harmless), oneOf(unseen), (earlier, last) => {
        expect(judge([...earlier, last], first)).toBe('refused');
      }),
    );
  });

  it('nothing was done where nothing arrived, or all of it was turned away unread', () => {
    fc.assert(
      fc.property(manyOf(harmless), exchanges => {
        expect(judge(exchanges, first)).toBe('not_sent');
      }),
    );
  });

  it('whatever ends in doubt is unknown', () => {
    fc.assert(
      fc.property(manyOf(everything), oneOf(doubtful), anyLife, (earlier, last, life) => {
        expect(judge([...earlier, last], life)).toBe('unknown');
      }),
    );
  });

  it('an API key that is revoked after the payment was made does not undo the payment', () => {
    expect(judge([answer(401, 'unauthenticated')], first)).toBe('refused');
    expect(judge([timedOut, answer(401, 'unauthenticated')], first)).toBe('unknown');
    expect(judge([answer(401, 'unauthenticated')], { resumed: true })).toBe('unknown');
  });

  it.each([402, 409, 422])(
    'a %d without a code is not this server’s, and settles nothing that is open',
    status => {
      expect(judge([broken, answer(status)], first)).toBe('unknown');
    },
  );

  it.each([402, 422])('a %d without a code is a refusal like any other where nothing is open', status => {
    expect(judge([notSent, answer(status)], first)).toBe('refused');
  });

  it('a call whose caller gave up before the first attempt was not sent, unless it was once before', () => {
    expect(judge([], first)).toBe('not_sent');
    expect(judge([], { resumed: true })).toBe('unknown');
  });

  it.each<[number, ReturnType<typeof judge>]>([
    [199, 'refused'],
    [200, 'answered'],
    [299, 'answered'],
    [300, 'refused'],
    [499, 'refused'],
    [500, 'unknown'],
    [599, 'unknown'],
  ])('a lone %d is %s', (status, judgement) => {
    expect(judge([answer(status)], first)).toBe(judgement);
  });

  it('a code means something with its own status only', () => {
    expect(judge([broken, answer(400, 'collision_detected')], first)).toBe('unknown');
  });
});
