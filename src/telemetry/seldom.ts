/** How long there is silence about one thing, in milliseconds: a line a second can still be read. */
const silenceMs = 1_000;

/**
 * Keeps a log readable in an outage: the first of a kind is written at once, the next one after a second of silence,
 * with how many were left out between them. What was left out last is never told: metrics have the whole number.
 */
export class Seldom {
  private readonly last = new Map<string, { at: number; leftOut: number }>();

  /** @param kind one of a few: each is remembered for ever */
  about(kind: string, write: (leftOut: number) => void): void {
    const now = performance.now();
    const last = this.last.get(kind);
    if (last && now - last.at < silenceMs) {
      last.leftOut += 1;
      return;
    }
    this.last.set(kind, { at: now, leftOut: 0 });
    write(last?.leftOut ?? 0);
  }
}
