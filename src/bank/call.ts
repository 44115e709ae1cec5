/**
 * One call's patience: how long it may still take, how many requests it has made, and who may end it early.
 *
 * A call does one thing at a time, and that is in `current`: when the call's time is over, its caller's signal is
 * aborted or the client is closed, that one thing is cut off. So a call costs one timer and one listener, however
 * many requests it makes.
 */
export class Call {
  requests = 0;
  current: { cut(reason: string): void } | undefined;
  private readonly until: number;
  private readonly timer: NodeJS.Timeout;
  private over: string | undefined;

  constructor(
    timeoutMs: number,
    private readonly signal: AbortSignal,
  ) {
    this.until = performance.now() + timeoutMs;
    this.timer = setTimeout(() => {
      this.cut(`the ${timeoutMs} ms of this call are over`);
    }, timeoutMs);
    signal.addEventListener('abort', this, { once: true });
    if (signal.aborted) this.handleEvent();
  }

  /** Why nothing more may be done in this call, or `undefined` while something may. */
  get whyOver(): string | undefined {
    return this.over;
  }

  /** The signal's listener is the call itself. */
  handleEvent(): void {
    this.cut('its caller gave up');
  }

  cut(reason: string): void {
    this.over ??= reason;
    this.current?.cut(this.over);
  }

  /** @returns whether the call goes on; a wait that would outlast it is not begun */
  async pause(ms: number): Promise<boolean> {
    if (this.over !== undefined || performance.now() + ms >= this.until) return false;
    const isRested = await new Promise<boolean>(resolve => {
      const timer = setTimeout(resolve, ms, true);
      this.current = {
        cut: () => {
          clearTimeout(timer);
          resolve(false);
        },
      };
    });
    this.current = undefined;
    return isRested;
  }

  /** Leaves neither timer nor listener behind. Callers share signals that live as long as the process. */
  end(): void {
    clearTimeout(this.timer);
    this.signal.removeEventListener('abort', this);
  }
}
