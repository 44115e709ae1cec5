import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { portsOfAct } from '../../test/support/own-port.js';
import { explain } from '../../start/refusal.js';
import { complain, say } from '../../start/screen.js';
import type { Act, ActResult, Stage } from './act.js';
import { acts } from './acts.js';
import { commandFor } from './options.js';
import { Progress } from './progress.js';
import { boundOf, exitCodes, number, tellViolations, withVacuity, type Failure } from './proof.js';
import { endChildren } from './run-folder.js';
import { countFaults } from './what-is-a-fault.js';

/** All that one act is told. */
export interface Task extends Omit<Stage, 'say'> {
  readonly act: string;
  /** Others are performed meanwhile, and say where they have got to on the same screen. */
  readonly isAlone: boolean;
}

/*
 * An act's process: `node act-process.js '<a Task as JSON>'`. It tells its parent what came of the act, and ends with
 * everything that it has started: by itself, on a signal, or when its parent is gone.
 */
const task = JSON.parse(process.argv[2] ?? '{}') as Task;
const act = acts.find(({ name }) => name === task.act);
if (!act) throw new Error(`there is no act ${task.act}`);
for (const end of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) {
  process.once(end, () => {
    // At once, and in one turn of the event loop: the act does not go on, and nothing it started does.
    endChildren();
    process.exit(exitCodes.stopped);
  });
}
// Below the ports that the system gives away.
process.env.PORTS_FROM = String(20_000 + portsOfAct * acts.indexOf(act));
const came = await perform(act, task);
endChildren();
process.send?.(came, () => process.exit());

async function perform(
  act: Act,
  { folder, isAlone, minutes, scale, seed }: Task,
): Promise<ActResult | Failure> {
  const progress = new Progress(act.name, isAlone);
  mkdirSync(folder);
  const again = () => {
    writeFileSync(join(folder, 'progress.txt'), progress.said.join('\n') + '\n');
    say(`  Logs: ${folder}\n  Again: ${commandFor(act, { minutes, scale, seed })}`);
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
  }
}
