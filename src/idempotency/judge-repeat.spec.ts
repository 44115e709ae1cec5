import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import type { KeyRow } from './claim.js';
import { judgeRepeat } from './judge-repeat.js';
import type { Attempt, Operation } from './operation.js';

const at = new Date('2026-01-02T03:04:05.678Z');
const expiresAt = new Date('2026-01-05T03:04:05.678Z');
const fingerprints = [randomBytes(32), randomBytes(32)];

const answers = [
  { status: 200, body: '{"id":"1"}' },
  { status: 402, body: '{"code":"insufficient_funds"}' },
] as const;

const attemptOf = (fingerprint: Buffer, name = 'payment'): Attempt => ({
  id: 'mine',
  customerId: 'c',
  key: 'k',
  operation: { name } as Operation,
  params: { amount: 100, to: 'sam' },
  fingerprint,
});

/** Every state a row can be in: the database's own CHECKs tie an answer to its time and to `finished`. */
const row: fc.Arbitrary<KeyRow> = fc
  .record({
    fingerprint: fc.constantFrom(...fingerprints),
    operation: fc.constantFrom('payment', 'refund'),
    answer: fc.constantFrom(null, ...answers),
    point: fc.constantFrom('started', 'funds_reserved', 'transfer_sent'),
    attemptId: fc.constantFrom('mine', 'theirs', ''),
    leaseLeftMs: fc.option(fc.double({ min: -1e9, max: 1e9, noNaN: true })),
    params: fc.constantFrom({ amount: 100, to: 'sam' }, { amount: 101, to: 'sam' }, {}),
  })
  .map(({ point, answer, leaseLeftMs, ...rest }) => ({
    ...rest,
    customerId: 'c',
    key: 'k',
    recoveryPoint: answer ? 'finished' : point,
    answer,
    finishedAt: answer && at,
    leaseLeftMs: answer ? null : leaseLeftMs,
    expiresAt,
  }));

const attempt = fc.constantFrom(...fingerprints).map(each => attemptOf(each));

describe('what a repeat gets', () => {
  it('is exactly one of four outcomes, by the rules of the contract in their order', () => {
    fc.assert(
      fc.property(attempt, row, (repeat, found) => {
        const outcome = judgeRepeat(repeat, found);
        const rules: [boolean, string][] = [
          [!repeat.fingerprint.equals(found.fingerprint), 'collision'],
          [found.answer !== null && found.attemptId === repeat.id, 'completed'],
          [found.answer !== null, 'replayed'],
          [true, 'in_progress'],
        ];
        expect(outcome.kind).toBe(rules.find(([applies]) => applies)?.[1]);
      }),
      { numRuns: 500 },
    );
  });

  it('is never an answer when the request differs, and never a second look at the first one’s values', () => {
    fc.assert(
      fc.property(row, found => {
        const outcome = judgeRepeat(attemptOf(randomBytes(32)), found);
        expect(outcome.kind).toBe('collision');
        expect(Object.keys(outcome).sort()).toEqual(['differsIn', 'expiresAt', 'kind']);
        expect(JSON.stringify(outcome)).not.toMatch(/insufficient_funds|"1"|101/);
      }),
    );
  });

  it('is the very answer that was stored, with its own time', () => {
    fc.assert(
      fc.property(row, found => {
        fc.pre(found.answer !== null && found.attemptId !== 'mine');
        const outcome = judgeRepeat(attemptOf(found.fingerprint), found);
        expect(outcome).toEqual({ kind: 'replayed', answer: found.answer, finishedAt: at, expiresAt });
      }),
    );
  });

  it('while the first one runs is what its lease has left, in whole seconds from 1 to 30', () => {
    fc.assert(
      fc.property(row, found => {
        fc.pre(found.answer === null);
        const outcome = judgeRepeat(attemptOf(found.fingerprint), found);
        if (outcome.kind !== 'in_progress') throw new Error(outcome.kind);
        expect(Number.isInteger(outcome.retryAfterSeconds)).toBe(true);
        expect(outcome.retryAfterSeconds).toBeGreaterThanOrEqual(1);
        expect(outcome.retryAfterSeconds).toBeLessThanOrEqual(30);
      }),
    );
  });

  it.each([
    [null, 1],
    [-5_000, 1],
    [0, 1],
    [1, 1],
    [1_000, 1],
    [1_001, 2],
    [29_999, 30],
    [30_001, 30],
    [600_000, 30],
  ])('with %s ms of the lease left is told to wait %i s', (leaseLeftMs, seconds) => {
    const [fingerprint = randomBytes(32)] = fingerprints;
    const found = {
      fingerprint,
      operation: 'payment',
      params: {},
      answer: null,
      finishedAt: null,
      leaseLeftMs,
      expiresAt,
    };
    expect(judgeRepeat(attemptOf(fingerprint), found as unknown as KeyRow)).toMatchObject({
      kind: 'in_progress',
      retryAfterSeconds: seconds,
    });
  });

  it('names the members that differ, or the operation where that is what differs', () => {
    const found = {
      fingerprint: randomBytes(32),
      operation: 'payment',
      params: { amount: 1, to: 'sam', from: 'alice' },
      expiresAt,
    };
    const told = (name: string) => judgeRepeat(attemptOf(randomBytes(32), name), found as unknown as KeyRow);
    expect(told('payment')).toMatchObject({ kind: 'collision', differsIn: ['amount', 'from'] });
    expect(told('refund')).toMatchObject({ kind: 'collision', differsIn: ['operation'] });
  });
});
