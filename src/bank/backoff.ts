/**
 * How long to wait before another request: milliseconds, drawn between nothing and a bound that doubles ("full
 * jitter"). Callers who failed together must not come back together.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function fullJitter(bounds: Bounds, repeats: number, random = Math.random()): number {
  return random * doubled(bounds, repeats);
}

/** As above, but never less than half the bound: for asking again and again about something that takes its time. */
export function halfJitter(bounds: Bounds, repeats: number, random = Math.random()): number {
  return (0.5 + random / 2) * doubled(bounds, repeats);
}

export interface Bounds {
  readonly firstMs: number;
  readonly maxMs: number;
}

function doubled({ firstMs, maxMs }: Bounds, repeats: number): number {
  return Math.min(maxMs, firstMs * 2 ** repeats);
}

/**
 * Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
 *
 * @param now the wall clock, in milliseconds; where it is wrong, so is the wait, which the caller bounds
 * @returns milliseconds from now, not bounded, or `undefined` for what is neither
 */
export function readRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  // `Date.parse` reads a lot more than HTTP's dates; those end in GMT.
  const at = value.endsWith('GMT') ? Date.parse(value) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
