import type { Catalogue } from './arguments.js';
import type { Command, Example, Flag } from './command.js';
import { exitCodes } from './exit-code.js';

/** All commands. Examples first: most people need one line to copy, and not a grammar. */
export function overview({ commands, flags }: Catalogue): string {
  const examples = commands.flatMap(command => command.examples.slice(0, 1));
  return [
    'Pays once, however often it has to ask.',
    '',
    'Examples:',
    ...listed(examples.map(({ types, does }) => [types, does])),
    '',
    'Commands:',
    ...listed(commands.map(({ name, does }) => [name, does])),
    '',
    'Flags of every command:',
    ...listedFlags(flags),
    '',
    'Environment:',
    ...listed(environment),
    '',
    'Exit codes:',
    ...listed(meanings),
    '',
    'paysam help COMMAND tells more of one: paysam help pay',
  ].join('\n');
}

/** One command. Its flags before those that all commands share. */
export function page(command: Command, { flags }: Catalogue): string {
  const { name, does, words, moreWords, examples, notes } = command;
  const usage = ['paysam', name, ...words, ...(moreWords ? [`[${moreWords.join(' ')}]`] : []), '[FLAGS]'];
  return [
    'Examples:',
    ...examples.flatMap(({ types, does: means }: Example) => [`  # ${means}`, `  ${types}`]),
    '',
    `Usage: ${usage.join(' ')}`,
    '',
    does,
    ...(notes === undefined ? [] : ['', notes]),
    ...(Object.keys(command.flags).length > 0 ? ['', 'Flags:', ...listedFlags(command.flags)] : []),
    '',
    'Flags of every command:',
    ...listedFlags(flags),
  ].join('\n');
}

function listedFlags(flags: Readonly<Record<string, Flag>>): string[] {
  return listed(
    Object.entries(flags).map(([name, { value, does }]) => [
      value === undefined ? `--${name}` : `--${name} ${value}`,
      does,
    ]),
  );
}

function listed(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}

const environment: [string, string][] = [
  ['PAYSAM_API_KEY', 'who pays. No flag: the shell would write it into its history, and ps would show it.'],
  ['', 'Not set, and the service on this machine: the demo’s public one, sk_demo_alice.'],
  ['PAYSAM_URL', 'the service; http://127.0.0.1:3000 unless set'],
  ['PAYSAM_HOME', 'where keys are written down before anything is sent;'],
  ['', '$XDG_STATE_HOME/paysam or ~/.local/state/paysam unless set'],
  ['NO_COLOR, FORCE_COLOR', 'without colour, or with it wherever it goes'],
];

const meanings: [string, string][] = [
  [String(exitCodes.done), 'paid, or paid before; or read what was to be read'],
  [String(exitCodes.unexpected), 'unexpected'],
  [String(exitCodes.usage), 'the command line or the request is not right: correct it'],
  [String(exitCodes.declined), 'declined; a new try is a new payment, with a new key'],
  [String(exitCodes.key_refused), 'the key belongs to another request, or is cancelled: do not retry'],
  [String(exitCodes.unknown), 'UNKNOWN: it may have been paid, or may still be. Go on with the same key'],
  [String(exitCodes.not_sent), 'nothing was done: the service could not be reached'],
];
