import { Caller } from './caller.js';
import { chance } from './chance.js';
import type { Outage } from './outages.js';
import type { Policy } from './policies.js';
import { Server, type ServerSettings } from './server.js';
import { Tally } from './tally.js';
import { VirtualTime } from './virtual-time.js';

export interface Setting {
  readonly seed: number;
  /** Processes, each with a budget and a breaker of its own. */
  readonly clients: number;
  /** The mean time between two calls of one client. */
  readonly betweenCallsMs: number;
  readonly server: Pick<ServerSettings, 'workers' | 'serviceMs'>;
  /** Quiet time before the outage. */
  readonly quietMs: number;
}

export interface Run {
  readonly tally: Tally;
  readonly server: Pick<Server, 'workedMs' | 'wastedMs'>;
  readonly beginsAtMs: number;
  readonly backAtMs: number;
}

/** The server can do 1.6 times what its callers ask of it, whatever their number. */
export function settingFor(clients: number, seed: number): Setting {
  const workers = Math.ceil(clients * 0.08);
  return { seed, clients, betweenCallsMs: 1_000, server: { workers, serviceMs: 50 }, quietMs: 10_000 };
}

/** One policy, one outage: quiet, trouble, and what comes of it. The same again for the same setting. */
export function simulate(setting: Setting, policy: Policy, outage: Outage | null): Run {
  const { seed, clients, betweenCallsMs, quietMs } = setting;
  const beginsAtMs = quietMs;
  const backAtMs = beginsAtMs + (outage?.lastsMs ?? 0);
  const time = new VirtualTime(backAtMs + (outage?.watchMs ?? 0));
  const { workers, serviceMs } = setting.server;
  const queueMax = (outage?.shedsBeyondMs ?? Infinity) * (workers / serviceMs);
  const server = new Server(time, { workers, serviceMs, queueMax }, chance(seed, 'service'));
  const tally = new Tally(time.endsAtMs);

  const chances = { calls: chance(seed, 'calls'), backoff: chance(seed, 'backoff') };
  const world = { time, server, tally, policy, betweenCallsMs, chance: chances };
  for (let client = 0; client < clients; client += 1) new Caller(world).start();

  if (outage) {
    time.at(beginsAtMs, () => {
      server.become(outage.condition(backAtMs));
    });
    time.at(backAtMs, () => {
      if (outage.endsInRestart) server.restart();
      else server.become({ kind: 'works', slowness: 1 });
    });
  }
  time.run();
  return { tally, server, beginsAtMs, backAtMs };
}
