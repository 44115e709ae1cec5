import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Refusal } from '../../start/refusal.js';
import type { Act, Stage } from './act.js';

export interface Options {
  readonly seed: number;
  readonly scale: Stage['scale'];
  readonly minutes: number | undefined;
  /** Those to perform, in their order. */
  readonly acts: readonly Act[];
  readonly json: string | undefined;
  readonly markdown: string | undefined;
  readonly help: boolean;
}

const seedMax = 2 ** 31 - 1;
const minutesMax = 24 * 60;

export function usage(acts: readonly Act[]): string {
  return `npm run prove                                      every act at the scale of the gate, by a seed that is drawn
npm run prove -- --seed 7 --act random-faults      one act again, with the faults of that seed
npm run prove -- --scale long --json proof.json    the long run, and all that came of it
npm run prove -- --act random-faults --minutes 10  only the random part, for ten minutes
npm run prove -- --scale long --act random-faults --minutes 72
                                                   a soak: twelve minutes of faults, then an hour in which nobody is killed

  --seed N         0 to ${seedMax}; draws the load, the faults and their times. It cannot draw how processes interleave
  --scale NAME     gate (the default: ten minutes) or long (an hour or two)
  --minutes N      how long the random part takes, in a long run five sixths of it a soak; without it, the scale says
  --act NAME       only this act; may be given again
  --json FILE      writes everything that was counted and timed
  --markdown FILE  writes the page for docs/
  --help           this text

Acts:
${acts.map(({ name, about }) => `  ${asOption(name).padEnd(18)}${about}`).join('\n')}

It ends with 0 when nothing was found, 1 when a promise was broken or a run proves too little, and 2 when the harness
itself failed: that is no verdict.`;
}

/** @throws Refusal with one sentence about what cannot be understood, and one about what can */
export function readOptions(args: readonly string[], acts: readonly Act[]): Options {
  const values = parse(args);
  return {
    seed: values.seed === undefined ? Math.floor(Math.random() * seedMax) : readSeed(values.seed),
    scale: readScale(values.scale),
    minutes: values.minutes === undefined ? undefined : readMinutes(values.minutes),
    acts: readActs(values.act, acts),
    json: readFile('--json', values.json),
    markdown: readFile('--markdown', values.markdown),
    help: values.help,
  };
}

/** What repeats one act of a run. */
export function commandFor(
  act: Act,
  { minutes, scale, seed }: Pick<Options, 'minutes' | 'scale' | 'seed'>,
): string {
  const more = [
    ...(scale === 'gate' ? [] : ['--scale', scale]),
    ...(minutes === undefined ? [] : ['--minutes', String(minutes)]),
  ];
  return ['npm run prove --', '--seed', String(seed), '--act', asOption(act.name), ...more].join(' ');
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seed: { type: 'string' },
        scale: { type: 'string', default: 'gate' },
        minutes: { type: 'string' },
        act: { type: 'string', multiple: true, default: [] },
        json: { type: 'string' },
        markdown: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    // Node's own words name the option, and go on with advice that does not concern us.
    const [sentence = ''] = (error as Error).message.split(/\.\s/);
    throw new Refusal(`${sentence.replace(/\.$/, '')}.`, 'npm run prove -- --help lists what there is.');
  }
}

function readSeed(text: string): number {
  const seed = Number(text);
  if (text.trim() !== '' && Number.isInteger(seed) && seed >= 0 && seed <= seedMax) return seed;
  throw new Refusal(`--seed ${text} is no seed.`, `It is a whole number from 0 to ${seedMax}.`);
}

function readScale(text: string): Stage['scale'] {
  if (text === 'gate' || text === 'long') return text;
  throw new Refusal(`--scale ${text} does not exist.`, 'There are gate and long.');
}

function readMinutes(text: string): number {
  const minutes = Number(text);
  if (text.trim() !== '' && minutes > 0 && minutes <= minutesMax) return minutes;
  throw new Refusal(
    `--minutes ${text} is no length.`,
    `It is above 0 and at most ${minutesMax}; 0.5 is half a minute.`,
  );
}

function readActs(names: readonly string[], acts: readonly Act[]): readonly Act[] {
  if (names.length === 0) return acts;
  const wanted = new Set(names.map(asOption));
  for (const name of wanted) {
    if (acts.some(act => asOption(act.name) === name)) continue;
    throw new Refusal(
      `There is no act ${name}.`,
      `There are ${acts.map(act => asOption(act.name)).join(', ')}.`,
    );
  }
  return acts.filter(({ name }) => wanted.has(asOption(name)));
}

/** Found out before hours of work, not after them. */
function readFile(option: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const folder = dirname(resolve(path));
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Refusal(`${option} ${path} cannot be written.`, `${folder} is no folder.`);
  }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new Refusal(`${option} ${path} cannot be written.`, 'It is a folder; name a file in it.');
  }
  return path;
}

/** Without blanks, so that no shell needs quotes. */
function asOption(name: string): string {
  return name.trim().replaceAll(' ', '-');
}
