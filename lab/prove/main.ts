import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from '../../bench/machine.js';
import { findBinaries } from '../../start/postgres-binaries.js';
import { findHome } from '../../start/postgres-home.js';
import { explain, Refusal } from '../../start/refusal.js';
import { complain, say } from '../../start/screen.js';
import type { Act, ActResult } from './act.js';
import { acts } from './acts.js';
import { bundleApp } from './bundle-app.js';
import { writeEvidence } from './evidence/write-evidence.js';
import { readOptions, usage, type Options } from './options.js';
import { performActs } from './perform-acts.js';
import { exitCodeOf, exitCodes, toText, type Failure, type Proof } from './proof.js';
import { endChildren, makeRunFolder, tidy } from './run-folder.js';

/*
 * What is where: acts.ts lists the acts, each in a file of acts/; perform-acts.ts performs them.
 * world.ts has the processes and the networks between them; schedule.ts draws faults, strike.ts and go-wrong.ts let them happen. driver.ts is the load, and writes the first
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
  await bundleApp(join(folder, 'app'));
  const came = new Map<Act, ActResult | Failure>();
  await performActs(
    options,
    act => join(folder, nameOfFolder(act)),
    (act, what) => came.set(act, what),
  );
  // In the order of the acts, whichever ended first.
  const all = options.acts.flatMap(act => came.get(act) ?? []);
  const failures = all.filter((each): each is Failure => 'error' in each);
  const results = all.filter((each): each is ActResult => !('error' in each));
  const kept = options.acts.filter(act => {
    const what = came.get(act);
    return !what || 'error' in what || what.violations.length > 0;
  });
  const proof: Proof = {
    ...{ at: new Date().toISOString(), seed, scale, minutes },
    machine: describeMachine(),
    postgres,
    tookMs: Math.round(performance.now() - began),
    results,
    failures,
  };
  tidy(folder, kept.map(nameOfFolder));
  say(`\n${toText(proof)}\n`);
  if (json !== undefined) writeFileSync(json, JSON.stringify(proof, null, 1) + '\n');
  if (markdown !== undefined) await writeEvidence(proof, markdown);
  process.exitCode = exitCodeOf(proof);
}

function nameOfFolder({ name }: Act): string {
  return name.replaceAll(' ', '-');
}

/** At once, and in one turn of the event loop: no act goes on, and each ends what it has started. */
function stopOnSignal(folder: string): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      endChildren('SIGTERM');
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
