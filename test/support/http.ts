import { connect as connectTo } from 'node:net';

export interface Call {
  method?: string;
  apiKey?: string;
  /** Sent as an RFC 9651 string; for the bare spelling, or two of them, use `headers` or `rawRequest`. */
  key?: string;
  /** A string is sent as it is; anything else as JSON. */
  body?: unknown;
  headers?: Record<string, string>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Undefined where the text is not JSON. */
  json: Record<string, unknown> | undefined;
}

/** One call over a real socket. Rejects if no whole answer came: what happened is then unknown. */
export async function call(
  url: string,
  { method, apiKey, key, body, headers = {} }: Call = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(apiKey && { authorization: `Bearer ${apiKey}` }),
      ...(key && { 'idempotency-key': `"${key}"` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parse(text) };
}

function parse(text: string): Answer['json'] {
  try {
    return JSON.parse(text) as Answer['json'];
  } catch {
    return undefined;
  }
}

/** Starts `n` of them in one turn of the event loop, before the first can be answered. */
export function together<T>(n: number, start: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: n }, (_, index) => start(index)));
}

/**
 * Sends exactly these bytes, which no client library would send, and returns all that came back until the
 * other side closed (send `Connection: close`) or was silent for `silenceMs`.
 */
export function rawRequest(port: number, bytes: string | Buffer, silenceMs = 2_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connectTo(port, '127.0.0.1', () => socket.write(bytes));
    socket.setTimeout(silenceMs, () => socket.destroy());
    socket.on('data', chunk => chunks.push(chunk));
    socket.on('error', error => {
      if (chunks.length === 0) reject(error);
    });
    socket.on('close', () => {
      resolve(Buffer.concat(chunks).toString());
    });
  });
}
