import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export interface Target {
  host: string;
  port: number;
}

/**
 * A network between two of the processes: one that may keep what is sent, or lose what is answered. It passes bytes
 * and knows no protocol.
 */
export class Gate {
  private isHolding = false;
  private isCutting = false;
  private readonly held: { server: Socket; chunk: Buffer }[] = [];
  private readonly pairs = new Set<{ client: Socket; server: Socket }>();

  private constructor(
    private readonly listener: Server,
    private target: Target,
  ) {}

  static async open(target: Target): Promise<Gate> {
    const listener = createServer({ noDelay: true });
    const gate = new Gate(listener, target);
    listener.on('connection', client => {
      gate.join(client);
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    return gate;
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  /** Where connections lead from now on: a process that was started again listens elsewhere. */
  leadTo(target: Target): void {
    this.target = target;
  }

  /** From now on, what clients send waits here. */
  hold(): void {
    this.isHolding = true;
  }

  /** Whether anything waits. */
  get isHoldingSomething(): boolean {
    return this.held.length > 0;
  }

  letGo(): void {
    this.isHolding = false;
    for (const { server, chunk } of this.held.splice(0)) server.write(chunk);
  }

  /** The next thing that a server says is lost, and the connection with it. */
  cutNextAnswer(): void {
    this.isCutting = true;
  }

  /** Whether it has been lost by now. */
  get hasCut(): boolean {
    return !this.isCutting;
  }

  close(): void {
    this.listener.close();
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
  }

  private join(client: Socket): void {
    const server = connect({ ...this.target, noDelay: true });
    const pair = { client, server };
    this.pairs.add(pair);
    client.on('data', chunk => {
      if (this.isHolding) this.held.push({ server, chunk });
      else server.write(chunk);
    });
    server.on('data', chunk => {
      if (!this.isCutting) {
        client.write(chunk);
        return;
      }
      this.isCutting = false;
      client.resetAndDestroy();
      server.destroy();
    });
    client
      .on('error', () => undefined)
      .on('close', () => {
        this.pairs.delete(pair);
        server.destroy();
      });
    server.on('error', () => undefined).on('close', () => client.destroy());
  }
}
