import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childrenOf } from '../../test/support/killable-postgres.js';

/** How long the servers, or the acts with theirs, may take to be gone, in milliseconds. Everybody else is killed. */
const patienceMs = { SIGKILL: 5_000, SIGTERM: 10_000 };

/**
 * Where a run keeps everything: clusters, the bank's books, logs. Whatever is started below finds it as the place for
 * temporary files, so that nothing is left when this folder goes.
 */
export function makeRunFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'paysam-proof-'));
  // As root, PostgreSQL runs as another user, who has to get through.
  chmodSync(folder, 0o711);
  process.env.TMPDIR = join(folder, 'tmp');
  mkdirSync(process.env.TMPDIR, { mode: 0o711 });
  // What one start has compiled, the next need not: a thousand of them are most of a run's work.
  process.env.NODE_COMPILE_CACHE = join(folder, 'tmp', 'compiled');
  return folder;
}

/** Throws the clusters and books away; the acts' own folders only where they are empty or nothing was found. */
export function tidy(folder: string, keep: readonly string[]): void {
  for (const name of readdirSync(folder)) {
    if (!keep.includes(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
  if (keep.length === 0) rmSync(folder, { recursive: true, force: true });
}

/**
 * Ends every process that was started from here, by its id, frozen ones too, and returns when none is left. Nothing
 * else happens in this process meanwhile: an act that is under way starts nobody anew.
 *
 * @param signal SIGTERM for those who have children of their own to end
 */
export function endChildren(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): void {
  const children = childrenOf(process.pid);
  for (const pid of children) {
    // A server whose backends are to end with it is not killed: they would live on for a while.
    const isServer = nameOf(pid) === 'postgres';
    if (isServer) trySignal(pid, 'SIGCONT');
    trySignal(pid, isServer ? 'SIGQUIT' : signal);
  }
  const until = Date.now() + patienceMs[signal];
  while (children.some(isAlive) && Date.now() < until)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  for (const pid of children.filter(isAlive)) trySignal(pid, 'SIGKILL');
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Ended, but not yet collected by us, is ended. Elsewhere than on Linux nobody tells: it is waited in full. */
function isAlive(pid: number): boolean {
  const state = readStat(pid)?.split(') ').at(-1)?.[0];
  return state !== undefined && state !== 'Z';
}

function nameOf(pid: number): string | undefined {
  return /\((.*)\)/.exec(readStat(pid) ?? '')?.[1];
}

function readStat(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
}
