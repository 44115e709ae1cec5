import type { Mutation } from './mutation.js';

const unknownOutcomes = 'test/promises/an-unknown-outcome-is-not-a-failure.spec.ts';
const forgotten = {
  file: 'test/promises/what-makes-no-sense-is-left-to-a-person.spec.ts',
  title: 'a payment past the bank’s memory is only asked for, never sent, and parked at last',
};

/** What is asked of the other bank, and what its answers are taken for. */
export const mutationsOfTheBank: readonly Mutation[] = [
  {
    id: 'M3a',
    mistake: 'a new reference whenever a payment is taken up again',
    breaks: 'I1: the bank cannot recognise it, and charges twice',
    patches: [
      {
        file: 'src/payments/take-payment.ts',
        find: 'function orderOf({ attempt: { params }, state }: Held<PaymentParams>): BankOrder {',
        replace: `const references = new Map<string, string>();
function orderOf({ attempt: { params }, state, attempts, point }: Held<PaymentParams>): BankOrder {
  const id = remembered(state, 'payment_id');
  if (attempts > 1 && point === 'funds_reserved') references.set(id, newId());`,
      },
      {
        file: 'src/payments/take-payment.ts',
        find: "return { reference: remembered(state, 'payment_id'), amount",
        replace: 'return { reference: references.get(id) ?? id, amount',
      },
    ],
    caughtBy: {
      file: unknownOutcomes,
      title: 'the caller is told that it goes on, and the completer finds the charge (F49, F51)',
    },
  },
  {
    id: 'M3b',
    mistake: 'a new reference each time that an order is sent',
    breaks: 'I1: what timed out is not found, and charged again',
    patches: [
      {
        file: 'src/bank/bank.client.ts',
        find: "  private async request(call: Call, name: 'pay' | 'ask', order: BankOrder): Promise<Verdict> {\n",
        replace: `  private readonly sentAs = new Map<string, string>();
  private async request(call: Call, name: 'pay' | 'ask', given: BankOrder): Promise<Verdict> {
    const sentAs = this.sentAs.get(given.reference) ?? given.reference;
    const order = { ...given, reference: name === 'pay' ? crypto.randomUUID() : sentAs };
`,
      },
      {
        file: 'src/bank/bank.client.ts',
        find: "    if (kind === 'done' || kind === 'declined' || kind === 'not_found') this.budget.give();\n",
        replace: `    if (kind === 'done') this.sentAs.set(given.reference, order.reference);
    if (kind === 'done' || kind === 'declined' || kind === 'not_found') this.budget.give();
`,
      },
    ],
    caughtBy: { file: unknownOutcomes, title: '%s: %s', filledWith: 'F49' },
  },
  {
    id: 'M4',
    mistake: 'a time-out is stored as a failure',
    breaks: 'I6: declined, while the bank holds the charge',
    patches: [
      {
        file: 'src/bank/bank-answer.ts',
        find: "  if (isSent) return { kind: 'unknown', reason, isTimeout };\n",
        replace: `  if (isSent && isTimeout) return { kind: 'declined', code: 'timeout', message: reason } as never;
  if (isSent) return { kind: 'unknown', reason, isTimeout };
`,
      },
    ],
    caughtBy: { file: unknownOutcomes, title: '%s: %s', filledWith: 'F49' },
  },
  {
    id: 'M5',
    mistake: 'the bank’s 500 is stored as final',
    breaks: 'I6: declined, while the bank holds the charge',
    patches: [
      {
        file: 'src/bank/bank-answer.ts',
        find: '  const code = errorCodeOf(json);\n',
        replace: `  if (status === 500) return { kind: 'declined', code: 'failed', message: 'the bank failed' };
  const code = errorCodeOf(json);
`,
      },
    ],
    caughtBy: { file: unknownOutcomes, title: '%s: %s', filledWith: 'F51' },
  },
  {
    id: 'M11',
    mistake: 'to repeat the transaction that records an answer, the bank is asked again',
    breaks: 'nothing is charged twice, but each trouble of our database is one for the bank',
    patches: [
      {
        file: 'src/idempotency/group-commit.ts',
        find: 'if (repeats >= this.settings.batchRepeatsMax) {',
        replace: 'if (repeats >= this.settings.batchRepeatsMax || steps.some(({ held }) => held !== null)) {',
      },
      {
        file: 'src/idempotency/drive.ts',
        find: 'const seat = await this.transactions.commit(await this.nextStep(held));',
        replace: `const again = async () => this.transactions.commit(await this.nextStep(held));
        const seat = await again().catch(again);`,
      },
    ],
    caughtBy: {
      file: 'test/promises/a-repeated-transaction-asks-nobody-again.spec.ts',
      title: 'a repeated transaction asks nobody again',
    },
  },
  {
    id: 'M24a',
    mistake: 'sent again without asking, past the bank’s memory',
    breaks: 'I1: a reference that the bank has forgotten is a new payment there',
    patches: [
      {
        file: 'src/payments/take-payment.ts',
        find: '{ mayBeSent, maySend: !mayBeSent || ageMs < bankMemoryMs, signal }',
        replace: '{ mayBeSent: false, maySend: bankMemoryMs >= 0 && ageMs >= 0, signal }',
      },
    ],
    caughtBy: forgotten,
  },
  {
    id: 'M24b',
    mistake: 'asked for first, and then sent, past the bank’s memory',
    breaks: 'I1: “not found” means forgotten as well',
    patches: [
      {
        file: 'src/payments/take-payment.ts',
        find: 'maySend: !mayBeSent || ageMs < bankMemoryMs,',
        replace: 'maySend: bankMemoryMs >= 0 && ageMs >= 0,',
      },
    ],
    caughtBy: forgotten,
  },
];
