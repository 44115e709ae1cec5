import { isSuccess, readJson, readProblem, readRetryAfter } from './answer.js';
import type { Clock } from './clock.js';
import type { Problem } from './errors.js';
import type { Exchange } from './exchange.js';
import { followingNone, isRedirect } from './no-redirects.js';
import { isSurelyNotSent } from './not-sent.js';
import type { ApiRequest } from './request.js';

/** What one attempt brought. `exchange` is for the decision to retry, the rest for whoever made the call. */
export interface Attempted<T> {
  readonly exchange: Exchange;
  /** What was asked for, where the answer holds it. */
  readonly data?: T;
  readonly status: number | null;
  /** Of the answer, also of one that broke off; null where none had begun. */
  readonly headers: Headers | null;
  readonly problem: Problem | null;
  /** What went wrong on the way, where there was no whole answer. */
  readonly failure: Error | null;
}

export interface AttemptMeans {
  readonly fetch: typeof fetch;
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly clock: Clock;
}

export interface AttemptPatience {
  /** To the last byte of the answer, so that a byte a second does not help. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Sends a request once, and reads the answer whole. It never rejects: what went wrong is what it is asked about.
 *
 * Whichever comes first ends it: the answer, the time-out, the caller's signal. The time-out does not rely on `fetch` to
 * heed its signal, since it may be one that somebody has wrapped. On the caller's signal, which may live as long as the
 * process and be shared by thousands of calls, there is one listener for each attempt under way, and none afterwards.
 */
export function attempt<T>(
  request: ApiRequest<T>,
  means: AttemptMeans,
  { timeoutMs, signal }: AttemptPatience,
): Promise<Attempted<T>> {
  const { clock } = means;
  return new Promise(resolve => {
    const sending = new AbortController();
    let isEnded = false;
    const end = (attempted: Attempted<T>) => {
      if (isEnded) return;
      isEnded = true;
      signal?.removeEventListener('abort', giveUp);
      callOff();
      // Hangs up. After a whole answer there is nothing left to hang up on.
      if (attempted.exchange.kind !== 'answered') sending.abort(isOver);
      resolve(attempted);
    };
    const giveUp = () => {
      end(without('aborted', new Error('the caller gave up')));
    };
    signal?.addEventListener('abort', giveUp);
    const callOff = clock.alarm(timeoutMs, () => {
      end(without('timed_out', new Error(`no answer within ${Math.round(timeoutMs)} ms`)));
    });
    void send(request, means, sending.signal).then(end);
  });
}

/** A constant, because an error costs a stack trace, and this one is never shown. */
const isOver = new Error('the attempt is over');

const runtime = globalThis as { process?: { versions?: Record<string, string | undefined> } };
const noRedirects = followingNone(runtime.process?.versions);

async function send<T>(
  request: ApiRequest<T>,
  means: AttemptMeans,
  signal: AbortSignal,
): Promise<Attempted<T>> {
  const { fetch, baseUrl, apiKey } = means;
  const { method, path, headers, body } = request;
  let response: Response | undefined;
  try {
    response = await fetch(baseUrl + path, {
      method,
      headers: { ...headers, authorization: `Bearer ${apiKey}` },
      body,
      ...noRedirects,
      credentials: 'omit',
      signal,
    });
    return received(request, response, { text: await response.text(), baseUrl });
  } catch (error) {
    // Node does not say which redirect it was, no more than a browser does.
    if (isRedirect(error))
      return received(request, new Response(null, { status: 302 }), { text: '', baseUrl });
    // Once an answer has begun, the request has certainly left.
    const kind = !response && isSurelyNotSent(error) ? 'not_sent' : 'broken';
    return without(kind, failureOf(error, apiKey), response);
  }
}

/**
 * An answer that claims success has to hold what was asked for, and a decline what was declined: one that does not was
 * cut short, or is somebody else's, and says nothing about the payment. Asked again, the server repeats it.
 */
function received<T>(
  request: ApiRequest<T>,
  response: Response,
  { text, baseUrl }: { text: string; baseUrl: string },
): Attempted<T> {
  const { headers } = response;
  // A browser hides a redirect that it does not follow, its status included.
  const status = response.type === 'opaqueredirect' ? 302 : response.status;
  const json = readJson(text);
  const data = request.read(status, json);
  const type = headers.get('content-type');
  const problem = isSuccess(status) ? null : readProblem({ status, type, baseUrl }, json);
  const lacksResult = data === undefined && isSuccess(status);
  const lacksDecline = status === 402 && problem?.code != null && !problem.payment && !problem.refund;
  if (lacksResult || lacksDecline) {
    return without('broken', new Error(`the answer, ${status}, does not hold what was asked for`), response);
  }
  const said = headers.get('should-retry');
  const exchange: Exchange = {
    kind: 'answered',
    status,
    code: problem?.code ?? null,
    shouldRetry: said === 'true' ? true : said === 'false' ? false : null,
    retryAfterMs: readRetryAfter(headers.get('retry-after'), headers.get('date')),
  };
  return { exchange, status, headers, problem, failure: null, ...(data !== undefined && { data }) };
}

function without<T>(
  kind: Exclude<Exchange['kind'], 'answered'>,
  failure: Error,
  response?: Response,
): Attempted<T> {
  const { status = null, headers = null } = response ?? {};
  return { exchange: { kind }, status, headers, problem: null, failure };
}

/**
 * What `fetch` threw, in words. The error itself is not handed on: one that somebody wrapped around `fetch` may hold the
 * whole request, and so the API key.
 */
function failureOf(error: unknown, apiKey: string): Error {
  const words: string[] = [];
  // By their members: an error may come from another realm, a frame or a sandbox, and is then no `instanceof Error`.
  for (let cause = error as Partial<NodeFailure> | null | undefined; cause && words.length < 4;) {
    words.push(cause.message || cause.code || cause.name || 'something that is no error');
    cause = cause.cause;
  }
  return new Error((words.join(': ') || 'the request failed').replaceAll(apiKey, '…'));
}

interface NodeFailure {
  readonly name: string;
  readonly message: string;
  readonly code: string;
  readonly cause: Partial<NodeFailure>;
}
