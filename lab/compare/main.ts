import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { DatabaseServer } from '../../bench/database.js';
import { describeMachine } from '../../bench/machine.js';
import { explain, Refusal } from '../../start/refusal.js';
import { colours, complain, say, step } from '../../start/screen.js';
import { versionOf } from '../wrong-turns/published/load-package.js';
import { ComparedBank } from './bank.js';
import { faultNames, type FaultName } from './fault-name.js';
import { faults } from './faults.js';
import { harms, isHarmless, type Verdict } from './judge.js';
import { Redis, redisVersion, whyNoRedis } from './redis.js';
import { toMarkdown, toText } from './report.js';
import { complaints, type CompareResult, type DesignResult } from './result.js';
import { ours, roster, type Entry } from './roster.js';
import { measureSpeed } from './speed.js';
import { Stage } from './stage.js';
import { Trial } from './trial.js';

const usage = `npm run compare -- [options]
  --only WORDS     only what contains one of these, e.g. naive/,ours/zombie,speed: design/fault or design/speed
  --seconds N      measured seconds of each measurement of speed (3)
  --rounds N       how often each is measured (2)
  --json FILE      writes everything that was found
  --markdown FILE  writes the page for docs/
  --help           this text

Designs: ${roster.map(({ name }) => name).join('; ')}.
Faults: ${faultNames.join(', ')}.
It ends with 1 if our own came to harm, or a wrong turn no longer shows what it is here to show.`;

/** Keys in the database before speed is measured, as in the benchmark. */
const keysStored = 10_000;

/** Designs that are tried at once. Each waits more than it works. */
const lanes = 3;

/** How many customers have had a trial: each has one of its own, with an amount of its own. */
let customers = 0;

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    stopping.abort(new Refusal('Stopped.', 'Nothing is left running.'));
  });
}

try {
  const options = readOptions();
  if (options.help) say(usage);
  else await compare(options);
} catch (error) {
  complain(explain(error));
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}
process.exit();

async function compare(options: Options): Promise<void> {
  const result = await run(options);
  say(toText(result));
  if (options.json) writeFileSync(options.json, JSON.stringify(result, null, 2) + '\n');
  if (options.markdown) {
    const style = await resolveConfig(options.markdown);
    writeFileSync(options.markdown, await format(toMarkdown(result), { ...style, parser: 'markdown' }));
  }
  for (const complaint of complaints(result.designs, roster)) {
    complain(complaint);
    process.exitCode = 1;
  }
}

