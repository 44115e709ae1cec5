import type { Command } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { courseToJson } from '../failure.js';
import { typedKey } from '../typed-key.js';

export const status: Command = {
  name: 'status',
  does: 'Tells what became of a key.',
  words: ['KEY'],
  flags: {},
  examples: [{ types: 'paysam status order-17', does: 'what became of a key' }],
  run: async (session, { words: [word = ''] }) => {
    const key = typedKey(word);
    const result = await session.client.operations.get(key, session.call());
    const { data } = result;
    const rows: [string, string | number | null][] = [
      ['key', data.key],
      ['operation', data.operation],
      ['state', data.state],
      ['recovery point', data.recovery_point],
      ['attempts', data.attempts],
      ['duplicates', data.duplicates],
      ['first seen', data.first_seen_at],
      ['last seen', data.last_seen_at],
      ['expires', data.expires_at],
      ['ask again in', data.retry_after === null ? null : `${data.retry_after} s`],
      ['request', JSON.stringify(data.request)],
      ['answer', data.response && `${data.response.status} ${data.response.body}`],
    ];
    return {
      exitCode: exitCodes.done,
      json: { data, ...courseToJson(result), idempotencyKey: key },
      lines: rows
        .filter(([, value]) => value !== null)
        .map(([name, value]) => `${name.padEnd(14)}  ${String(value)}`),
    };
  },
};
