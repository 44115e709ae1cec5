import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A load balancer of a cloud looks every few seconds. What it has not seen yet, it learns by being refused. */
const lookEveryMs = 100;

/**
 * One address for several APIs, as a load balancer has it: each new connection goes to the next one of those that say
 * on `/health/ready` that they are ready. One that refuses the connection has been sent nothing, so the next is tried.
 * Connections that stand are left alone: what a process does with those that it has is the thing to be seen.
 */
export class ReadyDoor {
  /** How often the door was wrong about an API, and noticed. */
  refusals = 0;
  private readonly ready = new Set<number>();
  private readonly sockets = new Set<Socket>();
  private readonly stopping = new AbortController();
  private turn = 0;

  private constructor(
    private readonly server: Server,
    private readonly ports: () => readonly number[],
  ) {
    server.on('connection', near => {
      this.take(near);
    });
    void this.lookAgainAndAgain();
  }

  /** @param ports of all APIs there are, as of now: whoever is started again may have another one */
  static async open(ports: () => readonly number[]): Promise<ReadyDoor> {
    const server = createServer({ noDelay: true, pauseOnConnect: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const door = new ReadyDoor(server, ports);
    while (door.ready.size < ports().length) await sleep(lookEveryMs);
    return door;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Resolves once new connections go there. */
  async untilReady(port: number): Promise<void> {
    while (!this.ready.has(port) && !this.stopping.signal.aborted) await sleep(lookEveryMs);
  }

  close(): void {
    this.stopping.abort();
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }

  private async lookAgainAndAgain(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const ports = this.ports();
      const looked = await Promise.all(ports.map(isReady));
      this.ready.clear();
      ports.forEach((port, index) => {
        if (looked[index] === true) this.ready.add(port);
      });
      await sleep(lookEveryMs);
    }
  }

  private take(near: Socket): void {
    this.sockets.add(near);
    near.on('error', () => undefined).on('close', () => this.sockets.delete(near));
    this.turn += 1;
    const ports = [...this.ready];
    const first = this.turn % Math.max(1, ports.length);
    this.lead(near, [...ports.slice(first), ...ports.slice(0, first)]);
  }

  private lead(near: Socket, [port, ...others]: readonly number[]): void {
    if (port === undefined) {
      near.destroy();
      return;
    }
    const far = connect(port, '127.0.0.1').setNoDelay(true);
    this.sockets.add(far);
    let isOpen = false;
    far.once('connect', () => {
      isOpen = true;
      near.pipe(far);
      far.pipe(near);
      near.once('close', () => far.destroy());
    });
    far.on('error', () => undefined);
    far.once('close', () => {
      this.sockets.delete(far);
      if (isOpen) {
        near.end();
        return;
      }
      this.refusals += 1;
      this.ready.delete(port);
      this.lead(near, others);
    });
  }
}

async function isReady(port: number): Promise<boolean> {
  const signal = AbortSignal.timeout(1_000);
  const answer = await fetch(`http://127.0.0.1:${port}/health/ready`, { signal }).catch(() => undefined);
  await answer?.text().catch(() => undefined);
  return answer?.ok ?? false;
}
