import { formatAmount } from '../amount.js';
import type { Command } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { courseToJson } from '../failure.js';
import { table } from '../table.js';

export const balance: Command = {
  name: 'balance',
  does: 'Lists your accounts, and what is on them.',
  words: [],
  flags: {},
  examples: [{ types: 'paysam balance', does: 'what is on your accounts' }],
  run: async session => {
    const result = await session.client.accounts.list(session.call()).page();
    const accounts = result.data.data;
    const rows = accounts.map(({ id, currency, balance: { posted, pending, available } }) => [
      id,
      ...[posted, pending, available].map(amount => formatAmount(amount, currency)),
    ]);
    return {
      exitCode: exitCodes.done,
      json: { data: accounts, ...courseToJson(result) },
      lines: table(['account', 'posted>', 'pending>', 'available>'], rows),
    };
  },
};
