import { BankContradicted, BankUnavailable } from '../bank/bank.client.js';
import { explain } from './explain.js';

const withCode = (message: string, code: string) => Object.assign(new Error(message), { code });

describe('why a run could not be made', () => {
  it.each([
    ['the bank is away', new BankUnavailable('no answer'), /could not be read: no answer\. Start the bank/],
    [
      'the bank makes no sense',
      new BankContradicted('a hole'),
      /could not be read: a hole\. The bank has to say why\.$/,
    ],
    [
      'nobody listens',
      withCode('', 'ECONNREFUSED'),
      /^No PostgreSQL answers there: start it, or correct DATABASE_URL\.$/,
    ],
    ['the password is wrong', withCode('no', '28P01'), /^no\. Correct the password/],
    [
      'a table is missing',
      withCode('no such\n  table.', '42P01'),
      /^no such table\. The database schema is older/,
    ],
    [
      'a column is missing',
      withCode('no such column!', '42703'),
      /^no such column\. The database schema is older/,
    ],
    [
      'the connection is lost',
      new Error('Connection terminated'),
      /^Connection terminated\. See that PostgreSQL runs/,
    ],
    [
      'the connection takes too long',
      new Error('timeout exceeded'),
      /^timeout exceeded\. See that PostgreSQL runs/,
    ],
    [
      'it cannot be connected to',
      new Error('could not connect'),
      /^could not connect\. See that PostgreSQL runs/,
    ],
    ['it is something else', new Error('out of ideas'), /^out of ideas\.$/],
    [
      'the server says it of something else',
      withCode('the timeout is odd', '22023'),
      /^the timeout is odd\.$/,
    ],
  ])('%s', (_, error, said) => {
    expect(explain(error)).toMatch(said);
    expect(explain(error)).not.toMatch(/undefined|\n|\.\.| {2}/);
  });
});
