import { once } from 'node:events';
import { createServer } from 'node:net';
import { freePort } from '../../start/ports.js';

/** Ports of one act of a proof. It starts fewer processes than this before the first of them is long forgotten. */
export const portsOfAct = 1_000;

let drawn = 0;
const kept = new Set<number>();

/**
 * A port for a process that will be killed. Where several acts go on side by side, each draws from ports of its own,
 * from PORTS_FROM on and below those that the system gives away, and takes the one next that it has left alone for
 * longest: else the port of the dead is given to a process of another act, and callers who still knock there, with a key
 * that everybody knows, are let in.
 */
export async function ownPort(from = Number(process.env.PORTS_FROM ?? 0)): Promise<number> {
  if (from === 0) return freePort();
  for (let tries = 0; tries < portsOfAct; tries += 1) {
    const port = from + (drawn++ % portsOfAct);
    if (!kept.has(port) && (await isFree(port))) return port;
  }
  throw new Error(`no port is free from ${from} to ${from + portsOfAct - 1}`);
}

/** For a process that is killed and comes back at the same port: nobody else draws it, also while it is away. */
export async function keptPort(from?: number): Promise<number> {
  const port = await ownPort(from);
  kept.add(port);
  return port;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
