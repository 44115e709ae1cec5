import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Compiles what every API and every worker of a run loads, and keeps it where they find it: NODE_COMPILE_CACHE. Once,
 * before the first of them starts. Left to them, several write the same two thousand files side by side, and stand
 * still meanwhile for longer than anybody waits for an answer.
 */
export async function compileOnce(): Promise<void> {
  const modules = ['../../src/main.js', '../../src/worker.js'].map(path => import.meta.resolve(path));
  const load = `await Promise.all(${JSON.stringify(modules)}.map(each => import(each)))`;
  // What it has compiled is written when it ends.
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', load]);
}
