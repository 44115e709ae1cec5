import { parseArgs } from 'node:util';
import type { Command, Flag } from './command.js';
import { nearest } from './nearest.js';
import { UsageError } from './usage-error.js';

/** What was typed, taken apart, and known to be a command with flags that it has. */
export class Arguments {
  constructor(
    readonly command: Command,
    readonly words: readonly string[],
    private readonly flags: ReadonlyMap<string, string>,
  ) {}

  has(flag: string): boolean {
    return this.flags.has(flag);
  }

  text(flag: string): string | undefined {
    return this.flags.get(flag);
  }

  /** @throws UsageError */
  oneOf<Choice extends string>(flag: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.flags.get(flag);
    const choice = choices.find(each => each === text);
    if (text !== undefined && choice === undefined) {
      throw new UsageError(`--${flag} is “${text}”.`, `It is one of: ${choices.join(', ')}.`);
    }
    return choice;
  }

  /** @throws UsageError */
  wholeNumber(flag: string, { min, max }: { min: number; max: number }): number | undefined {
    const text = this.flags.get(flag);
    if (text === undefined) return undefined;
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > max) {
      throw new UsageError(`--${flag} is “${text}”.`, `It is a whole number from ${min} to ${max}.`);
    }
    return number;
  }

  /** Typed in seconds, `0.5` say; @returns milliseconds @throws UsageError */
  secondsAsMs(flag: string, { max }: { max: number }): number | undefined {
    const text = this.flags.get(flag);
    if (text === undefined) return undefined;
    const ms = Math.round(Number(text) * 1_000);
    if (!/^\d+(\.\d{1,3})?$/.test(text) || ms < 1 || ms > max * 1_000) {
      throw new UsageError(
        `--${flag} is “${text}”.`,
        `It is seconds, above 0 and up to ${max}: 2 or 0.5, say.`,
      );
    }
    return ms;
  }
}

export interface Catalogue {
  readonly commands: readonly Command[];
  /** Flags that every command takes. */
  readonly flags: Readonly<Record<string, Flag>>;
}

/** What was asked for: a command to run, or a page to read. */
export type Request =
  | { readonly kind: 'run'; readonly args: Arguments }
  | { readonly kind: 'help'; readonly about: Command | null }
  | { readonly kind: 'version' };

/**
 * Reads the command line. Stricter than it could be: nothing that might have been meant otherwise moves money.
 *
 * @throws UsageError
 */
export function readArguments(argv: readonly string[], { commands, flags }: Catalogue): Request {
  const everyFlag = Object.assign({}, flags, ...commands.map(command => command.flags)) as typeof flags;
  const { words, given } = takeApart(argv, everyFlag);
  const [name, ...rest] = words;
  if (given.has('version')) return { kind: 'version' };
  if (name === undefined && argv.length > 0 && !given.has('help')) {
    throw new UsageError('There is no command.', `One of: ${commands.map(each => each.name).join(', ')}.`);
  }
  if (name === undefined) return { kind: 'help', about: null };
  if (name === 'help') return { kind: 'help', about: rest[0] === undefined ? null : find(rest[0], commands) };
  const command = find(name, commands);
  if (given.has('help')) return { kind: 'help', about: command };

  for (const flag of given.keys()) {
    if (flag in flags || flag in command.flags) continue;
    const others = commands.filter(each => flag in each.flags).map(each => each.name);
    throw new UsageError(`“${command.name}” takes no --${flag}.`, `It belongs to: ${others.join(', ')}.`);
  }
  checkWords(rest, command);
  return { kind: 'run', args: new Arguments(command, rest, given) };
}

/** Words and flags, wherever they stand. Everything after `--` is a word, whatever it begins with. */
function takeApart(argv: readonly string[], flags: Readonly<Record<string, Flag>>) {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  const { tokens } = parseArgs({
    args: [...argv],
    options: { ...options, help: { type: 'boolean', short: 'h' } },
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const words: string[] = [];
  const given = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    const flag = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!flag) throw unknownFlag(rawName, Object.keys(options));
    // The last one would win, and which one was meant nobody knows: with --key, two payments hang on it.
    if (given.has(name)) throw new UsageError(`${rawName} is there twice.`, 'Which of them counts?');
    if (flag.type === 'boolean' && value !== undefined) {
      throw new UsageError(`${rawName} takes no value.`, `Leave “${value}” out.`);
    }
    if (flag.type === 'string' && (value === undefined || value === '')) {
      throw new UsageError(`${rawName} needs a value.`, `${rawName} ${flags[name]?.value ?? ''}`);
    }
    // Rather a forgotten value than one that begins with a dash.
    if (flag.type === 'string' && !inlineValue && value?.startsWith('-')) {
      throw new UsageError(
        `${rawName} needs a value, and “${value}” looks like a flag.`,
        `${rawName}=${value}`,
      );
    }
    given.set(name, value ?? '');
  }
  return { words, given };
}

/** The two that are worth more than a guess first: a sign before an amount, and a secret on the command line. */
function unknownFlag(rawName: string, known: readonly string[]): UsageError {
  if (/^-\d/.test(rawName))
    return new UsageError('An amount has no sign.', 'Money goes from payer to payee.');
  if (/^--?(api-?key|token|secret|password)$/i.test(rawName)) {
    return new UsageError(
      `There is no ${rawName}: the shell would write your API key into its history, and ps would show it.`,
      'Set PAYSAM_API_KEY in the environment.',
    );
  }
  const meant = nearest(rawName.replace(/^-+/, ''), known);
  return new UsageError(
    `There is no flag ${rawName}.`,
    meant === null ? 'paysam help lists all of them.' : `Did you mean --${meant}?`,
  );
}

function find(name: string, commands: readonly Command[]): Command {
  const command = commands.find(each => each.name === name);
  if (command) return command;
  const meant = nearest(
    name,
    commands.map(each => each.name),
  );
  throw new UsageError(
    `There is no command “${name}”.`,
    meant === null ? 'paysam help lists all of them.' : `Did you mean: paysam ${meant}?`,
  );
}

/** Optional words come all together or not at all: an amount without its currency could mean anything. */
function checkWords(
  words: readonly string[],
  { name, words: must, moreWords = [], examples }: Command,
): void {
  const all = [...must, ...moreWords];
  const example = examples[0] === undefined ? null : `For example: ${examples[0].types}`;
  const extra = words[all.length];
  if (extra !== undefined) {
    throw new UsageError(`“${extra}” is one word too many for “${name}”.`, example);
  }
  if (words.length >= must.length && (words.length === must.length || words.length === all.length)) return;
  throw new UsageError(`“${name}” also needs ${all.slice(words.length).join(' and ')}.`, example);
}
