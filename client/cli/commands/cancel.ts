import type { Payment, Refund } from '../../src/client.js';
import type { Command } from '../command.js';
import { stillUnknown, told } from '../ending.js';
import { exitCodes } from '../exit-code.js';
import { courseToJson } from '../failure.js';
import { typedKey } from '../typed-key.js';

export const cancel: Command = {
  name: 'cancel',
  does: 'Closes a key for good, unless it may be too late.',
  words: ['KEY'],
  flags: {},
  examples: [{ types: 'paysam cancel order-17', does: 'end the doubt: whatever arrives late is refused' }],
  notes: [
    'A key that the service has never seen is closed as well: a late original is then refused.',
    'What may be at the bank is not cancelled, since that would be guessing; what is finished stays so (exit code 4).',
  ].join('\n'),
  run: async (session, { words: [word = ''] }) => {
    const key = typedKey(word);
    try {
      const result = await session.client.operations.cancel(key, session.call());
      const course = { ...courseToJson(result), idempotencyKey: key };
      if (result.data.kind === 'cancelled') {
        return {
          exitCode: exitCodes.done,
          json: { data: result.data.operation, ...course },
          lines: [
            'Closed for good: nothing was paid under this key, and nothing will be.',
            `key      ${key}`,
          ],
        };
      }
      // No error of the service's, and yet not what was wished for: a script must not go on as if it were.
      const { status, body } = result.data.response;
      const answer = JSON.parse(body) as Payment | Refund;
      return {
        exitCode: exitCodes.key_refused,
        json: { error: { kind: 'AlreadyCompleted', response: { status, body } }, ...course },
        lines: status === 200 ? told(answer, result).lines : [],
        problem: {
          title: 'The operation is finished',
          details: [
            status === 200
              ? 'It came to its end before. To give the money back, refund the payment.'
              : 'It was declined before: there is nothing to cancel.',
          ],
          requestId: result.requestIds.at(-1) ?? null,
        },
      };
    } catch (error) {
      return stillUnknown(error, key);
    }
  },
};
