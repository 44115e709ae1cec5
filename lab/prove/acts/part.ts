import type { ActResult } from '../act.js';
import type { Violation } from '../violation.js';

/** What one part of an act has to say. Its operations and requests are in the log. */
export interface Part extends Pick<ActResult, 'counts' | 'wanted' | 'timesMs'> {
  readonly found: readonly Violation[];
}

/** Parts that name the same thing have done it together. */
export function together(parts: readonly Part[]): Part {
  const sum = (of: (part: Part) => Readonly<Record<string, number>>) => {
    const all: Record<string, number> = {};
    for (const [name, times] of parts.flatMap(part => Object.entries(of(part)))) {
      all[name] = (all[name] ?? 0) + times;
    }
    return all;
  };
  const timesMs: Record<string, number[]> = {};
  for (const [name, times] of parts.flatMap(part => Object.entries(part.timesMs))) {
    (timesMs[name] ??= []).push(...times);
  }
  return {
    counts: sum(({ counts }) => counts),
    wanted: sum(({ wanted }) => wanted),
    timesMs,
    found: parts.flatMap(({ found }) => found),
  };
}
