import { type ClientEvent, Declined, type Payment, PaySamError, type Result } from '../../src/client.js';
import { formatAmount, parseAmount } from '../amount.js';
import type { Command, Outcome } from '../command.js';
import { ended } from '../ending.js';
import { exitCodes } from '../exit-code.js';
import { failed } from '../failure.js';
import type { Session } from '../session.js';
import { typedKey } from '../typed-key.js';

export const hammer: Command = {
  name: 'hammer',
  does: 'Sends one payment many times at once, under one key, and counts: one payment.',
  words: ['KEY'],
  flags: {
    times: { value: 'N', does: 'how many sends; 200 unless given, 1000 at most' },
    to: { value: 'PAYEE', does: 'whom to pay; sam unless given' },
    amount: { value: 'AMOUNT', does: '1.00 unless given' },
    currency: { value: 'CURRENCY', does: 'GBP unless given' },
  },
  examples: [
    { types: 'paysam hammer order-18 --times 200', does: 'one key, 200 sends at once, one payment' },
  ],
  notes: [
    'One of the sends is a call like “pay”: written down, retried, and followed to its end. The others are sent once,',
    'while that one is on its way, and whatever they are answered is counted.',
  ].join('\n'),
  run: async (session, args) => {
    const key = typedKey(args.words[0] ?? '');
    const times = args.wholeNumber('times', { min: 1, max: 1_000 }) ?? 200;
    const currency = args.text('currency') ?? 'GBP';
    const amount = parseAmount(args.text('amount') ?? '1.00', currency);
    const params = { to: args.text('to') ?? 'sam', amount: Number(amount), currency };
    session.say(
      `Sending ${formatAmount(amount, currency)} to ${params.to} ${times} times under the key ${key}`,
    );

    const answers = new Map<string, number>();
    let answered = 0;
    const count = (event: ClientEvent) => {
      if (event.type !== 'exchange' || event.attempt !== 1) return;
      const name = nameOf(event);
      answers.set(name, (answers.get(name) ?? 0) + 1);
      session.draw(`${(answered += 1)} of ${times} answered …`);
    };
    const crowd = session.another({ attemptsMax: 1, journal: undefined, onEvent: count });
    const followers: Promise<string | null>[] = [];
    const leader = session.another({
      onEvent: event => {
        count(event);
        // Not before: by now the key is written down.
        while (event.type === 'attempt' && followers.length < times - 1) {
          const send = crowd.payments.create(params, { idempotencyKey: key, signal: session.signal });
          followers.push(paymentId(send));
        }
      },
    });
    // To wait for the answer is quicker than to be told that another one is at work, and when to come back.
    const first = leader.payments.create(params, { ...session.intent, idempotencyKey: key, waitSeconds: 10 });
    // The others begin during the first, so they can all be awaited only after it.
    const ids = new Set([await paymentId(first), ...(await Promise.all(followers))]);
    ids.delete(null);
    const outcome = await first.then(result => ended(session, result), failed);
    return withProof(outcome, { key, times, answers, payments: await paymentsUnder(key, { session, ids }) });
  },
};

/** An answer by its name in the header Idempotency-Status, a refusal by its code, and no answer by what it was. */
function nameOf({ exchange, replayed }: Extract<ClientEvent, { type: 'exchange' }>): string {
  if (exchange.kind !== 'answered') return exchange.kind;
  if (replayed) return 'already_completed';
  if (exchange.status === 202) return 'in_progress';
  return exchange.status === 200 ? 'completed' : (exchange.code ?? String(exchange.status));
}

async function paymentId(call: Promise<Result<Payment>>): Promise<string | null> {
  try {
    return (await call).data.id;
  } catch (error) {
    if (error instanceof Declined) return error.payment?.id ?? null;
    if (error instanceof PaySamError) return null;
    throw error;
  }
}

/** What the answers name, and what the service’s own list has: its ids go by time, so it ends before the first of them. */
async function paymentsUnder(
  key: string,
  { session, ids }: { session: Session; ids: ReadonlySet<string | null> },
): Promise<string[]> {
  const found = new Set([...ids].filter(id => id !== null));
  const first = [...found].sort()[0];
  if (first === undefined) return [];
  for await (const payment of session.client.payments.list({ ...session.call(), limit: 100 })) {
    if (payment.id < first) break;
    if (payment.idempotency_key === key) found.add(payment.id);
  }
  return [...found];
}

interface Proof {
  readonly key: string;
  readonly times: number;
  readonly answers: ReadonlyMap<string, number>;
  readonly payments: readonly string[];
}

/** The count of answers is for the eye. What proves it is the count of payments, which is one, or this program says so. */
function withProof(outcome: Outcome, { key, times, answers, payments }: Proof): Outcome {
  const width = Math.max(...[...answers.keys()].map(name => name.length), 'payments'.length);
  const rows = [...answers].sort(([, one], [, other]) => other - one);
  const proof = {
    // Which of them was first is told by the count.
    remarks: [],
    lines: [
      ...rows.map(([name, count]) => `${name.padEnd(width)}  ${String(count).padStart(4)}`),
      '',
      `${'payments'.padEnd(width)}  ${String(payments.length).padStart(4)}  ${payments.join(' ')}`.trimEnd(),
    ],
    json: { ...outcome.json, hammer: { key, times, answers: Object.fromEntries(answers), payments } },
  };
  if (payments.length <= 1) return { ...outcome, ...proof };
  return {
    ...outcome,
    ...proof,
    exitCode: exitCodes.unexpected,
    problem: {
      title: `One key has ${payments.length} payments`,
      details: ['This must never be. Please report it.'],
    },
  };
}
