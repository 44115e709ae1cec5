import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * A network that can go wrong, between a caller and the API, or between the API and the bank. Its own port stays, and
 * what is behind it may die, come back elsewhere, or be replaced.
 */
export class TcpProxy {
  /** How often something that was wanted to go wrong did: a fault that never struck proves nothing. */
  readonly struck: Record<string, number> = {};
  /** Bytes of answers that have passed: how long one is, so that the next can be cut at a byte of it. */
  bytesAnswered = 0;
  private readonly links = new Set<{ near: Socket; far: Socket }>();
  private isSilent = false;
  private delayMs = 0;
  /** Bytes of answers that still pass, and what is cut then. */
  private bytesLeft = Infinity;

  private constructor(
    private readonly server: Server,
    private readonly port: number,
    private target: number,
  ) {
    server.on('connection', near => {
      this.link(near);
    });
  }

  static async start(target = 0): Promise<TcpProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, (server.address() as AddressInfo).port, target);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** From the next connection on. */
  pointTo(port: number): void {
    this.target = port;
  }

  resetAll(): void {
    for (const { near, far } of this.links) {
      this.count('reset');
      near.resetAndDestroy();
      far.destroy();
    }
  }

  /** New connections are refused; those that stand, stand. */
  refuse(): void {
    this.count('refuse');
    this.server.close();
  }

  /** A black hole: connections are taken, nothing comes through, nobody is told. */
  goSilent(): void {
    this.isSilent = true;
    for (const { near, far } of this.links) {
      this.count('silence');
      near.pause();
      far.pause();
    }
  }

  delay(ms: number): void {
    this.delayMs = ms;
  }

  /** Hangs up after so many more bytes of answers, once. */
  cutAnswerAfter(bytes: number): void {
    this.bytesLeft = bytes;
  }

  /** No more faults. What was held back in silence arrives now. */
  async heal(): Promise<void> {
    this.isSilent = false;
    this.delayMs = 0;
    this.bytesLeft = Infinity;
    for (const { near, far } of this.links) {
      near.resume();
      far.resume();
    }
    if (!this.server.listening) await once(this.server.listen(this.port, '127.0.0.1'), 'listening');
  }

  stop(): void {
    this.server.close();
    for (const { near, far } of this.links) {
      near.destroy();
      far.destroy();
    }
  }

  private link(near: Socket): void {
    const far = connect(this.target, '127.0.0.1');
    const link = { near, far };
    this.links.add(link);
    near.on('data', (chunk: Buffer) => {
      this.pass(chunk, far);
    });
    far.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, this.bytesLeft);
      this.bytesLeft -= part.length;
      this.bytesAnswered += part.length;
      this.pass(part, near);
      if (part.length === chunk.length) return;
      this.count('cut');
      this.bytesLeft = Infinity;
      near.end();
      far.destroy();
    });
    near.on('error', () => undefined).on('close', () => far.end());
    far
      .on('error', () => undefined)
      .on('close', () => {
        this.links.delete(link);
        near.end();
      });
    if (this.isSilent) {
      near.pause();
      far.pause();
    }
  }

  private pass(chunk: Buffer, to: Socket): void {
    if (this.delayMs === 0) {
      to.write(chunk);
      return;
    }
    this.count('delay');
    // The same for all, so that nothing overtakes.
    setTimeout(() => {
      if (!to.destroyed) to.write(chunk);
    }, this.delayMs);
  }

  private count(what: string): void {
    this.struck[what] = (this.struck[what] ?? 0) + 1;
  }
}
