import { isSurelyNotSent } from '../src/not-sent.js';

const failed = (cause?: unknown) => new TypeError('fetch failed', { cause });
const connect = (code: string) => Object.assign(new Error(code), { code, syscall: 'connect' });

describe('that nothing was sent', () => {
  it.each([
    connect('ECONNREFUSED'),
    connect('EHOSTUNREACH'),
    connect('ENETUNREACH'),
    connect('ETIMEDOUT'),
    Object.assign(new Error('no such name'), { code: 'ENOTFOUND', syscall: 'getaddrinfo' }),
    Object.assign(new Error('no answer from the name server'), { code: 'EAI_AGAIN', syscall: 'getaddrinfo' }),
    Object.assign(new Error('too slow'), { code: 'UND_ERR_CONNECT_TIMEOUT' }),
    Object.assign(new Error('its own'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
    Object.assign(new Error('too old'), { code: 'CERT_HAS_EXPIRED' }),
    Object.assign(new Error('not theirs'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }),
    Object.assign(new AggregateError([connect('ECONNREFUSED'), connect('ETIMEDOUT')]), {
      code: 'ECONNREFUSED',
    }),
  ])('is certain after %o', cause => {
    expect(isSurelyNotSent(failed(cause))).toBe(true);
  });

  it.each([
    Object.assign(new Error('was open, and had sent'), { code: 'ECONNRESET', syscall: 'read' }),
    Object.assign(new Error('was open, and had sent'), { code: 'EHOSTUNREACH', syscall: 'read' }),
    Object.assign(new Error('was open, and had sent'), { code: 'ETIMEDOUT', syscall: 'write' }),
    Object.assign(new Error('was open, and had sent'), { code: 'ECONNREFUSED' }),
    connect('ECONNRESET'),
    Object.assign(new Error('somebody who speaks no TLS, or a broken record'), { code: 'EPROTO' }),
    Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' }),
    Object.assign(new Error('no headers'), { code: 'UND_ERR_HEADERS_TIMEOUT' }),
    Object.assign(new AggregateError([connect('ECONNREFUSED'), connect('ECONNRESET')]), {
      code: 'ECONNREFUSED',
    }),
    new AggregateError([]),
    new Error('ECONNREFUSED'),
    'ECONNREFUSED',
    null,
    undefined,
  ])('is not certain after %o', cause => {
    expect(isSurelyNotSent(failed(cause))).toBe(false);
  });

  it('is never certain in a browser, nor with an error that is none', () => {
    for (const error of [new TypeError('Failed to fetch'), connect('ECONNREFUSED'), 'no', null, undefined]) {
      expect(isSurelyNotSent(error)).toBe(false);
    }
  });
});