/** Everything between opening the servers and closing them, also when it is cut short. */
async function run(options: Options): Promise<CompareResult> {
  const { signal } = stopping;
  const closing: (() => Promise<void>)[] = [];
  try {
    const databases = await DatabaseServer.open(signal);
    closing.push(() => databases.close());
    const bank = await ComparedBank.start(signal);
    closing.push(() => bank.stop());
    const redis = whyNoRedis() === undefined ? await Redis.start() : null;
    if (redis) closing.push(() => redis.stop());
    const leftOut = roster.flatMap(entry => {
      const reason = isWanted(options, entry) ? whyNot(entry) : undefined;
      return reason === undefined ? [] : [{ name: entry.name, reason }];
    });
    const entries = roster.filter(entry => isWanted(options, entry) && whyNot(entry) === undefined);
    if (entries.length + leftOut.length === 0) throw new Refusal('--only leaves nothing to compare.', usage);
    const designs = entries.map(({ name, packages: [first] }): DesignResult => ({
      name,
      version: first === undefined ? null : versionOf(first),
      verdicts: {},
      speeds: [],
    }));
    const scene: Scene = { databases, bank, redis };
    await tryFaults(scene, designs, options);
    await measureSpeeds(scene, designs, options);
    const { connections, warmUpSeconds, seconds, rounds } = options;
    return {
      at: new Date().toISOString(),
      machine: describeMachine(),
      database: await databases.settings(),
      redis: entries.some(({ needsRedis }) => needsRedis) ? redisVersion() : null,
      load: { connections, warmUpSeconds, seconds, rounds },
      designs,
      leftOut,
    };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

interface Scene {
  databases: DatabaseServer;
  bank: ComparedBank;
  redis: Redis | null;
}

async function tryFaults({ databases, bank, redis }: Scene, designs: DesignResult[], options: Options) {
  const wanted = designs
    .map(design => ({
      design,
      entry: entryOf(design),
      names: faultNames.filter(name => options.isWanted(`${design.name}/${name}`)),
    }))
    .filter(({ names }) => names.length > 0);
  if (wanted.length === 0) return;
  const empty = await filled(databases, 0);
  const copied = [];
  for (const each of wanted) copied.push({ ...each, databaseUrl: await databases.copy(empty) });
  await inLanes(copied, async ({ design, entry, names, databaseUrl }) => {
    const stage = await Stage.open(entry, { databaseUrl, bank, redis, signal: stopping.signal });
    try {
      await Trial.prove(stage, (customers += 1));
      for (const name of names) {
        // With a new key for each attempt, there is no key that another request could share.
        if (name === 'other-amount' && entry.client !== ours.client) continue;
        stopping.signal.throwIfAborted();
        const verdict = await Trial.run(stage, faults[name], (customers += 1));
        design.verdicts[name] = verdict;
        sayVerdict(design.name, name, verdict);
      }
    } finally {
      await stage.close();
    }
  });
}

function sayVerdict(design: string, fault: FaultName, verdict: Verdict): void {
  const harm = harms.filter(each => verdict[each] > 0).map(each => `${each} ${verdict[each]}`);
  const mark = isHarmless(verdict) ? colours.green('✓') : colours.red('✗');
  say(`  ${mark} ${design.padEnd(30)} ${faults[fault].title.padEnd(34)} ${colours.dim(harm.join(', '))}`);
}

/** Most of a fault is waiting, so several designs are tried at once. The first error ends all, in good order. */
async function inLanes<Item>(items: Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = [...items];
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      await work(item).catch((error: unknown) => {
        queue.length = 0;
        throw error;
      });
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: lanes }, lane));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function measureSpeeds({ databases, redis }: Scene, designs: DesignResult[], options: Options) {
  const wanted = designs.filter(
    design => options.isWanted(`${design.name}/speed`) && entryOf(design).client === ours.client,
  );
  if (wanted.length === 0) return;
  const scene = {
    databases,
    filled: await filled(databases, keysStored),
    redis,
    signal: stopping.signal,
  };
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const design of wanted) {
      const speed = await measureSpeed(scene, entryOf(design), options);
      design.speeds.push(speed);
      const { perSecond, p99Ms } = speed;
      say(
        colours.dim(
          `  round ${round}  ${design.name.padEnd(30)} ${perSecond.toFixed(0).padStart(6)}/s  p99 ${p99Ms.toFixed(1)} ms`,
        ),
      );
    }
  }
}

async function filled(databases: DatabaseServer, keys: number): Promise<string> {
  let url = '';
  const what = `a database with ${keys.toLocaleString('en-GB')} keys`;
  await step(`Filling ${what}`, async () => {
    url = await databases.filled(keys);
    return what;
  });
  return url;
}

function entryOf({ name }: DesignResult): Entry {
  const entry = roster.find(each => each.name === name);
  if (!entry) throw new Error(`There is no design "${name}".`);
  return entry;
}

function isWanted(options: Options, { name }: Entry): boolean {
  return [...faultNames, 'speed'].some(what => options.isWanted(`${name}/${what}`));
}

/** Why a design cannot be compared on this machine. */
function whyNot({ packages, needsRedis }: Entry): string | undefined {
  const missing = packages.find(name => versionOf(name) === null);
  if (missing) return `${missing} is not installed`;
  return needsRedis ? whyNoRedis() : undefined;
}

interface Options {
  help: boolean;
  isWanted: (name: string) => boolean;
  connections: number;
  warmUpSeconds: number;
  seconds: number;
  rounds: number;
  json: string | undefined;
  markdown: string | undefined;
}

function readOptions(): Options {
  const { help, only, seconds, rounds, json, markdown } = readArguments();
  const positive = (name: string, text: string) => {
    const count = Number(text);
    if (Number.isInteger(count) && count > 0) return count;
    throw new Refusal(`--${name} is "${text}".`, `Give it a whole number above 0.\n${usage}`);
  };
  const words = only.split(',');
  return {
    help,
    isWanted: name => words.some(word => name.includes(word)),
    connections: 64,
    warmUpSeconds: 2,
    seconds: positive('seconds', seconds),
    rounds: positive('rounds', rounds),
    json,
    markdown,
  };
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        only: { type: 'string', default: '' },
        seconds: { type: 'string', default: '3' },
        rounds: { type: 'string', default: '2' },
        json: { type: 'string' },
        markdown: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new Refusal(error instanceof Error ? `${error.message}.` : String(error), `\n${usage}`);
  }
}
