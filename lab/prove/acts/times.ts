import type { Exchange } from '../driver-log.js';

/** Milliseconds from the first byte of each payment's first attempt until its caller knew how it ended. */
export function timesToKnow(log: readonly Exchange[]): number[] {
  const began = new Map<string, number>();
  const ended = new Map<string, number>();
  for (const { invoke, reply } of log) {
    const { at, operation } = invoke;
    began.set(operation, Math.min(began.get(operation) ?? Infinity, at));
    if (reply?.kind === 'ok') ended.set(operation, Math.min(ended.get(operation) ?? Infinity, reply.at));
  }
  return [...ended].map(([operation, at]) => at - (began.get(operation) ?? at));
}

/** The value that so many of them do not exceed, a share between 0 and 1; 0 of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
