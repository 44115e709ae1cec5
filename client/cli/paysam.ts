import { readFileSync } from 'node:fs';
import type { ClientEvent } from '../src/client.js';
import { readArguments, type Arguments } from './arguments.js';
import { catalogue } from './commands.js';
import type { Outcome } from './command.js';
import { exitCodes, exitCodeOf } from './exit-code.js';
import { failed } from './failure.js';
import { overview, page } from './help.js';
import { openSession } from './open-session.js';
import { linesOf, printProblem, printWaysOn, type WaysOn } from './print.js';
import { Screen, type Terminal } from './screen.js';
import { paysamCommand } from './shell.js';
import { Story } from './story.js';
import { readSurroundings } from './surroundings.js';
import { UsageError } from './usage-error.js';

/** What the process has for a command: where to write, what is set, and whether it is to stop. */
export interface Place {
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  readonly environment: NodeJS.ProcessEnv;
  /** Aborted with the name of the signal as its reason. */
  readonly stopping: AbortSignal;
}

/** One command, from its words to its exit code. Data goes to stdout, and whatever else is said to stderr. */
export async function run(argv: readonly string[], place: Place): Promise<number> {
  const screen = new Screen(place.stderr, place.environment);
  // As long as nobody could take the words apart.
  let isJson = argv.includes('--json');
  const print = (lines: readonly string[]) => {
    if (lines.length > 0) place.stdout.write(`${lines.join('\n')}\n`);
  };
  let outcome: Outcome;
  let shown = { story: true, stack: argv.includes('--debug') };
  let waysOn: (key: string) => WaysOn['commands'] = () => [];
  try {
    const request = readArguments(argv, catalogue);
    if (request.kind === 'version') {
      print([version()]);
      return exitCodes.done;
    }
    if (request.kind === 'help') {
      print([request.about ? page(request.about, catalogue) : overview(catalogue)]);
      return exitCodes.done;
    }
    const { args } = request;
    isJson = args.has('json');
    shown = { ...shown, story: !args.has('quiet') };
    waysOn = key => waysOnWith(key, argv, args);
    outcome = await carryOut(args, { ...place, screen, print });
  } catch (error) {
    outcome = failed(error);
  }

  print(linesOf(outcome, isJson));
  const { problem, remarks = [], unfinishedKey } = outcome;
  // Who wants silence and JSON has all of it in the JSON.
  if (!shown.story && isJson) return codeOf(outcome, place.stopping);
  if (shown.story) for (const remark of remarks) screen.line(remark);
  if (problem) printProblem(screen, problem, shown.stack);
  if (unfinishedKey) printWaysOn(screen, { key: unfinishedKey, commands: waysOn(unfinishedKey) });
  return codeOf(outcome, place.stopping);
}

interface Means extends Place {
  readonly screen: Screen;
  readonly print: (lines: readonly string[]) => void;
}

/**
 * Everything that needs the service. What a command throws is told like what it returns: an error is an outcome too, and
 * of all outcomes the one after which somebody needs the key most.
 */
async function carryOut(args: Arguments, means: Means): Promise<Outcome> {
  const { screen, print } = means;
  if (args.has('follow') && !args.has('json')) throw new UsageError('--follow goes with --json.');
  const surroundings = readSurroundings(means.environment, args.text('url'));
  const isQuiet = args.has('quiet');
  if (!isQuiet) for (const warning of surroundings.warnings) screen.line(screen.styled('yellow', warning));

  const story = isQuiet ? null : new Story(screen, args.command.isCrowd ?? false);
  const unfinished = new Map<number, string>();
  const session = openSession(args, {
    stopping: means.stopping,
    surroundings,
    say: text => {
      if (story) screen.line(text);
    },
    draw: text => {
      if (story) screen.draw(text);
    },
    follow: event => {
      keepTrack(event, unfinished);
      if (args.has('follow')) print([JSON.stringify(event)]);
    },
    tell: event => story?.tell(event),
  });
  try {
    return await args.command.run(session, args);
  } catch (error) {
    const outcome = failed(error);
    // A mistake in here is no reason to forget what is on its way.
    const [key] = unfinished.values();
    return outcome.exitCode === exitCodes.unexpected && key !== undefined
      ? { ...outcome, unfinishedKey: key }
      : outcome;
  } finally {
    story?.stop();
    screen.clear();
  }
}

/** Calls that have sent a payment, a refund or a cancellation, and are not known to have come to an end. */
function keepTrack(event: ClientEvent, unfinished: Map<number, string>): void {
  const { call, idempotencyKey: key } = event;
  if (event.type === 'attempt' && event.method === 'POST' && key !== null) unfinished.set(call, key);
  if (event.type === 'end' && event.outcome !== 'unknown') unfinished.delete(call);
}

/** Where nothing was written down, the only way to send it again is to type it again, with the key. */
function waysOnWith(key: string, argv: readonly string[], args: Arguments): WaysOn['commands'] {
  const url = args.text('url');
  const where = url === undefined ? [] : ['--url', url];
  const hasKey = args.has('key') || !('key' in args.command.flags);
  // Behind `--` it would be a word.
  const flagsEnd = argv.includes('--') ? argv.indexOf('--') : argv.length;
  const again = hasKey ? argv : argv.toSpliced(flagsEnd, 0, `--key=${key}`);
  return [
    args.has('no-journal')
      ? ['send it again, with the same key', paysamCommand(...again)]
      : ['send it again, with the same key', paysamCommand('resume', ...where)],
    [
      'only ask',
      key.startsWith('-') ? paysamCommand('wait', ...where, '--', key) : paysamCommand('wait', key, ...where),
    ],
  ];
}

/** Ended by a signal before anything was sent: as shells have it. */
function codeOf({ exitCode }: Outcome, stopping: AbortSignal): number {
  return stopping.aborted && exitCode === exitCodes.not_sent
    ? exitCodeOf(stopping.reason as 'SIGINT' | 'SIGTERM')
    : exitCode;
}

/** As published: the library's and the command's are the same. */
function version(): string {
  // From dist/cli.
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
