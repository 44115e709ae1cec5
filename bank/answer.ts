import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LoggedRequest } from './request-log.js';

/** A request that has arrived, and where its answer goes. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  url: URL;
  /** Only requests about one transfer are logged. */
  logged?: LoggedRequest;
}

/** What is to be told. A string is sent as it is, anything else as JSON. */
export interface Answer {
  status: number;
  body?: object | string;
  headers?: Record<string, string>;
}

/** Thrown wherever a request turns out to be one the bank does not serve; its answer is sent. */
export class Refusal extends Error {
  readonly answer: Answer;

  constructor(status: number, code: string, message: string, headers?: Record<string, string>) {
    super(message);
    this.answer = errorAnswer(status, code, message, headers);
  }
}

export function errorAnswer(
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): Answer {
  return { status, body: { error: { code, message } }, headers };
}

export function invalid(message: string): Refusal {
  return new Refusal(400, 'invalid_request', message);
}

/** Sends the head, and gives back the bytes of the body, which the caller sends. */
export function begin({ response, logged }: Exchange, { status, body, headers }: Answer): Buffer {
  const bytes = Buffer.from(typeof body === 'string' ? body : body ? JSON.stringify(body) : '');
  const described = bytes.length > 0 ? { 'Content-Type': 'application/json' } : undefined;
  const length = status === 204 ? undefined : { 'Content-Length': bytes.length };
  response.writeHead(status, { ...described, ...length, ...headers });
  if (logged) logged.status = status;
  return bytes;
}

export function send(exchange: Exchange, answer: Answer): void {
  if (exchange.response.headersSent || exchange.response.destroyed) return;
  exchange.response.end(begin(exchange, answer));
}

/** Waits, but not for somebody who has left: no timer outlives its connection. */
export function pause({ response }: Exchange, ms: number): Promise<void> {
  return new Promise(resolve => {
    if (response.destroyed || response.closed) {
      resolve();
      return;
    }
    const timer = setTimeout(done, ms);
    response.once('close', done);
    function done() {
      clearTimeout(timer);
      response.off('close', done);
      resolve();
    }
  });
}
