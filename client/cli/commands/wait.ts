import { Refused } from '../../src/client.js';
import type { Command } from '../command.js';
import { endOf, stillUnknown } from '../ending.js';
import { exitCodes } from '../exit-code.js';
import { typedKey } from '../typed-key.js';

export const wait: Command = {
  name: 'wait',
  does: 'Waits until the outcome of a key is known, and tells it as “pay” would have.',
  words: ['KEY'],
  flags: {},
  examples: [
    { types: 'paysam wait order-17 --deadline 600', does: 'wait up to ten minutes for a payment to end' },
  ],
  notes: 'It only asks: what never arrived is sent by “paysam resume”.',
  run: async (session, { words: [word = ''] }) => {
    const key = typedKey(word);
    try {
      const result = await session.client.operations.wait(key, session.call());
      return endOf(result.data, result);
    } catch (error) {
      const outcome = stillUnknown(error, key);
      const isUnseen = error instanceof Refused && error.code === 'not_found';
      if (!isUnseen || !(await session.isWrittenDown(key))) return outcome;
      // Sent, and not seen so far: it may be on its way still, and it may arrive.
      const remarks = [
        'The service has not seen this key so far. It is written down here, and can be sent again.',
      ];
      return { ...outcome, exitCode: exitCodes.unknown, remarks, unfinishedKey: key };
    }
  },
};
