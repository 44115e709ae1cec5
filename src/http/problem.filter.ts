import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { StopFull } from '../database/bus.js';
import { isPoolExhausted, isWorthAnotherTry, sqlStateOf, Unavailable } from '../database/failures.js';
import type { Settings } from '../settings.js';
import { errorToLog } from '../telemetry/error-to-log.js';
import { Problem, problemToJson } from './problem.js';
import { problems, type ProblemCode } from './problems.js';

/** Seconds. Long enough for a burst to pass or a server to restart; callers add jitter of their own. */
const retryAfter = { 'retry-after': '1' };

/** Turns whatever was thrown into a problem. What nobody expected is logged in full, and told as `internal`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly settings: Settings,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const reply = http.getResponse<FastifyReply>();
    const problem = toProblem(error, this.settings);
    if (problems[problem.code].status >= 500) {
      this.log.error(
        { requestId: http.getRequest<FastifyRequest>().id, err: errorToLog(error) },
        problem.code,
      );
    }
    send(reply, problem, this.settings);
  }
}

/** Writes a problem as the answer. */
export function send(reply: FastifyReply, { code, detail, extras }: Problem, settings: Settings): void {
  const { retryable } = problems[code];
  const status = statusOf(code, settings);
  const body = problemToJson(code, detail, extras.members);
  void reply
    .status(status)
    .headers({
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
      'should-retry': String(retryable),
      ...extras.headers,
    })
    .send(JSON.stringify({ ...body, status }));
}

/** The contract lets a deployment choose what a collision is told; everything else is fixed. */
export function statusOf(code: ProblemCode, { collisionStatus }: Settings): number {
  return code === 'collision_detected' ? collisionStatus : problems[code].status;
}

export function toProblem(error: unknown, settings: Settings): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof StopFull || isPoolExhausted(error)) {
    return new Problem('overloaded', 'Too many requests are waiting for the database.', {
      headers: retryAfter,
    });
  }
  if (error instanceof Unavailable || isDatabaseTrouble(error)) {
    return new Problem('unavailable', 'The database cannot be reached right now.', { headers: retryAfter });
  }
  return fromFramework(error, settings) ?? new Problem('internal', 'The request could not be carried out.');
}

/** A read that failed on its way to the database. TypeORM wraps what the driver says. */
function isDatabaseTrouble(error: unknown): boolean {
  const cause = (error as { driverError?: unknown } | null)?.driverError ?? error;
  return sqlStateOf(cause) === null ? isLostConnection(cause) : isWorthAnotherTry(cause);
}

/** What the system says of a connection that died or could not be made; the last two: no descriptor is left for it. */
const noWay = /^(ECONN|EPIPE|ETIMEDOUT|E(HOST|NET)UNREACH|EADDRNOTAVAIL|ENOTFOUND|EAI_|EMFILE|ENFILE)/;

/** That, or the driver's own words for it. */
function isLostConnection(error: unknown): boolean {
  if (!Error.isError(error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return (
    (code !== undefined && noWay.test(code)) ||
    /Connection terminated|not queryable|read timeout/.test(error.message)
  );
}

/** What Fastify and Nest refuse before this application is asked. */
function fromFramework(error: unknown, { bodyBytesMax }: Settings): Problem | null {
  const status =
    error instanceof HttpException
      ? error.getStatus()
      : (error as { statusCode?: unknown } | null)?.statusCode;
  switch (status) {
    case 400:
      return new Problem(
        'invalid_request',
        (error as { code?: unknown }).code === 'FST_ERR_BAD_URL'
          ? 'The path cannot be decoded: % must be followed by two hexadecimal digits, and all of it be UTF-8.'
          : 'The request could not be read.',
      );
    case 404:
    case 414:
      return new Problem('not_found', 'This path leads nowhere.');
    case 408:
      return new Problem('request_timeout', 'The request took too long to arrive.');
    case 413:
      return new Problem('body_too_large', `The body may have at most ${bodyBytesMax} bytes.`);
    case 415:
      return new Problem('unsupported_media_type', 'Send application/json in UTF-8, not compressed.');
    case 503:
      return new Problem('unavailable', 'The database cannot be reached right now.', { headers: retryAfter });
    default:
      return typeof status === 'number' && status < 500
        ? new Problem('invalid_request', 'The request could not be read.')
        : null;
  }
}
