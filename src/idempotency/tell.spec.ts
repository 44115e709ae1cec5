import type { Outcome } from './operation.js';
import { tell } from './tell.js';

const expiresAt = new Date('2026-01-05T03:04:05.678Z');
const finishedAt = new Date('2026-01-02T03:04:05.678Z');
const common = { 'idempotency-key': 'a key', 'idempotency-expires': '2026-01-05T03:04:05.678Z' };
const paid = { status: 200, body: '{"id":"1"}' } as const;
const declined = { status: 402, body: '{"code":"insufficient_funds"}' } as const;

const told = (outcome: Outcome) => tell({ key: 'a key', outcome });

/** What is thrown of a problem, besides its words. */
interface Thrown {
  readonly name: string;
  readonly code: string;
  readonly detail: string;
  readonly extras: object;
}

/** The problem that is thrown, as its code and whatever goes with it. */
function problem(outcome: Outcome): Omit<Thrown, 'name'> {
  try {
    told(outcome);
  } catch (error) {
    const { name, code, detail, extras } = error as Thrown;
    expect(name).toBe('Problem');
    return { code, detail, extras };
  }
  throw new Error('no problem');
}

describe('what a caller is told', () => {
  it('of a payment that was made: the stored bytes', () => {
    expect(told({ kind: 'completed', answer: paid, expiresAt })).toEqual({
      ...paid,
      headers: {
        ...common,
        'idempotency-status': 'completed',
        'content-type': 'application/json; charset=utf-8',
      },
    });
  });

  it('of one that was declined: a problem, and not to try again', () => {
    expect(told({ kind: 'completed', answer: declined, expiresAt })).toEqual({
      ...declined,
      headers: {
        ...common,
        'idempotency-status': 'completed',
        'should-retry': 'false',
        'content-type': 'application/problem+json; charset=utf-8',
      },
    });
  });

  it('of a repeat: the same, and that it is one, and of when', () => {
    expect(told({ kind: 'replayed', answer: paid, finishedAt, expiresAt })).toEqual({
      ...paid,
      headers: {
        ...common,
        'idempotency-status': 'already_completed',
        'idempotent-replayed': 'true',
        'idempotency-original-date': '2026-01-02T03:04:05.678Z',
        'content-type': 'application/json; charset=utf-8',
      },
    });
  });

  it('while it is under way, and its wait is over: where to look, and when', () => {
    expect(told({ kind: 'pending', body: '{}', retryAfterSeconds: 7, expiresAt })).toEqual({
      status: 202,
      body: '{}',
      headers: {
        ...common,
        'idempotency-status': 'in_progress',
        'retry-after': '7',
        location: '/operations/a%20key',
        'content-type': 'application/json; charset=utf-8',
      },
    });
  });

  it('while another is at work on it: when to come back', () => {
    expect(problem({ kind: 'in_progress', retryAfterSeconds: 9, expiresAt })).toMatchObject({
      code: 'in_progress',
      extras: { headers: { ...common, 'idempotency-status': 'in_progress', 'retry-after': '9' } },
    });
  });

  it('of a key that belongs to another request: which members differ', () => {
    expect(problem({ kind: 'collision', differsIn: ['amount', 'to'], expiresAt })).toEqual({
      code: 'collision_detected',
      detail: 'This key was used before, for a request that differs in: amount, to.',
      extras: {
        members: { differs_in: ['amount', 'to'] },
        headers: { ...common, 'idempotency-status': 'collision_detected' },
      },
    });
  });

  it('of a closed key, and of a request that makes no sense', () => {
    expect(problem({ kind: 'cancelled' })).toMatchObject({
      code: 'operation_cancelled',
      extras: { headers: { 'idempotency-key': 'a key', 'idempotency-status': 'operation_cancelled' } },
    });
    const refusal = { code: 'account_not_found', detail: 'No such account.' };
    expect(problem({ kind: 'refused', refusal })).toEqual({ ...refusal, extras: {} });
  });
});
