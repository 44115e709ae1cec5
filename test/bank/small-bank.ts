import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { BankClient, type BankSettings } from '../../src/bank/bank.client.js';
import type { BankEvent } from '../../src/bank/events.js';

export const order = { reference: 'pay_1', amount: 10_000n, currency: 'GBP', creditor: 'sam' };

/** What became of a request at the bank, before it answers anything. */
interface Processed {
  status: number;
  body: object;
}

/** Answers one request in its own way. `process` does honestly what was asked; an answer may then follow or not. */
export type Fault = (response: ServerResponse, process: () => Processed, request: IncomingMessage) => void;

interface Transfer {
  id: string;
  reference: string;
  amount: number;
  currency: string;
  creditor: string;
  status: string;
  decline: { code: string; message: string } | null;
}

/**
 * A bank in this process, over a real socket: it keeps its promises, one request at a time, unless a test says how
 * the next request shall go wrong.
 */
export class SmallBank {
  readonly requests: string[] = [];
  readonly keysSeen = new Set<string | undefined>();
  readonly transfers = new Map<string, Transfer>();
  /** Requests for which nothing else was planned. */
  usual: Fault = honest;
  atOnceMost = 0;
  connectionsSeen = 0;
  private atOnce = 0;
  private readonly planned: Fault[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<SmallBank> {
    const server = createServer((request, response) => {
      void bank.take(request, response);
    });
    const bank = new SmallBank(server);
    server.on('connection', () => (bank.connectionsSeen += 1));
    await listen(server);
    return bank;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get charges(): number {
    return [...this.transfers.values()].filter(({ status }) => status !== 'declined').length;
  }

  /** How the next requests go, one each. */
  plan(...faults: Fault[]): void {
    this.planned.push(...faults);
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.getConnections((error, count) => {
        if (error) reject(error);
        else resolve(count);
      });
    });
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reference = decodeURIComponent(request.url?.split('/')[2] ?? '');
    this.requests.push(`${String(request.method)} ${reference}`);
    this.keysSeen.add(request.headers.authorization);
    this.atOnceMost = Math.max(this.atOnceMost, (this.atOnce += 1));
    response.once('close', () => {
      this.atOnce -= 1;
    });
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const process = () =>
      request.method === 'PUT'
        ? this.put(reference, JSON.parse(Buffer.concat(chunks).toString()) as Omit<Transfer, 'id'>)
        : this.get(reference);
    (this.planned.shift() ?? this.usual)(response, process, request);
  }

  private put(reference: string, { amount, currency, creditor }: Omit<Transfer, 'id'>): Processed {
    const known = this.transfers.get(reference);
    if (known) return { status: known.status === 'declined' ? 422 : 200, body: known };
    const status = creditor === 'dee' ? 'declined' : 'accepted';
    const decline = creditor === 'dee' ? { code: 'account_closed', message: 'Dee is gone.' } : null;
    const transfer = { id: `trf_${reference}`, reference, amount, currency, creditor, status, decline };
    this.transfers.set(reference, transfer);
    return { status: decline ? 422 : 201, body: transfer };
  }

  private get(reference: string): Processed {
    const body = this.transfers.get(reference);
    return body ? { status: 200, body } : { status: 404, body: error('unknown_reference') };
  }
}

export function error(code: string): object {
  return { error: { code, message: 'A sentence.' } };
}

export function honest(response: ServerResponse, process: () => Processed): void {
  const { status, body } = process();
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Answers this, and does nothing. */
export function says(status: number, body: object | string, headers: Record<string, string> = {}): Fault {
  return response => {
    const contentType = typeof body === 'string' ? 'text/html' : 'application/json';
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    response.writeHead(status, { 'content-type': contentType, ...headers }).end(text);
  };
}

/** Does nothing, and never answers. */
export const silent: Fault = () => undefined;

/** Does what was asked, then behaves like `fault`. */
export function afterCharging(fault: Fault): Fault {
  return (response, process, request) => {
    process();
    fault(response, process, request);
  };
}

export function late(ms: number): Fault {
  return (response, process) => setTimeout(honest, ms, response, process);
}

export const resets: Fault = response => {
  response.socket?.resetAndDestroy();
};

/** A server that speaks no HTTP unless told to. */
export async function startTcp(talk: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createTcpServer(socket => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    talk(socket);
  });
  await listen(server);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    sockets,
    stop: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const { port, stop } = await startTcp(() => undefined);
  stop();
  return port;
}

function listen(server: {
  listen: (port: number, host: string, done: () => void) => unknown;
}): Promise<void> {
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
}

/** The settings of production, a tenth as patient; more for a request, else a pause of this process looks like silence. */
export function clientFor(bankUrl: string, changes: Partial<BankSettings> = {}): BankClient {
  return new BankClient({
    bankUrl,
    bankApiKey: 'key-of-ours',
    bankConnectTimeoutMs: 200,
    bankRequestTimeoutMs: 700,
    bankTimeoutMs: 2_000,
    bankRequestsMax: 6,
    bankBackoffMs: 10,
    bankBackoffMaxMs: 200,
    bankRetryTokens: 500,
    bankRequestsAtOnceMax: 100,
    bankWaitingMax: 2_000,
    bankBreakMs: 300,
    bankAnswerBytesMax: 4_096,
    ...changes,
  });
}

export const patient = new AbortController().signal;
export const first = { mayBeSent: false, maySend: true, signal: patient };
export const again = { mayBeSent: true, maySend: true, signal: patient };

/** Listens to what the client says about itself until `stop`. */
export function watchBank() {
  const events: BankEvent[] = [];
  const listener = (event: unknown) => {
    events.push(event as BankEvent);
  };
  subscribe('paysam.bank', listener);
  return {
    events,
    stop: () => {
      unsubscribe('paysam.bank', listener);
    },
  };
}
