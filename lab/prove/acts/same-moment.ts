import { once } from 'node:events';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyOf } from '../fetch-sender.js';
import type { Ended, Listener, Request } from '../send.js';

/** One request of a crowd. */
export interface OneOfMany {
  readonly request: Request;
  /** Which API it goes to. */
  readonly port: number;
  readonly listener: Listener;
}

/** How long the servers have to read all but the last byte, in milliseconds: then only those bytes are in the race. */
const readyMs = 25;

const answeredWithinMs = 30_000;

/** Connections that stay: a race is between requests, not between handshakes. */
const agent = new Agent({ keepAlive: true });

/**
 * Sends all of them but for one byte each, and then the last bytes together, one after the other in one turn of the
 * event loop. What decides between them is then the server alone.
 *
 * @returns how each ended, in the order in which they were given; and milliseconds from the last bytes to the last end
 */
export async function sendAtOnce(many: readonly OneOfMany[]): Promise<{ ends: Ended[]; tookMs: number }> {
  const held = many.map(hold);
  await Promise.all(held.map(({ isOpen }) => isOpen));
  await sleep(readyMs);
  const began = performance.now();
  for (const { release } of held) release();
  const ends = await Promise.all(held.map(({ end }) => end));
  return { ends, tookMs: performance.now() - began };
}

/** Lets go of the connections: a process that stops waits for none of them. */
export function hangUp(): void {
  agent.destroy();
}

function hold({ request: { apiKey, body = '', key, method, path, prefer }, port, listener }: OneOfMany) {
  const bytes = Buffer.from(body);
  const exchange = listener.begins();
  const sent = request({
    agent,
    host: '127.0.0.1',
    port,
    method,
    path,
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'content-length': bytes.length,
      ...(key !== null && { 'idempotency-key': `"${key}"` }),
      ...(prefer !== undefined && { prefer }),
    },
    timeout: answeredWithinMs,
  });
  sent.setNoDelay(true);
  sent.on('timeout', () => sent.destroy(new Error('TimeoutError')));
  const isOpen = new Promise<void>(resolve => {
    sent.write(bytes.subarray(0, -1), () => {
      resolve();
    });
    sent.once('error', () => {
      resolve();
    });
  });
  const end = endOf(sent).then(how => {
    listener.ends(exchange, how);
    return how;
  });
  return { isOpen, end, release: () => sent.end(bytes.subarray(-1)) };
}

async function endOf(sent: ClientRequest): Promise<Ended> {
  try {
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    const headers = Object.entries(answer.headers).map(([name, value]) => [name, String(value)] as const);
    return {
      kind: 'answered',
      status: answer.statusCode ?? 0,
      headers: new Map(headers),
      text: await text(answer),
    };
  } catch (error) {
    return { kind: 'silence', why: whyOf(error) };
  }
}
