import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { DriverOptions } from './driver.js';

/** A driver as a process of its own, so that it is as busy as it likes. */
export interface Load {
  readonly kill: () => void;
  /** Lets callers come to an end. Those that have not by then never will: they wait for what is parked, say. */
  readonly drain: (withinMs: number) => Promise<void>;
}

export function startLoad(options: DriverOptions): Load {
  const script = join(import.meta.dirname, 'driver.js');
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const gone = once(child, 'exit');
  return {
    kill: () => {
      child.kill('SIGKILL');
    },
    drain: async withinMs => {
      child.kill('SIGTERM');
      const impatience = setTimeout(() => child.kill('SIGTERM'), withinMs);
      const [code] = (await gone) as [number | null];
      clearTimeout(impatience);
      if (code !== 0) throw new Error(`the driver ended with ${String(code)}`);
    },
  };
}
