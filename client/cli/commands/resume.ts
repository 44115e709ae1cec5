import type { Entry, PaymentParams, Resumption } from '../../src/client.js';
import { formatAmount } from '../amount.js';
import type { Command, Outcome } from '../command.js';
import { ended } from '../ending.js';
import { exitCodes, type ExitCode } from '../exit-code.js';
import { failed } from '../failure.js';
import { paysamCommand } from '../shell.js';
import { table } from '../table.js';
import { UsageError } from '../usage-error.js';

export const resume: Command = {
  name: 'resume',
  does: 'Sends what a crash, a lost connection or Ctrl-C left open once more, with the same keys.',
  words: [],
  flags: {},
  examples: [{ types: 'paysam resume', does: 'bring to its end whatever was left open' }],
  notes: [
    'Safe at any time, as often as you like: the same key never pays twice. What was written down by another customer, or',
    'for another address, stays where it is: sent by you, it would be a new payment.',
  ].join('\n'),
  isCrowd: true,
  run: async (session, args) => {
    if (args.has('no-journal'))
      throw new UsageError('“resume” sends what is written down: leave --no-journal out.');
    const { resumed, skipped, unreadable } = await session.client.resume(session.call());
    const lost = unreadable.filter(each => !isForeign(each));
    const ends: { entry: Entry; outcome: Outcome }[] = [];
    // One after the other: all of them are under way already, and this only asks how they end.
    for (const { entry, result, error } of resumed) {
      ends.push({ entry, outcome: result ? await ended(session, result) : failed(error) });
    }
    return {
      exitCode: worst([...ends.map(({ outcome }) => outcome.exitCode), ...lost.map(() => exitCodes.unknown)]),
      json: {
        data: ends.map(({ entry, outcome }) => ({
          key: entry.key,
          operation: entry.operation,
          exitCode: outcome.exitCode,
          ...outcome.json,
        })),
        skipped: skipped.map(({ entry, why }) => ({ key: entry.key, sender: addressOf(entry), why })),
        unreadable,
      },
      lines:
        ends.length === 0
          ? [skipped.length === 0 ? 'Nothing was left open.' : 'Nothing of yours was left open here.']
          : table(
              ['key', 'what', 'outcome'],
              ends.map(({ entry, outcome }) => [entry.key, described(entry), inWords(outcome)]),
            ),
      remarks: [
        ...skipped.map(({ entry }) => left(entry, session.address)),
        ...unreadable.filter(isForeign).map(({ path }) => `Not one of ours: ${path}`),
        ...(ends.some(({ outcome }) => outcome.exitCode === exitCodes.unknown)
          ? ['What is unknown stays written down: resume again, and it is sent again.']
          : []),
      ],
      ...(lost.length > 0 && {
        problem: {
          title: 'There may be payments in the journal that cannot be read',
          details: lost.map(({ path, why }) => `${why.replace('_', ' ')}: ${path}`),
        },
      }),
    };
  },
};

/** What has to be looked at first, before the better news. */
const order: readonly ExitCode[] = [
  exitCodes.unexpected,
  exitCodes.unknown,
  exitCodes.not_sent,
  exitCodes.key_refused,
  exitCodes.declined,
  exitCodes.usage,
];

function worst(codes: readonly ExitCode[]): ExitCode {
  return order.find(code => codes.includes(code)) ?? exitCodes.done;
}

/** By its name, nothing of ours. Everything else that cannot be read may be a payment. */
function isForeign({ why }: Resumption['unreadable'][number]): boolean {
  return why === 'foreign';
}

function addressOf({ sender }: Entry): string {
  return sender.split('#')[0] ?? '';
}

/** Says who can bring it to its end, since this command cannot: an entry that nobody resumes is a payment in doubt. */
function left(entry: Entry, here: string): string {
  const address = addressOf(entry);
  return address === here
    ? `Left as it is: ${entry.key}, by another customer: resume with the API key that it was sent with.`
    : `Left as it is: ${entry.key}, for ${address}: ${paysamCommand('resume', '--url', address)}`;
}

function described({ operation, body }: Entry): string {
  const { to, amount, currency } = JSON.parse(body) as PaymentParams;
  return operation === 'payment' ? `pay ${to} ${formatAmount(amount, currency)}` : 'refund';
}

function inWords({ exitCode, lines, problem }: Outcome): string {
  if (exitCode === exitCodes.done) return lines[0] ?? '';
  return problem ? [problem.title, ...problem.details.slice(0, 1)].join(': ') : '';
}
