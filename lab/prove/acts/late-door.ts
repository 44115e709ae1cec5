import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { exchange, type WireAnswer } from '../../../test/support/wire.js';

/**
 * A proxy that takes requests and keeps them: nothing comes back, until whoever sent them has long hung up. Then they
 * are delivered, each on a connection of its own, and what nobody waits for any more is answered.
 */
export class LateDoor {
  private readonly held: Buffer[][] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly server: Server) {
    server.on('connection', near => {
      const chunks: Buffer[] = [];
      this.sockets.add(near);
      this.held.push(chunks);
      near.on('data', (chunk: Buffer) => chunks.push(chunk));
      near.on('error', () => undefined).on('close', () => this.sockets.delete(near));
    });
  }

  static async open(): Promise<LateDoor> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new LateDoor(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Delivers each request that it has whole. @returns what came of it, in the order in which it was sent */
  async deliver(port: number): Promise<(WireAnswer | undefined)[]> {
    const requests = this.held
      .splice(0)
      .map(chunks => Buffer.concat(chunks))
      .filter(isWhole);
    const exchanges = requests.map(request => exchange(port, request, { lingerMs: 50 }));
    return (await Promise.all(exchanges)).map(({ answers: [answer] }) => answer);
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}

/** A connection may have been opened and given up before anything was said, or in the middle of it. */
function isWhole(request: Buffer): boolean {
  const headEnd = request.indexOf('\r\n\r\n');
  const [, length = 'none'] =
    /^content-length: (\d+)/im.exec(request.toString('latin1', 0, headEnd + 2)) ?? [];
  return headEnd > 0 && request.length === headEnd + 4 + Number(length);
}
