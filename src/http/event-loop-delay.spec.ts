import { setTimeout as sleep } from 'node:timers/promises';
import { EventLoopDelay } from './event-loop-delay.js';

describe('the delay of the event loop', () => {
  let delay: EventLoopDelay;

  beforeEach(() => {
    delay = new EventLoopDelay();
  });
  afterEach(() => {
    delay.stop();
  });

  it('is the time for which it stood still, where it did nothing else', async () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    await untilSampled();
    expect(delay.ms).toBeGreaterThan(1_000);
    // Not for ever: a limit above it is not reached.
    expect(delay.ms).toBeLessThan(60_000);
  });

  it('is over a second after the stall is', async () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    await untilSampled();
    while (delay.ms > 1_000) await sleep(50);
  });

  async function untilSampled(): Promise<void> {
    while (delay.ms === 0) await sleep(5);
  }
});
