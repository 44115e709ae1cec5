import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { fast, SlowLine, type Slowness } from '../../test/support/slow-line.js';

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
  private slowness = fast;
  /** Bytes that still pass, of what is asked and of what is answered; the rest is cut off, once. */
  private bytesLeft = { asked: Infinity, answered: Infinity };

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

  /** Where it leads, for whoever wants to go there directly. */
  get targetPort(): number {
    return this.target;
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

  delay(ms: number, jitterMs = 0): void {
    this.slowDown({ ...fast, delayMs: ms, jitterMs });
  }

  slowDown(slowness: Slowness): void {
    this.slowness = slowness;
  }

  /** Hangs up after so many more bytes of answers, once. */
  cutAnswerAfter(bytes: number): void {
    this.bytesLeft.answered = bytes;
  }

  /** Hangs up after so many more bytes of requests, once. */
  cutRequestAfter(bytes: number): void {
    this.bytesLeft.asked = bytes;
  }

  /** No more faults. What was held back in silence arrives now. */
  async heal(): Promise<void> {
    this.isSilent = false;
    this.slowness = fast;
    this.bytesLeft = { asked: Infinity, answered: Infinity };
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
    const slowness = () => this.slowness;
    const onSlow = () => {
      this.count('delay');
    };
    const toFar = new SlowLine(far, slowness, onSlow);
    const toNear = new SlowLine(near, slowness, onSlow);
    near.on('data', (chunk: Buffer) => {
      const part = this.passing('asked', chunk);
      toFar.write(part);
      if (part.length === chunk.length) return;
      this.count('request cut');
      toFar.end();
      near.destroy();
    });
    far.on('data', (chunk: Buffer) => {
      const part = this.passing('answered', chunk);
      this.bytesAnswered += part.length;
      toNear.write(part);
      if (part.length === chunk.length) return;
      this.count('cut');
      toNear.end();
      far.destroy();
    });
    near
      .on('error', () => undefined)
      .on('close', () => {
        toFar.end();
      });
    far
      .on('error', () => undefined)
      .on('close', () => {
        this.links.delete(link);
        toNear.end();
      });
    if (this.isSilent) {
      near.pause();
      far.pause();
    }
  }

  /** As much of the chunk as may still pass: all of it, unless the cut is in it. */
  private passing(way: 'asked' | 'answered', chunk: Buffer): Buffer {
    const part = chunk.subarray(0, this.bytesLeft[way]);
    this.bytesLeft[way] = part.length < chunk.length ? Infinity : this.bytesLeft[way] - part.length;
    return part;
  }

  private count(what: string): void {
    this.struck[what] = (this.struck[what] ?? 0) + 1;
  }
}
