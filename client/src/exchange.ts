/**
 * What became of one attempt, as far as the decision to retry is concerned.
 *
 * `not_sent`: it is certain that no byte of the request left, a refused connection say. `broken`: the connection, or the
 * answer, broke off; `timed_out`: there was no whole answer in time. After those two nobody knows what the server did.
 * `aborted`: the caller's signal ended it, and nobody knows either.
 */
export type Exchange =
  | {
      readonly kind: 'answered';
      readonly status: number;
      /** The problem's code, where the answer is a problem that could be read. */
      readonly code: string | null;
      /** The header `Should-Retry`; null where the server did not say. */
      readonly shouldRetry: boolean | null;
      /** The header `Retry-After`, in milliseconds from now; null where the server did not say, or nothing readable. */
      readonly retryAfterMs: number | null;
    }
  | { readonly kind: 'not_sent' | 'broken' | 'timed_out' | 'aborted' };
