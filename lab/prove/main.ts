import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from '../../bench/machine.js';
import { findBinaries } from '../../start/postgres-binaries.js';
import { findHome } from '../../start/postgres-home.js';
import { explain, Refusal } from '../../start/refusal.js';
import { complain, say } from '../../start/screen.js';
import type { Act, ActResult } from './act.js';
import { acts } from './acts.js';
import { writeEvidence } from './evidence/write-evidence.js';
import { countFaults } from './what-is-a-fault.js';
import { commandFor, readOptions, usage, type Options } from './options.js';
import { Progress } from './progress.js';
import {
  boundOf,
  exitCodeOf,
  exitCodes,
  number,
  tellViolations,
  toText,
  withVacuity,
  type Failure,
  type Proof,
} from './proof.js';
import { endChildren, makeRunFolder, tidy } from './run-folder.js';

/*
 * What is where: acts.ts lists the acts, each in a file of acts/. world.ts has the processes and the networks between
 * them; schedule.ts draws faults, strike.ts and go-wrong.ts let them happen. driver.ts is the load, and writes the first
 * witness; bank-witness.ts and database-witness.ts read the other two; checkers/ judge all of them, each invariant in a
 * file of its own. evidence/ makes the page.
 */
try {
  const options = readOptions(process.argv.slice(2), acts);
  if (options.help) say(usage(acts));
  else await prove(options);
} catch (error) {
  complain(
    error instanceof Refusal ? explain(error) : `The harness failed, which is no verdict. ${explain(error)}`,
  );
  process.exitCode = exitCodes.harnessFailed;
}
process.exit();

async function prove(options: Options): Promise<void> {
  const { json, markdown, minutes = null, scale, seed } = options;
  say(`seed ${seed}, scale ${scale}${minutes === null ? '' : `, ${minutes} min at random`}, acts:`);
  for (const { name, about } of options.acts) say(`  ${name}: ${about}`);

  const folder = makeRunFolder();
  const { version: postgres } = findBinaries(findHome(join(folder, 'tmp')));
  stopOnSignal(folder);
  const began = performance.now();
  const results: ActResult[] = [];
  const failures: Failure[] = [];
  const kept: string[] = [];
  for (const act of options.acts) {
    const came = await perform(act, options, join(folder, nameOfFolder(act)));
    if ('error' in came) failures.push(came);
    else results.push(came);
    if ('error' in came || came.violations.length > 0) kept.push(nameOfFolder(act));
  }
  const proof: Proof = {
    ...{ at: new Date().toISOString(), seed, scale, minutes },
    machine: describeMachine(),
    postgres,
    tookMs: Math.round(performance.now() - began),
    results,
    failures,
  };
  tidy(folder, kept);
  say(`\n${toText(proof)}\n`);
  if (json !== undefined) writeFileSync(json, JSON.stringify(proof, null, 1) + '\n');
  if (markdown !== undefined) await writeEvidence(proof, markdown);
  process.exitCode = exitCodeOf(proof);
}

/** One act, and whatever it left running ended: the next finds the machine as this one did. */
async function perform(act: Act, options: Options, folder: string): Promise<ActResult | Failure> {
  const { minutes, scale, seed } = options;
  const progress = new Progress(act.name);
  mkdirSync(folder);
  const again = () => {
    writeFileSync(join(folder, 'progress.txt'), progress.said.join('\n') + '\n');
    say(`  Logs: ${folder}\n  Again: ${commandFor(act, options)}`);
  };
  try {
    const stage = { seed, scale, folder, say: progress.say, ...(minutes !== undefined && { minutes }) };
    const result = withVacuity(await act.perform(stage));
    const isWell = result.violations.length === 0;
    const did = `${number(result.operations)} operations, ${number(countFaults(result))} faults`;
    progress.end(isWell, `${did}, violations: ${boundOf(result)}`);
    if (!isWell) {
      for (const line of tellViolations(result.violations)) say(`  ${line}`);
      writeFileSync(join(folder, 'violations.json'), JSON.stringify(result.violations, null, 1) + '\n');
      again();
    }
    return result;
  } catch (error) {
    progress.end(false, 'the harness failed, which is no verdict:');
    complain(explain(error));
    again();
    return { act: act.name, error: explain(error) };
  } finally {
    endChildren();
  }
}

function nameOfFolder({ name }: Act): string {
  return name.replaceAll(' ', '-');
}

/** At once, and in one turn of the event loop: no act goes on, and nothing it started does. */
function stopOnSignal(folder: string): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      endChildren();
      tidy(folder, []);
      complain('Stopped, without a verdict. Nothing is left running.');
      process.exit(exitCodes.stopped);
    });
  }
  // Told to npm, a signal does not reach us: then we have another parent.
  const { ppid } = process;
  setInterval(() => {
    if (process.env.npm_lifecycle_event && process.ppid !== ppid) process.emit('SIGTERM');
  }, 500).unref();
}
