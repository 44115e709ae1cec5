import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { explain, Refusal } from '../start/refusal.js';
import { colours, complain, say, step } from '../start/screen.js';
import { agenda, keysStored, manyKeysStored, recoveryAgenda, situations } from './agenda.js';
import { DatabaseServer } from './database.js';
import { describeMachine } from './machine.js';
import { measure, type Measurement } from './measure.js';
import { ratios } from './ratios.js';
import { measureRecovery, type Recovery } from './recovery.js';
import { toMarkdown, toText } from './report.js';
import { failures, summarise, summariseRecovery, type BenchResult } from './result.js';

const usage = `npm run bench -- [options]
  --seconds N      measured seconds of each measurement (5)
  --rounds N       how often each is measured (3)
  --connections N  callers at once (64)
  --quick          short warm-up, no million keys (they take a minute to fill in), no outage: shows that it works, not how fast
  --only WORDS     only what contains one of these, e.g. spread/ours,bank,recovery
  --json FILE      writes everything measured
  --markdown FILE  writes the page for docs/`;

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    stopping.abort(new Refusal('Stopped.', 'Nothing is left running.'));
  });
}

try {
  const options = readOptions();
  const result = await run(options);
  say(toText(result));
  if (options.json) writeFileSync(options.json, JSON.stringify(result, null, 2) + '\n');
  if (options.markdown) {
    // As the check of this repository wants every page.
    const style = await resolveConfig(options.markdown);
    writeFileSync(options.markdown, await format(toMarkdown(result), { ...style, parser: 'markdown' }));
  }
  for (const failure of failures(result)) {
    complain(failure);
    process.exitCode = 1;
  }
} catch (error) {
  complain(explain(error));
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}
process.exit();

interface Options {
  plan: BenchResult['plan'];
  quick: boolean;
  only: string[];
  json: string | undefined;
  markdown: string | undefined;
}

/** Everything between opening the database and closing it, also when it is cut short. */
async function run(options: Options): Promise<BenchResult> {
  const { signal } = stopping;
  const databases = await DatabaseServer.open(signal);
  const work = rounds(databases, options, signal);
  try {
    return await Promise.race([work, whenAborted(signal)]);
  } finally {
    // Closing cuts off whatever the work still waits for; its processes have ended once it has.
    await databases.close();
    await work.catch(() => undefined);
  }
}

async function rounds(
  databases: DatabaseServer,
  options: Options,
  signal: AbortSignal,
): Promise<BenchResult> {
  const { plan, quick, only } = options;
  const isWanted = (name: string) => only.some(word => name.includes(word));
  const cases = situations
    .filter(situation => !quick || situation !== 'million keys')
    .flatMap(situation =>
      agenda[situation].servers.map(server => ({ situation, server, rounds: [] as Measurement[] })),
    )
    .filter(({ situation, server }) => isWanted(`${situation}/${server}`));
  const recoveries = recoveryAgenda
    .filter(({ outageSeconds }) => !quick || outageSeconds === 0)
    .filter(({ name }) => isWanted(`${name}/ours`))
    .map(planned => ({ ...planned, rounds: [] as Recovery[] }));
  if (cases.length === 0 && recoveries.length === 0)
    throw new Refusal(
      '--only leaves nothing to measure.',
      `Its words must occur in situation/server.\n${usage}`,
    );

  const database = await databases.settings();
  const few = await filled(databases, keysStored);
  const many = cases.some(({ situation }) => situation === 'million keys')
    ? await filled(databases, manyKeysStored)
    : undefined;
  // A copy of a million keys would take longer than it is worth: a round adds a few in a hundred to them.
  let manyKeys = manyKeysStored;

  for (let round = 1; round <= plan.rounds; round += 1) {
    for (const { situation, server, rounds } of cases) {
      const isMany = situation === 'million keys' && many !== undefined;
      const databaseUrl = isMany ? many : await databases.copy(few);
      const paymentsBefore = isMany ? manyKeys : keysStored;
      const measured = await measure(
        databases,
        { server, situation, databaseUrl, paymentsBefore, load: plan },
        signal,
      );
      if (isMany) manyKeys = measured.audit.payments;
      else await databases.drop(databaseUrl);
      rounds.push(measured);
      const { perSecond, p50Ms, p99Ms } = measured;
      sayDone(round, situation, [
        server.padEnd(7),
        `${perSecond.toFixed(0).padStart(6)}/s`,
        `p50 ${p50Ms.toFixed(2)} ms`,
        `p99 ${p99Ms.toFixed(2)} ms`,
      ]);
    }
    for (const { name, outageSeconds, rounds } of recoveries) {
      const databaseUrl = await databases.copy(few);
      const plan = { databaseUrl, paymentsBefore: keysStored, outageSeconds };
      const recovery = await measureRecovery(plan, signal);
      await databases.drop(databaseUrl);
      rounds.push(recovery);
      const seconds = recovery.seconds?.toFixed(1) ?? 'never';
      sayDone(round, name, ['ours   ', `${recovery.abandoned} abandoned`, `finished after ${seconds} s`]);
    }
  }
  const results = cases.map(each => summarise(each.situation, each.server, each.rounds));
  const recovered = recoveries.map(each => summariseRecovery(each.name, each.rounds));
  return {
    at: new Date().toISOString(),
    machine: describeMachine(),
    database,
    plan,
    cases: results,
    recoveries: recovered,
    ratios: ratios(results, recovered),
  };
}

function sayDone(round: number, situation: string, figures: string[]): void {
  say(colours.dim(`  round ${round}  ${situation.padEnd(15)}  ${figures.join('  ')}`));
}

async function filled(databases: DatabaseServer, keys: number): Promise<string> {
  let url = '';
  await step(`Filling a database with ${keys.toLocaleString('en-GB')} keys`, async () => {
    url = await databases.filled(keys);
    return `A database with ${keys.toLocaleString('en-GB')} keys`;
  });
  return url;
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });
}

function readOptions(): Options {
  const values = readArguments();
  const positive = (name: 'seconds' | 'rounds' | 'connections') => {
    const count = Number(values[name]);
    if (Number.isInteger(count) && count > 0) return count;
    throw new Refusal(`--${name} is "${values[name]}".`, `Give it a whole number above 0.\n${usage}`);
  };
  const { quick, only, json, markdown } = values;
  return {
    plan: {
      seconds: positive('seconds'),
      warmUpSeconds: quick ? 0.5 : 3,
      rounds: positive('rounds'),
      connections: positive('connections'),
    },
    quick,
    only: only.split(','),
    json,
    markdown,
  };
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        seconds: { type: 'string', default: '5' },
        rounds: { type: 'string', default: '3' },
        connections: { type: 'string', default: '64' },
        quick: { type: 'boolean', default: false },
        only: { type: 'string', default: '' },
        json: { type: 'string' },
        markdown: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new Refusal(error instanceof Error ? `${error.message}.` : String(error), `\n${usage}`);
  }
}
