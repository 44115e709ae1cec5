import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface Received {
  /** The request as it came, to the last byte. */
  readonly bytes: string;
  readonly key: string;
  readonly body: string;
}

/** What the server does with one request: answers with these bytes and goes on listening, or something worse. */
export type Reply = string | ((socket: Socket, received: Received) => void);

export interface ScriptedServer {
  readonly url: string;
  readonly port: number;
  readonly requests: Received[];
  /** How many connections there were. */
  connections: number;
  /** What becomes of the next requests, in order. Whatever comes after the last one gets the last one again. */
  play: (...replies: Reply[]) => void;
  stop: () => Promise<void>;
}

/** A server below HTTP: for what the API never does, but networks, proxies and dying processes do. */
export async function startScriptedServer(): Promise<ScriptedServer> {
  let replies: Reply[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    scripted.connections += 1;
    sockets.add(socket);
    let bytes = '';
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.on('data', chunk => {
      bytes += chunk.toString();
      const received = readRequest(bytes);
      if (!received) return;
      bytes = '';
      scripted.requests.push(received);
      const reply = (replies.length > 1 ? replies.shift() : replies[0]) ?? reset;
      if (typeof reply === 'string') socket.write(reply);
      else reply(socket, received);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const scripted: ScriptedServer = {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: [],
    connections: 0,
    play: (...next) => {
      replies = next;
      scripted.requests.length = 0;
      scripted.connections = 0;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return scripted;
}

/** Undefined while it is not all there. */
function readRequest(bytes: string): Received | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.slice(0, end);
  const body = bytes.slice(end + 4);
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
  if (body.length < length) return undefined;
  return { bytes, body, key: /^idempotency-key: "(.*)"$/im.exec(head)?.[1] ?? '' };
}

export function reset(socket: Socket): void {
  socket.resetAndDestroy();
}

export function silence(): void {
  // Takes the request, and never says a word.
}

/** An answer that is whole, unless the headers lie. */
export function answer(status: number, body: unknown = '', headers: Record<string, string> = {}): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const lines = Object.entries({
    'content-type': status < 400 ? 'application/json' : 'application/problem+json',
    'content-length': String(Buffer.byteLength(text)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} Whatever`, ...lines, '', text].join('\r\n');
}

export function problem(
  status: number,
  code: string,
  headers: Record<string, string> = {},
  members = {},
): string {
  const json = { type: `/problems/${code}`, title: 'No', status, code, detail: 'Because.', ...members };
  return answer(status, json, headers);
}

/** The payment that was asked for, paid. */
export function paid(headers: Record<string, string> = {}, status = 200): Reply {
  return (socket, received) => socket.write(answer(status, paymentFor(received), headers));
}

export function paymentFor({ key, body }: Pick<Received, 'key' | 'body'>): Record<string, unknown> {
  const { to, amount, currency } = JSON.parse(body) as Record<string, unknown>;
  return { object: 'payment', id: 'p-1', status: 'succeeded', to, amount, currency, idempotency_key: key };
}

/** So many bytes of the answer, then the connection breaks. */
export function cutAfter(bytes: number, how: 'end' | 'reset'): Reply {
  return (socket, received) => {
    socket.write(answer(200, paymentFor(received)).slice(0, bytes), () => {
      if (how === 'end') socket.end();
      // What was written has to get there first.
      else setTimeout(() => socket.resetAndDestroy(), 20);
    });
  };
}
