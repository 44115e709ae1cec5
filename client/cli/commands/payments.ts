import type { Payment } from '../../src/client.js';
import { formatAmount } from '../amount.js';
import type { Command } from '../command.js';
import { exitCodes } from '../exit-code.js';
import { courseToJson } from '../failure.js';
import { table } from '../table.js';

/** The largest page that the service gives. */
const pageSizeMax = 100;

export const payments: Command = {
  name: 'payments',
  does: 'Lists your payments, newest first.',
  words: [],
  flags: { limit: { value: 'N', does: 'how many at most; 20 unless given' } },
  examples: [{ types: 'paysam payments --limit 5', does: 'your last five payments' }],
  run: async (session, args) => {
    const limit = args.wholeNumber('limit', { min: 1, max: 10_000 }) ?? 20;
    const list = session.client.payments.list({ ...session.call(), limit: Math.min(limit, pageSizeMax) });
    // The list asks for pages as it is walked, so a small limit costs one call.
    const found: Payment[] = [];
    for await (const payment of list) {
      found.push(payment);
      if (found.length === limit) break;
    }
    const rows = found.map(({ id, status, amount, currency, to, rail, created_at, reference }) => [
      id,
      status,
      formatAmount(amount, currency),
      to,
      rail,
      created_at,
      reference ?? '',
    ]);
    return {
      exitCode: exitCodes.done,
      json: { data: found, ...courseToJson(null) },
      lines: table(['payment', 'status', 'amount>', 'to', 'rail', 'created', 'reference'], rows),
    };
  },
};
