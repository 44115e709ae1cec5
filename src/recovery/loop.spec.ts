import { setTimeout as sleep } from 'node:timers/promises';
import { loop } from './loop.js';

describe('a worker’s loop', () => {
  const { random } = Math;
  afterEach(() => {
    Math.random = random;
  });

  /** When the work began, in milliseconds since the loop did, `times` times. */
  async function beginnings(restMs: number, times: number): Promise<number[]> {
    const [start, began, stopping] = [performance.now(), [] as number[], new AbortController()];
    await loop(stopping.signal, restMs, {
      work: () => {
        began.push(performance.now() - start);
        if (began.length === times) stopping.abort();
        return Promise.resolve();
      },
      onError: error => {
        throw error;
      },
    });
    return began;
  }
  const gaps = (began: number[]) => began.slice(1).map((at, index) => at - (began[index] ?? 0));

  // The machine may be slow now and then, but not every time, and never too fast.
  it.each([
    ['at the earliest: at once, and then after three quarters', 0, 0, 75],
    ['on the average: after half of it, and then after all of it', 0.5, 50, 100],
    ['at the latest: after all of it, and then after a quarter more', 0.999, 99, 124],
  ])('rests %s', async (_, chance, first, next) => {
    Math.random = () => chance;
    const began = await beginnings(100, 5);
    expect(began[0]).toBeGreaterThan(first - 5);
    expect(began[0]).toBeLessThan(first + 95);
    expect(Math.min(...gaps(began))).toBeGreaterThan(next - 5);
    expect(Math.min(...gaps(began))).toBeLessThan(next + 25);
  });

  it('can rest for longer than a timer can wait', async () => {
    let isAtWork = false;
    const stopping = new AbortController();
    const running = loop(stopping.signal, 2 ** 60, {
      work: () => Promise.resolve((isAtWork = true)),
      onError: () => undefined,
    });
    await sleep(30);
    expect(isAtWork).toBe(false);
    stopping.abort();
    await running;
  });

  it('tells of an error, but of none once it stops: that is what ended the work', async () => {
    const [told, stopping] = [[] as unknown[], new AbortController()];
    let times = 0;
    await loop(stopping.signal, 1, {
      work: () => {
        times += 1;
        if (times === 3) stopping.abort();
        return Promise.reject(new Error(`error ${times}`));
      },
      onError: error => told.push(error),
    });
    expect(told).toEqual([new Error('error 1'), new Error('error 2')]);
  });
});
