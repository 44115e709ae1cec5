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
  windowMs: null,
});

/** Every state a row can be in: the database's own CHECKs tie an answer to its time and to `finished`. */
const row: fc.Arbitrary<KeyRow> = fc
  .record({
    fingerprint: fc.constantFrom(...fingerprints),
    operation: fc.constantFrom('payment', 'refund'),
    answer: fc.constantFrom(null, ...answers),
    point: fc.constantFrom('started', 'funds_reserved', 'transfer_sent', 'cancelled'),
    attemptId: fc.constantFrom('mine', 'theirs', ''),
    leaseLeftMs: fc.option(fc.double({ min: -1e9, max: 1e9, noNaN: true })),
    parkedBecause: fc.constantFrom(null, null, 'the bank contradicts itself'),
    params: fc.constantFrom({ amount: 100, to: 'sam' }, { amount: 101, to: 'sam' }, {}),
    epoch: fc.nat(),
    attempts: fc.nat(),
    windowMs: fc.constantFrom(null, 60_000),
    mayBeSent: fc.boolean(),
    ageMs: fc.nat(),
    duplicates: fc.nat(),
  })
  .map(({ point, answer, leaseLeftMs, parkedBecause, ...rest }) => {
    const isUnderWay = !answer && point !== 'cancelled';
    return {
      ...rest,
      customerId: 'c',
      key: 'k',
      recoveryPoint: answer ? 'finished' : point,
      state: {},
      answer,
      createdAt: at,
      finishedAt: answer && at,
      parkedBecause: isUnderWay ? parkedBecause : null,
      leaseLeftMs: isUnderWay && parkedBecause === null ? (leaseLeftMs ?? 0) : null,
      expiresAt,
      lastDuplicateAt: null,
    };
  });

const attempt = fc.constantFrom(...fingerprints).map(each => attemptOf(each));

describe('what a repeat gets', () => {
  it('follows the rules of the contract, in their order', () => {
    fc.assert(
      fc.property(attempt, row, (repeat, found) => {
        const outcome = judgeRepeat(repeat, found);
        const rules: [boolean, string][] = [
          [found.recoveryPoint === 'cancelled', 'cancelled'],
          [!repeat.fingerprint.equals(found.fingerprint), 'collision'],
          [found.answer !== null && found.attemptId === repeat.id, 'completed'],
          [found.answer !== null, 'replayed'],
          [found.parkedBecause !== null, 'in_progress'],
          [(found.leaseLeftMs ?? 1) <= 0, 'abandoned'],
          [found.attemptId === repeat.id, 'own'],
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
        fc.pre(found.recoveryPoint !== 'cancelled');
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
        const outcome = judgeRepeat(attemptOf(found.fingerprint), found);
        if (outcome.kind !== 'in_progress') return;
        expect(Number.isInteger(outcome.retryAfterSeconds)).toBe(true);
        expect(outcome.retryAfterSeconds).toBeGreaterThanOrEqual(1);
        expect(outcome.retryAfterSeconds).toBeLessThanOrEqual(30);
      }),
    );
  });

  it.each([
    [null, 30],
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
      parkedBecause: null,
      attemptId: 'theirs',
      expiresAt,
    };
    expect(judgeRepeat(attemptOf(fingerprint), found as unknown as KeyRow)).toMatchObject({
      kind: 'in_progress',
      retryAfterSeconds: seconds,
    });
  });

  it.each([0, -1, -5_000])('with %s ms of the lease left is to go on in the holder’s place', leaseLeftMs => {
    const [fingerprint = randomBytes(32)] = fingerprints;
    const found = {
      fingerprint,
      answer: null,
      finishedAt: null,
      leaseLeftMs,
      parkedBecause: null,
      expiresAt,
    };
    for (const attemptId of ['mine', 'theirs']) {
      const row = { ...found, attemptId } as unknown as KeyRow;
      expect(judgeRepeat(attemptOf(fingerprint), row)).toEqual({ kind: 'abandoned' });
    }
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
