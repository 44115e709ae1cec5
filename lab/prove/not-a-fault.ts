/** Counted in an act's result, and not something that was done to the product: what came of it, or what was planned. */
const notAFault = /^(answer |no answer|no line|replay|taken over|parked|seen: |planned: )/;

export function isFault(name: string): boolean {
  return !notAFault.test(name);
}

export function countFaults(counts: Readonly<Record<string, number>>): number {
  return Object.entries(counts).reduce((sum, [name, times]) => sum + (isFault(name) ? times : 0), 0);
}
