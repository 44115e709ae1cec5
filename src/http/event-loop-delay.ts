import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Milliseconds between two looks at the clock. What is measured is how late they come. */
const resolution = 10;

/** Milliseconds of which the average is taken. Shorter, and one long answer closes the door; longer, and it opens late. */
const sampleMs = 1_000;

/**
 * How late the event loop runs: what a request waits before anybody looks at it.
 *
 * It reads a clock and nothing else, and that is its point. What also reads the memory that the process takes up needs
 * a descriptor for it: with none left, @fastify/under-pressure threw from its timer, and the process was gone (F103).
 */
export class EventLoopDelay {
  /** The average of the last second. */
  ms = 0;
  private readonly histogram = monitorEventLoopDelay({ resolution });
  private sampledAt = performance.now();
  private readonly sampling: NodeJS.Timeout;

  constructor() {
    this.histogram.enable();
    this.sampling = setInterval(() => {
      this.sample();
    }, sampleMs).unref();
  }

  stop(): void {
    clearInterval(this.sampling);
    this.histogram.disable();
  }

  private sample(): void {
    const { mean } = this.histogram;
    const now = performance.now();
    // Not one look since the last sample: it stood still all that time.
    this.ms = Number.isNaN(mean) ? now - this.sampledAt : Math.max(0, mean / 1e6 - resolution);
    this.sampledAt = now;
    this.histogram.reset();
  }
}
