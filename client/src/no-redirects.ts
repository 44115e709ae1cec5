/** Of a runtime: `process.versions`, where there is one. */
type Versions = Readonly<Record<string, string | undefined>>;

/**
 * How `fetch` is told to follow no redirect. Whoever follows one hands the API key and the payment to whatever address
 * it is told.
 *
 * Node's `fetch` keeps a copy of every request, body and all, in case a redirect asks for it again. Told that a redirect
 * is an error, to a request that no window made, it does without: that saves ten microseconds of a call, and ten
 * megabytes where a thousand are made at once. A browser would not tell such an error from a broken line, and some
 * runtimes do not know the word: they are told as ever.
 *
 * @param versions of the runtime: `undici` is Node's `fetch`
 */
export function followingNone(versions: Versions | undefined): RequestInit {
  return versions?.undici !== undefined ? { redirect: 'error', window: null } : { redirect: 'manual' };
}

/**
 * Whether that is why `fetch` has thrown. By the exact words of Node, the same in 20 and in 24: a redirect settles an
 * attempt, and nothing else may be taken for one. Should they ever change, the attempt counts as broken off, and the
 * outcome as unknown: safe, and less helpful.
 */
export function isRedirect(error: unknown): boolean {
  const { cause } = (error ?? {}) as { cause?: { message?: unknown } };
  return cause?.message === 'unexpected redirect';
}
