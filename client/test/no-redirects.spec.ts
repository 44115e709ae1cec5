import { followingNone, isRedirect } from '../src/no-redirects.js';

describe('no redirect is followed', () => {
  it('is said so that Node keeps no copy of the request, and so that everybody else understands it', () => {
    expect(followingNone({ undici: '7.0.0' })).toEqual({ redirect: 'error', window: null });
    expect(followingNone({})).toEqual({ redirect: 'manual' });
    expect(followingNone(undefined)).toEqual({ redirect: 'manual' });
  });

  it.each([
    ['Node’s words', new TypeError('fetch failed', { cause: new Error('unexpected redirect') }), true],
    ['a broken line', new TypeError('fetch failed', { cause: new Error('other side closed') }), false],
    [
      'a host of that name',
      new TypeError('fetch failed', { cause: new Error('unexpected redirect.test') }),
      false,
    ],
    ['a browser', new TypeError('Failed to fetch'), false],
    ['nothing', undefined, false],
  ])('%s', (_, error, is) => {
    expect(isRedirect(error)).toBe(is);
  });
});
