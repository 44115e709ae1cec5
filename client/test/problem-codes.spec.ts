import { problems as ofTheApi } from '../../src/http/problems.js';
import { problems } from '../src/problem-codes.js';

describe('the client’s list of problems', () => {
  it('is the API’s: after a change there, run node client/generate-problem-codes.mjs', () => {
    const expected = Object.fromEntries(
      Object.entries(ofTheApi).map(([code, { status, retryable, title, remedy }]) => [
        code,
        { status, retryable, title, remedy },
      ]),
    );
    expect(problems).toEqual(expected);
  });
});
