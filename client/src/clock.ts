/** Time and chance, handed in, so that tests and simulations have their own. */
export interface Clock {
  /** Milliseconds that only ever go forward; where they begin means nothing. */
  now(): number;
  /** Resolves after so many milliseconds, or as soon as the signal aborts; it never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /**
   * Calls `ring` after so many milliseconds, unless it is called off before: for what is seldom waited for to its end.
   * A thousand calls have a thousand of these, and an AbortController for each would cost more than the rest of a call.
   *
   * @returns what calls it off, and does nothing once it has rung
   */
  alarm(ms: number, ring: () => void): () => void;
  /** From 0 to just under 1. */
  random(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise(resolve => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal?.addEventListener('abort', wake, { once: true });
    }),
  alarm: (ms, ring) => {
    const timer = setTimeout(ring, ms);
    return () => {
      clearTimeout(timer);
    };
  },
  random: () => Math.random(),
};
