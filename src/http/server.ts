import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { limits, type Settings } from '../settings.js';
import { Problem, problemToJson } from './problem.js';
import { send, toProblem } from './problem.filter.js';

/** Exactly this, in UTF-8. Anything looser has let bodies past their validation elsewhere. */
const plainJson = /^application\/json(\s*;\s*charset=("utf-8"|utf-8))?$/i;

/** Headers of which two lines mean two different requests, to two different readers. */
const singleHeaders = ['host', 'authorization', 'content-type', 'content-length'];

/**
 * Fastify, as strict as this API needs it. What it refuses is refused before anything else is looked at, and
 * in the same words as everywhere.
 */
export function createServer(settings: Settings): FastifyAdapter {
  const unanswered = new Set<IncomingMessage>();
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
      reply.header('request-id', request.id);
      send(reply, toProblem(error, settings));
    },
    clientErrorHandler: (error: ClientError, socket: Socket) => {
      refuseUnreadable(error, socket, { settings, unanswered });
    },
  });

  const server = adapter.getInstance<FastifyInstance>();
  // Node cuts the list of headers at a limit, silently on some versions; ours is checked and told.
  server.server.maxHeadersCount = 0;
  server.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    unanswered.add(request);
    response.once('close', () => unanswered.delete(request));
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
    reply.header('request-id', request.id);
    const problem =
      refuseHeaders(request, settings) ?? refuseTarget(request, routes) ?? refuseBody(request, settings);
    if (problem) send(reply, problem);
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
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map(name => name.toLowerCase());
  const twice = singleHeaders.find(name => names.indexOf(name) !== names.lastIndexOf(name));
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

type ClientError = Error & { code?: string };

/** Bytes that are no HTTP, or too slow: there is no request to answer, only a socket. */
function refuseUnreadable(
  error: ClientError,
  socket: Socket,
  { settings, unanswered }: { settings: Settings; unanswered: ReadonlySet<IncomingMessage> },
): void {
  // A whole request on this connection is still being answered: a refusal would be taken for its answer. Silence is not.
  const isAnswering = [...unanswered].some(request => request.socket === socket && request.complete);
  if (!socket.writable || error.code === 'ECONNRESET' || isAnswering) {
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
      `request-id: ${randomUUID()}`,
      `should-retry: ${retryable}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
