import fc from 'fast-check';
import { isWorthAnotherTry, sqlStateOf, violatedConstraint } from './failures.js';

const complaint = (code: string) => Object.assign(new Error('the server says no'), { code });

describe('whether a failed transaction is worth another try', () => {
  it.each([
    ['40001', 'another transaction came first'],
    ['40P01', 'a deadlock'],
    ['55P03', 'a lock was not to be had in time'],
    ['57014', 'a statement took too long'],
    ['25P03', 'the session was silent for too long'],
    ['25P04', 'the transaction took too long'],
    ['25006', 'the server may not write any more'],
    ['53100', 'the disk is full'],
    ['53200', 'the memory is used up'],
    ['53300', 'there are too many connections'],
    ['57P01', 'the server is being stopped'],
    ['57P02', 'the server has crashed'],
    ['57P03', 'the server is starting'],
    ['08000', 'the connection is broken'],
    ['08006', 'the connection is lost'],
    ['08P01', 'the protocol is broken'],
  ])('%s: yes, %s', code => {
    expect(isWorthAnotherTry(complaint(code))).toBe(true);
  });

  it.each([
    ['23505', 'a unique constraint'],
    ['23514', 'a check'],
    ['23503', 'a foreign key'],
    ['23502', 'a NOT NULL'],
    ['23000', 'an unfinished key that may not be deleted'],
    ['22001', 'a string that is too long'],
    ['22003', 'a number that is too large'],
    ['22021', 'a NUL'],
    ['42P01', 'a table that is not there'],
    ['42601', 'a mistake in the SQL'],
    ['42501', 'a right that is not granted'],
    ['25P02', 'a transaction that has failed before'],
    ['28P01', 'a wrong password'],
    ['3D000', 'a database that is not there'],
    ['P0001', 'an exception raised by a function'],
    ['XX000', 'a mistake in the server'],
  ])('%s: no, %s', code => {
    expect(isWorthAnotherTry(complaint(code))).toBe(false);
  });

  it.each([
    'ECONNRESET',
    'ECONNREFUSED',
    'EPIPE',
    'ETIMEDOUT',
    'ENOTFOUND',
    'EHOSTUNREACH',
    'EAI_AGAIN',
    'ENETUNREACH',
    'EBADF',
    'EPERM',
    'EMFILE',
    'EIO',
  ])('%s: yes, the way to the server is broken, and no word of it came from there', code => {
    expect(sqlStateOf(complaint(code))).toBeNull();
    expect(isWorthAnotherTry(complaint(code))).toBe(true);
  });

  it.each([
    new Error('Connection terminated unexpectedly'),
    new Error('Query read timeout'),
    null,
    undefined,
    'gone',
    {},
    complaint(''),
  ])('yes, where nobody said what it was: %p', error => {
    expect(isWorthAnotherTry(error)).toBe(true);
  });

  it('goes by class 08 and the list, and by nothing else', () => {
    const states = fc.stringMatching(/^[0-9][0-9A-Z]{4}$/);
    const listed = [
      '40001',
      '40P01',
      '55P03',
      '57014',
      '25P03',
      '25P04',
      '25006',
      '53100',
      '53200',
      '53300',
      '57P01',
      '57P02',
      '57P03',
    ];
    fc.assert(
      fc.property(fc.oneof(states, fc.constantFrom(...listed)), code => {
        expect(sqlStateOf(complaint(code))).toBe(code);
        expect(isWorthAnotherTry(complaint(code))).toBe(code.startsWith('08') || listed.includes(code));
      }),
    );
  });
});

describe('the constraint that was violated', () => {
  it('is named by the server, or there is none', () => {
    expect(violatedConstraint({ code: '23505', constraint: 'payments_remember_their_key' })).toBe(
      'payments_remember_their_key',
    );
    for (const error of [null, undefined, 'x', {}, { constraint: 1 }, new Error('x')])
      expect(violatedConstraint(error)).toBeNull();
  });
});
