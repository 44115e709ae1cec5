import type { Run } from './simulate.js';
import { goodWithinMs, sumOf, windowMs } from './tally.js';

/** What a run comes to. */
export interface Figures {
  /** Sends for each call: while the outage lasted, and in the whole run. */
  readonly amplification: { readonly during: number; readonly overall: number };
  /** Sends in the busiest second, in the busiest 10 ms, and in the first second after the outage. */
  readonly busiestSecond: number;
  readonly busiest10Ms: number;
  readonly firstSecondBack: number;
  /** From the end of the outage until all was as before, and stayed so; null if it did not as long as we watched. */
  readonly recoverySeconds: number | null;
  readonly calls: number;
  readonly sends: number;
  readonly retries: number;
  readonly endedWell: number;
  readonly gaveUp: Run['tally']['gaveUp'];
  /** When the run ended. */
  readonly underWay: number;
  /** Of the calls whose first attempt failed, the share that ended well; null if there were none. */
  readonly healed: number | null;
  /** The share of the server's work that was for callers who had left. */
  readonly wasted: number;
}

/** A second is as on a quiet day if so many of the calls that began in it ended well within `goodWithinMs`. */
export const goodShare = 0.99;

export function figuresOf(run: Run): Figures {
  const { tally, server, beginsAtMs, backAtMs } = run;
  const { calls, sends, retries, endedWell, gaveUp, hurt, healed } = tally;
  return {
    amplification: {
      during: sumOf(tally.sendsIn, beginsAtMs, backAtMs) / sumOf(tally.begunIn, beginsAtMs, backAtMs),
      overall: sends / calls,
    },
    busiestSecond: busiest(tally.sendsIn, 1_000),
    busiest10Ms: busiest(tally.sendsIn, windowMs),
    firstSecondBack: sumOf(tally.sendsIn, backAtMs, backAtMs + 1_000),
    recoverySeconds: recoverySeconds(run),
    ...{ calls, sends, retries, endedWell, gaveUp },
    underWay: calls - endedWell - tally.gaveUpInAll,
    healed: hurt > 0 ? healed / hurt : null,
    wasted: server.workedMs > 0 ? server.wastedMs / server.workedMs : 0,
  };
}

function busiest(counts: Uint32Array, spanMs: number): number {
  const span = spanMs / windowMs;
  let inSpan = 0;
  let most = 0;
  counts.forEach((count, window) => {
    inSpan += count - (counts[window - span] ?? 0);
    most = Math.max(most, inSpan);
  });
  return most;
}

/** Looks back from the end for the last second that was not good. Calls of the last seconds may not have ended yet. */
function recoverySeconds({ tally, backAtMs }: Run): number | null {
  const seconds = Math.floor((tally.lastsMs - goodWithinMs - backAtMs) / 1_000);
  for (let second = seconds; second > 0; second -= 1) {
    const from = backAtMs + (second - 1) * 1_000;
    const begun = sumOf(tally.begunIn, from, from + 1_000);
    const good = sumOf(tally.goodOfBegunIn, from, from + 1_000);
    if (good < goodShare * begun) return second === seconds ? null : second;
  }
  return 0;
}
