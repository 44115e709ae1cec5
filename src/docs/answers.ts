import { isDeepStrictEqual } from 'node:util';
import { problemToJson } from '../http/problem.js';
import { problemExamples } from '../http/problem-examples.js';
import { statusOf } from '../http/problem.filter.js';
import { problems, type ProblemCode } from '../http/problems.js';
import type { Settings } from '../settings.js';
import type { Call, Success } from './calls.js';
import { reference, type Example, type Reference, type Response } from './openapi-types.js';

/** Any request may end like this, before its path matters or after it. */
const always: ProblemCode[] = [
  'invalid_request',
  'request_timeout',
  'headers_too_large',
  'internal',
  'overloaded',
  'unavailable',
];
const authenticated: ProblemCode[] = ['unauthenticated', 'forbidden', 'rate_limited'];
const writing: ProblemCode[] = ['body_too_large', 'unsupported_media_type'];

/** On every answer to a known caller. */
const rateLimits = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'];
/** Refused before it is known who calls, or because it is not. */
const anonymous = new Set([401, 403, 408, 413, 415, 431]);

/** What a call is, as far as that decides what may be answered. */
export interface Kind {
  /** Open to all. */
  readonly isOpen: boolean;
  readonly isGet: boolean;
  readonly hasBody: boolean;
}

/** Every status a call may be answered with. `shared` collects the answers that many calls have in common. */
export function answersOf(
  call: Call,
  kind: Kind,
  { settings, shared }: { settings: Settings; shared: Record<string, Response> },
): Record<string, Response | Reference> {
  const { isOpen, isGet, hasBody } = kind;
  const codes = new Set([
    ...always,
    ...(isOpen ? [] : authenticated),
    ...(isGet ? [] : writing),
    ...(hasBody ? (['malformed_json'] as const) : []),
    ...call.problems,
  ]);
  const byStatus = Map.groupBy(
    allCodes.filter(code => codes.has(code)),
    code => statusOf(code, settings),
  );
  const refusals = [...byStatus].map(([status, those]) => {
    const isKnown = !isOpen && !anonymous.has(status);
    const more = isKnown ? [...rateLimits] : [];
    // A decline is stored, and replayed like a payment.
    if (status === 402) more.push('Idempotent-Replayed', 'Idempotency-Original-Date');
    // A preference is honoured whatever comes of the request.
    if (call.takes && [402, 409].includes(status)) more.push('Preference-Applied');
    return [String(status), sharing(refusal(those, more), those.join('-or-'), shared)] as const;
  });
  const successes = Object.entries(call.answers).map(
    ([status, told]) => [status, success(told, isOpen)] as const,
  );
  return Object.fromEntries([...successes, ...refusals]);
}

/** One of each problem, to be referred to. No call is ever answered 405: another method would be. */
export function problemsAsExamples(settings: Settings): Record<string, Example> {
  return Object.fromEntries(
    allCodes
      .filter(code => code !== 'method_not_allowed')
      .map(code => {
        const { detail, members } = problemExamples[code];
        const value = { ...problemToJson(code, detail, members), status: statusOf(code, settings) };
        return [code, { summary: problems[code].title, description: problems[code].remedy, value }];
      }),
  );
}

const allCodes = Object.keys(problems) as ProblemCode[];

function success(told: Success, isOpen: boolean): Response {
  const { description, schema, type = 'application/json', headers = [], examples = {} } = told;
  const shown = Object.entries(examples).map(([name, value]) => [name, { value }] as const);
  const shape = schema ? reference('schemas', schema) : { type: type.endsWith('json') ? 'object' : 'string' };
  return {
    description,
    headers: referenced(['Request-Id', ...headers, ...(isOpen ? [] : rateLimits)]),
    content: {
      [type]: { schema: shape, ...(shown.length > 0 && { examples: Object.fromEntries(shown) }) },
    },
  };
}

/** One answer for all problems of a status: `code` tells them apart. */
function refusal(codes: readonly ProblemCode[], more: readonly string[]): Response {
  const particular = codes.flatMap(code => Object.keys(problemExamples[code].headers ?? {}));
  return {
    description: codes.map(code => `\`${code}\`: ${problems[code].title}.`).join(' '),
    headers: referenced(['Request-Id', 'Should-Retry', ...particular, ...more]),
    content: {
      'application/problem+json': {
        schema: reference('schemas', 'Problem'),
        examples: Object.fromEntries(codes.map(code => [code, reference('examples', code)])),
      },
    },
  };
}

function referenced(names: readonly string[]): Record<string, Reference> {
  return Object.fromEntries(names.map(name => [name, reference('headers', name)]));
}

/** The first answer of a name is written down, and equal ones refer to it. */
function sharing(answer: Response, name: string, shared: Record<string, Response>): Response | Reference {
  shared[name] ??= answer;
  return isDeepStrictEqual(shared[name], answer) ? reference('responses', name) : answer;
}
