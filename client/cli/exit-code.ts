/** What a script learns without reading a word. Stable: a number is never given another meaning. */
export const exitCodes = {
  /** Paid, or paid before and told again; or what was to be read was read. */
  done: 0,
  /** A mistake in here, or a machine that does not do its part. Should money have moved, the key is printed. */
  unexpected: 1,
  /** The command line, the environment or the request cannot be carried out as they are: yours to correct. */
  usage: 2,
  /** Declined, for good. A new try is a new payment, with a new key. */
  declined: 3,
  /** The key belongs to another request, is cancelled, or can no longer be cancelled. Never retry. */
  key_refused: 4,
  /** It may have been carried out, now or later. Not a failure: ask, with the same key. */
  unknown: 5,
  /** Certain: nothing reached the service, or it did nothing. */
  not_sent: 6,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Ended by a signal with nothing under way: as shells have it. */
export function exitCodeOf(signal: 'SIGINT' | 'SIGTERM'): number {
  return 128 + (signal === 'SIGINT' ? 2 : 15);
}
