import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What may become of one exchange. After most of them the client cannot know what the server has done. */
export const faults = [
  /** Nobody listens: the one fault that proves that nothing was sent. */
  'refuse',
  /** Reset before the server has seen a byte. */
  'lose_request',
  /** The server answers; the connection is reset instead. */
  'lose_answer',
  /** The answer begins, and breaks off anywhere. */
  'cut_answer',
  /** Silence: the request went nowhere. */
  'swallow_request',
  /** Silence: the server has done it, and its answer went nowhere. */
  'swallow_answer',
  /** Silence; and when the client has long given up, and sent it again, the request arrives after all. */
  'delay_request',
  /** A byte at a time, too slow to be of use. */
  'slow_answer',
] as const;
export type Fault = (typeof faults)[number];

/** Longer than any client of these tests waits for an answer. */
const tooLateMs = 700;

/**
 * A network that fails. It stands between a client and the API, and reads as much HTTP as it takes to tell where a
 * request and an answer end, so that every fault strikes one exchange at a known place.
 */
export class FaultyProxy {
  /** How often each has struck, as evidence: a fault that never struck proves nothing. */
  readonly struck = Object.fromEntries(faults.map(fault => [fault, 0])) as Record<Fault, number>;
  exchanges = 0;
  /** Requests that the API has, or will have, and has not answered. */
  underway = 0;
  readonly url: string;
  private readonly port: number;
  private readonly links = new Set<Link>();
  private listensAgain: NodeJS.Timeout | undefined;

  private constructor(
    private readonly server: Server,
    readonly apiPort: number,
    readonly random: () => number,
  ) {
    this.port = (server.address() as AddressInfo).port;
    this.url = `http://127.0.0.1:${this.port}`;
    server.on('connection', client => {
      const link = new Link(client, this);
      this.links.add(link);
      client.once('close', () => this.links.delete(link));
    });
  }

  /** @param options.random chooses where an answer is cut, and whatever the test lets it choose in `choose` */
  static async start({ apiPort, random }: { apiPort: number; random: () => number }): Promise<FaultyProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new FaultyProxy(server, apiPort, random);
  }

  /** Asked once for each exchange. */
  choose: () => Fault | undefined = () => undefined;

  /** No connection from now on, and those that nobody is using are gone. */
  refuse(): void {
    this.server.close();
    for (const link of this.links) if (link.isIdle) link.reset();
  }

  async accept(): Promise<void> {
    if (!this.server.listening) await once(this.server.listen(this.port, '127.0.0.1'), 'listening');
  }

  /** As a restart of a load balancer does: for a moment, nobody can connect. */
  refuseFor(ms: number): void {
    this.refuse();
    clearTimeout(this.listensAgain);
    this.listensAgain = setTimeout(() => void this.accept(), ms);
  }

  stop(): void {
    clearTimeout(this.listensAgain);
    this.server.close();
    for (const link of this.links) link.reset();
  }
}

/** One connection of a client, and the one to the API that belongs to it. One request at a time. */
class Link {
  isIdle = true;
  private awaitsAnswer = false;
  private request = Buffer.alloc(0);
  private answer = Buffer.alloc(0);
  private fault: Fault | undefined;
  private api: Socket | undefined;

  constructor(
    private readonly client: Socket,
    private readonly proxy: FaultyProxy,
  ) {
    client.on('data', chunk => {
      this.isIdle = false;
      this.request = Buffer.concat([this.request, chunk]);
      if (this.request.length === lengthOf(this.request)) this.exchange();
    });
    // A client that leaves does not take back what was delivered: the API's half stays until that is answered.
    client
      .on('error', () => undefined)
      .on('close', () => {
        if (!this.awaitsAnswer) this.api?.end();
      });
  }

  reset(): void {
    this.client.resetAndDestroy();
  }

  private exchange(): void {
    const { request, proxy } = this;
    this.request = Buffer.alloc(0);
    this.answer = Buffer.alloc(0);
    this.fault = proxy.choose();
    proxy.exchanges += 1;
    if (this.fault) proxy.struck[this.fault] += 1;
    switch (this.fault) {
      case 'refuse':
        proxy.refuseFor(20);
        this.reset();
        return;
      case 'lose_request':
        this.reset();
        return;
      case 'swallow_request':
        return;
      case 'delay_request':
        this.deliver(request, tooLateMs);
        return;
      case undefined:
      case 'lose_answer':
      case 'cut_answer':
      case 'swallow_answer':
      case 'slow_answer':
        this.deliver(request, 0);
    }
  }

  private deliver(request: Buffer, afterMs: number): void {
    this.awaitsAnswer = true;
    this.proxy.underway += 1;
    const api = (this.api ??= this.connect());
    if (afterMs === 0) api.write(request);
    else setTimeout(() => api.write(request), afterMs);
  }

  private connect(): Socket {
    const api = connect({ port: this.proxy.apiPort, host: '127.0.0.1', noDelay: true });
    api.on('data', (chunk: Buffer) => {
      this.answer = Buffer.concat([this.answer, chunk]);
      if (this.answer.length === lengthOf(this.answer)) void this.handBack(this.answer);
    });
    api
      .on('error', () => undefined)
      .on('close', () => {
        if (this.awaitsAnswer) this.proxy.underway -= 1;
        this.awaitsAnswer = false;
        this.client.end();
      });
    return api;
  }

  private async handBack(answer: Buffer): Promise<void> {
    const { client, proxy } = this;
    this.awaitsAnswer = false;
    proxy.underway -= 1;
    // Nobody is left to hear it.
    if (client.destroyed) this.api?.end();
    if (this.fault === undefined) {
      this.isIdle = true;
      client.write(answer);
    } else if (this.fault === 'lose_answer') {
      this.reset();
    } else if (this.fault === 'cut_answer') {
      client.write(answer.subarray(0, 1 + Math.floor(proxy.random() * (answer.length - 1))));
      // Half of them politely, as a server that is stopped; the others as one that is killed.
      if (proxy.random() < 0.5) client.end();
      else setTimeout(() => client.resetAndDestroy(), 5);
    } else if (this.fault === 'slow_answer') {
      for (const byte of answer) {
        if (client.destroyed) return;
        client.write(Buffer.of(byte));
        await sleep(20);
      }
    }
  }
}

/** Of the message that begins here, head and body; undefined while its head is not there yet. */
function lengthOf(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [, bodyLength = '0'] = /^content-length: *(\d+)/im.exec(bytes.toString('latin1', 0, headEnd)) ?? [];
  return headEnd + 4 + Number(bodyLength);
}
