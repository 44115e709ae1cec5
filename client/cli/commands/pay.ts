import { formatAmount, parseAmount } from '../amount.js';
import type { Command, Flag } from '../command.js';
import { ended } from '../ending.js';

/** For the commands that move money. */
export const intentFlags: Readonly<Record<string, Flag>> = {
  key: { value: 'KEY', does: 'one key per intended payment; made and written down unless given' },
  wait: { value: 'SECONDS', does: 'how long the service may take to answer with the result, 0 to 30' },
};

export const pay: Command = {
  name: 'pay',
  does: 'Pays somebody, once.',
  words: ['PAYEE', 'AMOUNT', 'CURRENCY'],
  flags: {
    from: { value: 'ACCOUNT', does: 'the account that pays; your only one in that currency unless given' },
    rail: { value: 'RAIL', does: 'ledger: in the service’s own books (default); bank: through another bank' },
    reference: { value: 'TEXT', does: 'for people to read, up to 140 characters' },
    ...intentFlags,
  },
  examples: [
    { types: 'paysam pay sam 100.00 GBP', does: 'pay Sam £100' },
    {
      types: 'paysam pay sam 100.00 GBP --rail bank',
      does: 'the same through another bank, which may take a while',
    },
    {
      types: 'paysam pay sam 100.00 GBP --key order-17',
      does: 'with a key of your own: typed again, it pays nothing',
    },
  ],
  notes: [
    'The key is written down before the first byte is sent, and forgotten once the outcome is known. If this command',
    'dies in between, “paysam resume” sends what it left, with the same key: nothing is paid twice.',
    'To type the command again without --key is another payment.',
  ].join('\n'),
  run: async (session, args) => {
    const [to = '', typed = '', currency = ''] = args.words;
    const amount = parseAmount(typed, currency);
    const rail = args.oneOf('rail', ['ledger', 'bank']);
    const from = args.text('from');
    const reference = args.text('reference');
    session.say(`Paying ${formatAmount(amount, currency)} to ${to}`);
    const params = {
      to,
      // Below 2^53, or it would have been refused: the number is exact.
      amount: Number(amount),
      currency,
      ...(from !== undefined && { from }),
      ...(rail !== undefined && { rail }),
      ...(reference !== undefined && { reference }),
    };
    return ended(session, await session.client.payments.create(params, session.intent));
  },
};
