import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Settings } from '../settings.js';
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
    genReqId: () => randomUUID(),
    // A request that got in is answered, also while the process is stopping.
    return503OnClosing: false,
    logger: false,
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      reply.header('request-id', request.id);
      send(reply, toProblem(error, settings));
    },
    clientErrorHandler: (error: ClientError, socket: Socket) => {
      refuseUnreadable(error, socket, settings);
    },
  });

  const server = adapter.getInstance<FastifyInstance>();
  // Node cuts the list of headers at a limit, silently on some versions; ours is checked and told.
  server.server.maxHeadersCount = 0;
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  server.addHook('onRequest', (request, reply, done) => {
    reply.header('request-id', request.id);
    const problem = refusal(request, settings);
    if (problem) send(reply, problem);
    else done();
  });
  server.addHook('onSend', (_request, reply, payload, done) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    if (!server.server.listening) reply.header('connection', 'close');
    done(null, payload);
  });
  refuseOtherMethods(server);
  return adapter;
}

/** What can be told from the headers alone. */
function refusal(request: FastifyRequest, settings: Settings): Problem | null {
  const { rawHeaders } = request.raw;
  if (rawHeaders.length / 2 > settings.headerFieldsMax) {
    return new Problem('headers_too_large', `At most ${settings.headerFieldsMax} header fields are taken.`);
  }
  const names = rawHeaders.filter((_, index) => index % 2 === 0).map(name => name.toLowerCase());
  const twice = singleHeaders.find(name => names.indexOf(name) !== names.lastIndexOf(name));
  if (twice) return Problem.invalid([{ field: twice, message: 'was sent more than once' }]);

  const length = Number(request.headers['content-length'] ?? 0);
  if (length > settings.bodyBytesMax) {
    return new Problem('body_too_large', `The body may have at most ${settings.bodyBytesMax} bytes.`);
  }

  const { 'content-type': type, 'content-encoding': encoding } = request.headers;
  const isPlain = type === undefined ? !hasBody(request) : plainJson.test(type);
  if (request.method !== 'GET' && request.method !== 'HEAD' && (!isPlain || encoding !== undefined)) {
    return new Problem('unsupported_media_type', 'Send application/json in UTF-8, not compressed.');
  }
  return null;
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** A known path with another method is told which ones it takes. */
function refuseOtherMethods(server: FastifyInstance): void {
  const methods = new Map<string, Set<string>>();
  server.addHook('onRoute', ({ url, method }: RouteOptions) => {
    const known = methods.get(url) ?? new Set();
    [method].flat().forEach(each => known.add(each));
    methods.set(url, known);
  });
  server.addHook('preHandler', (request, reply, done) => {
    const [path = ''] = request.url.split('?');
    const allowed = request.is404 ? [...methods].find(([route]) => matches(route, path)) : undefined;
    if (!allowed) {
      done();
      return;
    }
    const allow = [...allowed[1]].sort().join(', ');
    send(reply, new Problem('method_not_allowed', `This path takes ${allow}.`, { headers: { allow } }));
  });
}

function matches(route: string, path: string): boolean {
  const parts = route.split('/');
  const given = path.split('/');
  return (
    parts.length === given.length &&
    parts.every((part, index) => part.startsWith(':') || part === given[index])
  );
}

type ClientError = Error & { code?: string };

/** Bytes that are no HTTP, or too slow: there is no request to answer, only a socket. */
function refuseUnreadable(error: ClientError, socket: Socket, settings: Settings): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
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
