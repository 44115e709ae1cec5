import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { docsPolicy, isDocs } from '../docs/docs-page.js';
import { limits, type Settings } from '../settings.js';
import { linesOf } from '../header-lines.js';
import { Problem, problemToJson } from './problem.js';
import { send, toProblem } from './problem.filter.js';
import { securityHeaders } from './security-headers.js';

/** Exactly this, in UTF-8. Anything looser has let bodies past their validation elsewhere. */
const plainJson = /^application\/json(\s*;\s*charset=("utf-8"|utf-8))?$/i;

/** Headers of which two lines mean two different requests, to two different readers. */
const singleHeaders = ['host', 'authorization', 'content-type', 'content-length'];

const [forAnswers, forDocs] = [securityHeaders(), securityHeaders(docsPolicy)];

/** What hooks add to every other answer; these are given before there is a route, or a request. */
const withoutHooks = { ...forAnswers, 'cache-control': 'no-store' };

/**
 * Fastify, as strict as this API needs it. What it refuses is refused before anything else is looked at, and
 * in the same words as everywhere.
 */
export function createServer(settings: Settings): FastifyAdapter {
  const answers = new Answers();
  const adapter = new FastifyAdapter({
    bodyLimit: settings.bodyBytesMax,
    requestTimeout: settings.requestTimeoutMs,
    http: {
      maxHeaderSize: settings.headerBytesMax,
      headersTimeout: settings.requestTimeoutMs,
      connectionsCheckingInterval: settings.requestTimeoutMs / 10,
    },
    // Ids are ours alone: a caller's could forge log lines.
    requestIdHeader: false,
    // A key in a path may have each of its characters percent-encoded.
    routerOptions: { maxParamLength: 3 * limits.keyLengthMax },
    genReqId: () => randomUUID(),
    // A request that got in is answered, also while the process is stopping.
    return503OnClosing: false,
    logger: false,
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      reply.headers({ ...withoutHooks, 'request-id': request.id });
      send(reply, toProblem(error, settings), settings);
    },
    clientErrorHandler: (error: ClientError, socket: Socket) => {
      refuseUnreadable(error, socket, { settings, answers });
    },
  });

  const server = adapter.getInstance<FastifyInstance>();
  // Node cuts the list of headers at a limit, silently on some versions; ours is checked and told.
  server.server.maxHeadersCount = 0;
  server.server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    answers.expect(socket, response);
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  const routes = new Map<string, Set<string>>();
  server.addHook('onRoute', ({ url, method }: RouteOptions) => {
    routes.set(url, new Set([...(routes.get(url) ?? []), ...[method].flat()]));
  });
  server.addHook('onRequest', (request, reply, done) => {
    reply.headers(isDocs(request.url) ? forDocs : forAnswers).header('request-id', request.id);
    const problem =
      refuseHeaders(request, settings) ?? refuseTarget(request, routes) ?? refuseBody(request, settings);
    if (problem) send(reply, problem, settings);
    else done();
  });
  server.addHook('onSend', (_request, reply, payload, done) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    if (!server.server.listening) reply.header('connection', 'close');
    done(null, payload);
  });
  return adapter;
}

function refuseHeaders({ raw: { rawHeaders } }: FastifyRequest, settings: Settings): Problem | null {
  if (rawHeaders.length / 2 > settings.headerFieldsMax) {
    return new Problem('headers_too_large', `At most ${settings.headerFieldsMax} header fields are taken.`);
  }
  const twice = singleHeaders.find(name => linesOf(rawHeaders, name).length > 1);
  return twice ? Problem.invalid([{ field: twice, message: 'was sent more than once' }]) : null;
}

/** A known path with another method is told which ones it takes. */
function refuseTarget({ is404, url }: FastifyRequest, routes: Map<string, Set<string>>): Problem | null {
  const [path = ''] = url.split('?');
  // PostgreSQL cannot look for a NUL, so nothing is called that.
  if (path.includes('%00')) return new Problem('not_found', 'This path leads nowhere.');
  const known = is404 && [...routes].find(([route]) => matches(route, path));
  if (!known) return null;
  const allow = [...known[1]].sort().join(', ');
  return new Problem('method_not_allowed', `This path takes ${allow}.`, { headers: { allow } });
}

function matches(route: string, path: string): boolean {
  const parts = route.split('/');
  const given = path.split('/');
  return (
    parts.length === given.length &&
    parts.every((part, index) => part.startsWith(':') || part === given[index])
  );
}

function refuseBody(request: FastifyRequest, { bodyBytesMax }: Settings): Problem | null {
  if (request.method === 'GET' || request.method === 'HEAD' || request.is404) return null;
  const { 'content-type': type, 'content-encoding': encoding, 'content-length': length } = request.headers;
  if (Number(length ?? 0) > bodyBytesMax) {
    return new Problem('body_too_large', `The body may have at most ${bodyBytesMax} bytes.`);
  }
  const isPlain = type === undefined ? !hasBody(request) : plainJson.test(type);
  if (isPlain && encoding === undefined) return null;
  return new Problem('unsupported_media_type', 'Send application/json in UTF-8, not compressed.');
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Which answers are still to be written, by connection. With pipelining they may be many, in the order of the requests. */
class Answers {
  private readonly due = new WeakMap<Socket, ServerResponse[]>();

  expect(socket: Socket, response: ServerResponse): void {
    const before = this.due.get(socket);
    if (before?.some(isUnfinished)) before.push(response);
    else this.due.set(socket, [response]);
  }

  /** Whether a whole request has not got its answer yet. */
  areDue(socket: Socket): boolean {
    return (this.due.get(socket) ?? []).some(response => response.req.complete && isUnfinished(response));
  }
}

function isUnfinished(response: ServerResponse): boolean {
  return !response.writableFinished;
}

type ClientError = Error & { code?: string };

/** Bytes that are no HTTP, or too slow: there is no request to answer, only a socket. */
function refuseUnreadable(
  error: ClientError,
  socket: Socket,
  { settings, answers }: { settings: Settings; answers: Answers },
): void {
  // A whole request on this connection is still being answered: a refusal would be taken for its answer. Silence is not.
  if (!socket.writable || error.code === 'ECONNRESET' || answers.areDue(socket)) {
    socket.destroy();
    return;
  }
  const problem =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? new Problem('request_timeout', `The request must arrive within ${settings.requestTimeoutMs} ms.`)
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? new Problem('headers_too_large', `The headers may have at most ${settings.headerBytesMax} bytes.`)
        : new Problem('invalid_request', 'This could not be read as HTTP.');
  const body = JSON.stringify(problemToJson(problem.code, problem.detail));
  const { status, retryable } = problemToJson(problem.code, problem.detail);
  socket.end(
    [
      `HTTP/1.1 ${status} ${problem.code}`,
      'content-type: application/problem+json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      ...Object.entries(withoutHooks).map(([name, value]) => `${name}: ${value}`),
      `request-id: ${randomUUID()}`,
      `should-retry: ${retryable}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
