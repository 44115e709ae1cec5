import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Refusal } from './refusal.js';
import { say } from './screen.js';

/** How long an API whose parent was killed may hold on to its port, in milliseconds, while it shuts down. */
const patienceMs = 3_000;

/** Free a moment ago, that is: should another program be quicker, the start is tried again on the next one. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Where something wants to listen, and the variable that sends it elsewhere. */
export interface Place {
  host: string;
  port: number;
  variable: 'PORT' | 'BANK_PORT';
}

export async function refuseBusyPort({ host, port, variable }: Place, signal: AbortSignal): Promise<void> {
  const until = Date.now() + patienceMs;
  for (let tries = 1; ; tries++) {
    const trouble = await troubleListening(host, port);
    if (trouble === undefined) return;
    if (trouble !== 'EADDRINUSE') {
      throw new Refusal(
        `Cannot listen on ${host}:${String(port)} (${trouble}).`,
        `Set ${variable} or HOST to another.`,
      );
    }
    if (Date.now() > until) {
      throw new Refusal(
        `Port ${String(port)} is in use.`,
        `Stop the program that uses it, or choose another port: ${variable}=${String(port + 2)} npm start`,
      );
    }
    if (tries === 1) say(`Port ${String(port)} is in use; an earlier copy may just be stopping …`);
    await sleep(100, undefined, { signal });
  }
}

/** `localhost` may mean ::1 before 127.0.0.1, so that whoever listens there would get what is meant for us. */
async function troubleListening(host: string, port: number): Promise<string | undefined> {
  for (const address of [host, '::1']) {
    const server = createServer().listen(port, address);
    try {
      await once(server, 'listening');
      server.close();
      await once(server, 'close');
    } catch (error) {
      const { code = 'unknown' } = error as NodeJS.ErrnoException;
      if (address === host || code === 'EADDRINUSE') return code;
    }
  }
  return undefined;
}
