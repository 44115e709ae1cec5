import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { DriverOptions } from './driver.js';
import type { CallsEnded } from './told-client.js';

/** What a driver that comes to its end by itself prints. */
export interface DriverReport {
  readonly operations: number;
  readonly calls: CallsEnded;
}

/** A driver as a process of its own, so that it is as busy as it likes, and neither its load nor its death is ours. */
export interface Load {
  /** SIGKILL: wait for `gone` where it matters. */
  readonly kill: () => void;
  readonly gone: Promise<unknown>;
  /** It begins nothing new. */
  readonly stop: () => void;
  /** Stops it, and lets callers come to an end. Those that have not by then never will: they wait for what is parked, say. */
  readonly drain: (withinMs: number) => Promise<void>;
  /** @throws Error when it does not come to an end by itself: that is the harness's failure, or a caller's without end */
  readonly ended: (withinMs: number) => Promise<DriverReport>;
}

export function startLoad(options: DriverOptions): Load {
  const script = join(import.meta.dirname, 'driver-process.js');
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const gone = once(child, 'exit') as Promise<[number | null]>;
  const told = text(child.stdout as NonNullable<typeof child.stdout>);
  const end = async (withinMs: number, impatient: NodeJS.Signals) => {
    const impatience = setTimeout(() => child.kill(impatient), withinMs);
    const [code] = await gone;
    clearTimeout(impatience);
    if (code !== 0) throw new Error(`the driver ${options.name} ended with ${String(code)}`);
    return JSON.parse(await told) as DriverReport;
  };
  const stop = () => {
    child.kill('SIGTERM');
  };
  return {
    kill: () => {
      child.kill('SIGKILL');
    },
    gone,
    stop,
    drain: async withinMs => {
      stop();
      // Told a second time, it gives up.
      await end(withinMs, 'SIGTERM');
    },
    ended: withinMs => end(withinMs, 'SIGKILL'),
  };
}
