/**
 * Time that passes only when there is nothing left to do in it: an hour takes as long as its events take to carry out.
 *
 * One slot a millisecond, and in a slot the order in which actions were put there. So there is nothing to sort, and the
 * same actions always happen in the same order; the price is that nothing is finer than a millisecond.
 */
export class VirtualTime {
  /** Milliseconds since the beginning. */
  now = 0;
  private readonly slots: ((() => void)[] | undefined)[] = [];

  /** @param endsAtMs what would happen then or later, never happens */
  constructor(readonly endsAtMs: number) {}

  at(ms: number, action: () => void): void {
    const slot = Math.max(this.now, Math.ceil(ms));
    if (slot >= this.endsAtMs) return;
    (this.slots[slot] ??= []).push(action);
  }

  after(ms: number, action: () => void): void {
    this.at(this.now + ms, action);
  }

  run(): void {
    for (; this.now < this.endsAtMs; this.now += 1) {
      // What is due carries on in the same slot what is due at once.
      for (const action of this.slots[this.now] ?? []) action();
      this.slots[this.now] = undefined;
    }
  }
}
