import { type Payment, Refused } from '../../src/client.js';
import { formatAmount, parseAmount } from '../amount.js';
import type { Command } from '../command.js';
import { ended } from '../ending.js';
import type { Session } from '../session.js';
import { UsageError } from '../usage-error.js';
import { intentFlags } from './pay.js';

export const refund: Command = {
  name: 'refund',
  does: 'Gives a payment back, or a part of it, once.',
  words: ['PAYMENT_ID'],
  moreWords: ['AMOUNT', 'CURRENCY'],
  flags: intentFlags,
  examples: [
    {
      types: 'paysam refund 0198c2e4-7c1a-7e5b-9c38-2b1d6a0f4e11 10.00 GBP',
      does: 'give £10 of a payment back',
    },
    {
      types: 'paysam refund 0198c2e4-7c1a-7e5b-9c38-2b1d6a0f4e11',
      does: 'give all of it back, or what earlier refunds have left',
    },
  ],
  run: async (session, args) => {
    const [id = '', typed, currency = ''] = args.words;
    // In a path they lead to another place.
    if (/^\.{0,2}$/.test(id)) throw new UsageError(`“${id}” is not the id of a payment.`);
    const asked = typed === undefined ? null : parseAmount(typed, currency);
    // Asked for in any case: a refund is in the payment's currency, and “10.00 GBP” of a payment in yen would be 1000 yen.
    const { data: payment } = await session.client.payments.get(id, session.call());
    if (asked !== null && payment.currency !== currency) {
      throw new UsageError(`The payment was made in ${payment.currency}, not in ${currency}.`);
    }
    const amount = asked === null ? await wholeRest(session, payment) : Number(asked);
    session.say(`Refunding ${formatAmount(amount, payment.currency)} of payment ${payment.id}`);
    return ended(session, await session.client.refunds.create(id, { amount }, session.intent));
  },
};

/**
 * What is left of the payment; or, if this key has asked for it before, what was left then. The rest is another one
 * after every refund, and a retry has to ask for the same as the first try.
 */
async function wholeRest(session: Session, { amount, refunded, currency }: Payment): Promise<number> {
  const before = await askedBefore(session);
  if (before !== null) return before;
  if (amount > refunded) return amount - refunded;
  throw new UsageError(
    'There is nothing left to refund.',
    `All ${formatAmount(amount, currency)} has been given back.`,
  );
}

async function askedBefore(session: Session): Promise<number | null> {
  const key = session.intent.idempotencyKey;
  if (key === undefined) return null;
  try {
    const { data } = await session.client.operations.get(key, session.call());
    const { amount } = data.request ?? {};
    return typeof amount === 'number' ? amount : null;
  } catch (error) {
    if (error instanceof Refused && error.code === 'not_found') return null;
    throw error;
  }
}
