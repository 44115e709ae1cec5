import { problemToJson } from './problem.js';
import { problems, type ProblemCode } from './problems.js';

/** The contract's list, written out. `retryable` where the same request may be answered differently later. */
const contract: Record<string, { status: number; retryable: boolean }> = {
  malformed_json: { status: 400, retryable: false },
  invalid_request: { status: 400, retryable: false },
  idempotency_key_missing: { status: 400, retryable: false },
  idempotency_key_invalid: { status: 400, retryable: false },
  unauthenticated: { status: 401, retryable: false },
  insufficient_funds: { status: 402, retryable: false },
  declined_by_bank: { status: 402, retryable: false },
  forbidden: { status: 403, retryable: false },
  not_found: { status: 404, retryable: false },
  method_not_allowed: { status: 405, retryable: false },
  request_timeout: { status: 408, retryable: true },
  collision_detected: { status: 409, retryable: false },
  in_progress: { status: 409, retryable: true },
  already_completed: { status: 409, retryable: false },
  operation_cancelled: { status: 409, retryable: false },
  body_too_large: { status: 413, retryable: false },
  unsupported_media_type: { status: 415, retryable: false },
  unknown_payee: { status: 422, retryable: false },
  currency_mismatch: { status: 422, retryable: false },
  amount_above_limit: { status: 422, retryable: false },
  refund_exceeds_payment: { status: 422, retryable: false },
  rate_limited: { status: 429, retryable: true },
  headers_too_large: { status: 431, retryable: false },
  internal: { status: 500, retryable: true },
  overloaded: { status: 503, retryable: true },
  unavailable: { status: 503, retryable: true },
};

const codes = Object.keys(problems) as ProblemCode[];

describe('the catalogue of problems', () => {
  it('is the contract’s, no more and no less', () => {
    const catalogue = Object.fromEntries(
      codes.map(code => [code, { status: problems[code].status, retryable: problems[code].retryable }]),
    );
    expect(catalogue).toEqual(contract);
  });

  it.each(codes)('%s says in sentences what it means and what to do', code => {
    const { title, meaning, remedy } = problems[code];
    expect(title).toMatch(/^[A-Z][^.]*$/);
    for (const sentence of [meaning, remedy]) expect(sentence).toMatch(/^[A-Z`].*\.$/);
    // The pages print them as they are.
    expect(title + meaning + remedy).not.toMatch(/[<>&]/);
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });

  it('gives each code a title of its own', () => {
    expect(new Set(codes.map(code => problems[code].title)).size).toBe(codes.length);
  });

  it.each(codes)('%s becomes a body of RFC 9457 that links to its page', code => {
    const { status, retryable } = contract[code] ?? {};
    expect(problemToJson(code, 'Because.', { more: 1 })).toEqual({
      type: `/problems/${code}`,
      title: problems[code].title,
      status,
      code,
      detail: 'Because.',
      retryable,
      more: 1,
    });
  });
});
