import type { Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** How slow a network is. */
export interface Slowness {
  /** By how much each piece is late, in milliseconds, and by how much more some are. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** What was written at once arrives in pieces of so many bytes. */
  readonly sliceBytes: number;
}

export const fast: Slowness = { delayMs: 0, jitterMs: 0, sliceBytes: Infinity };

/** One direction of a connection that passes through a proxy. However late the pieces are, none overtakes another. */
export class SlowLine {
  private readonly waiting: { bytes: Buffer; dueAt: number }[] = [];
  private isMoving = false;
  private isEnding = false;

  /** @param onSlow told of each write that was held back: a fault that never struck proves nothing */
  constructor(
    private readonly to: Socket,
    private readonly slowness: () => Slowness,
    private readonly onSlow: () => void,
  ) {}

  write(bytes: Buffer): void {
    const { delayMs, jitterMs, sliceBytes } = this.slowness();
    if (!this.isMoving && delayMs + jitterMs === 0 && bytes.length <= sliceBytes) {
      this.to.write(bytes);
      return;
    }
    this.onSlow();
    const dueAt = performance.now() + delayMs + Math.random() * jitterMs;
    const length = Math.min(sliceBytes, bytes.length);
    for (let from = 0; from < bytes.length; from += length) {
      this.waiting.push({ bytes: bytes.subarray(from, from + length), dueAt });
    }
    if (!this.isMoving) void this.move();
  }

  /** Once all has arrived. */
  end(): void {
    this.isEnding = true;
    if (!this.isMoving) this.to.end();
  }

  private async move(): Promise<void> {
    this.isMoving = true;
    for (let next; (next = this.waiting.shift());) {
      const restMs = next.dueAt - performance.now();
      // A turn of the event loop between two slices, so that they are two packets.
      await (restMs > 0 ? sleep(restMs) : nextTurn());
      if (this.to.destroyed) this.waiting.length = 0;
      else this.to.write(next.bytes);
    }
    this.isMoving = false;
    if (this.isEnding) this.to.end();
  }
}
