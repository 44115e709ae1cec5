import { Problem } from '../http/problem.js';
import type { ProblemCode } from '../http/problems.js';
import type { Answer, Outcome } from './operation.js';

/** What came of a request, and the canonical key it was carried out under. */
export interface Answered {
  readonly key: string;
  readonly outcome: Outcome;
}

/** An answer as HTTP knows it. The body goes out as it is: nothing parses or prints the stored bytes again. */
export interface Told {
  readonly status: 200 | 202 | 402;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Puts an outcome into HTTP's words.
 *
 * @throws Problem, for every outcome that is neither a stored answer nor on its way to one
 */
export function tell({ key, outcome }: Answered): Told {
  if (outcome.kind === 'refused') {
    throw new Problem(outcome.refusal.code as ProblemCode, outcome.refusal.detail);
  }
  if (outcome.kind === 'cancelled') {
    throw new Problem('operation_cancelled', 'This key was closed before anything was paid.', {
      headers: { 'idempotency-key': key, 'idempotency-status': 'operation_cancelled' },
    });
  }
  const headers = {
    'idempotency-key': key,
    'idempotency-expires': outcome.expiresAt.toISOString(),
  };
  switch (outcome.kind) {
    case 'completed':
      return stored(outcome.answer, { ...headers, 'idempotency-status': 'completed' });
    case 'replayed':
      return stored(outcome.answer, {
        ...headers,
        'idempotency-status': 'already_completed',
        'idempotent-replayed': 'true',
        'idempotency-original-date': outcome.finishedAt.toISOString(),
      });
    case 'pending':
      return {
        status: 202,
        headers: {
          ...headers,
          'idempotency-status': 'in_progress',
          'retry-after': String(outcome.retryAfterSeconds),
          location: `/operations/${encodeURIComponent(key)}`,
          'content-type': 'application/json; charset=utf-8',
        },
        body: outcome.body,
      };
    case 'collision':
      throw new Problem('collision_detected', collisionDetail(outcome.differsIn), {
        members: { differs_in: outcome.differsIn },
        headers: { ...headers, 'idempotency-status': 'collision_detected' },
      });
    case 'in_progress':
      throw new Problem('in_progress', 'The first request with this key has not finished yet.', {
        headers: {
          ...headers,
          'idempotency-status': 'in_progress',
          'retry-after': String(outcome.retryAfterSeconds),
        },
      });
  }
}

function stored({ status, body }: Answer, headers: Record<string, string>): Told {
  const type = status === 200 ? 'application/json' : 'application/problem+json';
  const retry: Record<string, string> = status === 200 ? {} : { 'should-retry': 'false' };
  return { status, headers: { ...headers, ...retry, 'content-type': `${type}; charset=utf-8` }, body };
}

function collisionDetail(differsIn: readonly string[]): string {
  return `This key was used before, for a request that differs in: ${differsIn.join(', ')}.`;
}
