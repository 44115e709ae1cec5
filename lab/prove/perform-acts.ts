import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Act, ActResult } from './act.js';
import type { Task } from './act-process.js';
import type { Options } from './options.js';
import type { Failure } from './proof.js';

/**
 * Two acts at a time: one that works the machine hard, and one in which somebody mostly waits; where none of the one
 * kind are left, two of the other. Each is a process of its own, so that the judgement of one, seconds of computing,
 * does not hold up the networks of the other, which live in its process.
 *
 * @param done told of each as it ends, in whatever order
 */
export async function performActs(
  { acts, minutes, scale, seed }: Options,
  folderOf: (act: Act) => string,
  done: (act: Act, came: ActResult | Failure) => void,
): Promise<void> {
  const [waiting, working] = [true, false].map(waits => acts.filter(act => (act.waits ?? false) === waits));
  const isAlone = acts.length === 1;
  const takeTurns = async (next: () => Act | undefined) => {
    for (let act = next(); act; act = next()) {
      const folder = folderOf(act);
      const task = { act: act.name, seed, scale, folder, isAlone, ...(minutes !== undefined && { minutes }) };
      done(act, await inProcess(task));
    }
  };
  await Promise.all([
    takeTurns(() => working?.shift() ?? waiting?.shift()),
    takeTurns(() => waiting?.shift() ?? working?.shift()),
  ]);
}

async function inProcess(task: Task): Promise<ActResult | Failure> {
  const child = fork(join(import.meta.dirname, 'act-process.js'), [JSON.stringify(task)]);
  let came: ActResult | Failure | undefined;
  child.once('message', message => {
    came = message as ActResult | Failure;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return came ?? { act: task.act, error: `its process ended with ${String(code)}` };
}
