import type { Attempt, Decision, Held, UnfinishedPoint } from './operation.js';
import { endOf, type Decided, type End, type Step } from './step.js';

const settings = { leaseMs: 30_000, recoveryAttemptsMax: 5 };
const attempt = { id: 'a', customerId: 'c', key: 'k' } as Attempt;
const expiresAt = new Date('2026-01-05T03:04:05.678Z');

const holding = (members: Partial<Held> = {}): Held => ({
  attempt,
  point: 'funds_reserved',
  state: { payment_id: 'p' },
  epoch: 3,
  attempts: 2,
  mayBeSent: false,
  ageMs: 700,
  ...members,
});

/** How a decision ends: of one who has just claimed its key, or of a holder. */
function end(decision: Decision, held: Held | null = null, step: Partial<Step> = {}): End {
  const claim = { attempt, keyToRemember: 'k', state: held?.state ?? {}, at: new Date(0), expiresAt };
  const decided: Decided = {
    claim,
    decision,
    step: { attempt, held, decide: () => decision, ...step },
  };
  return endOf(decided, settings);
}

/** What nobody said anything about stays as it was; whoever is parked is taken up by nobody. */
const unchanged = {
  customerId: 'c',
  key: 'k',
  epoch: 3,
  point: 'funds_reserved',
  state: { payment_id: 'p' },
  mayBeSent: true,
  lockedForMs: null,
  parkedBecause: null,
  attemptsGivenBack: 0,
};

describe('what a decision means', () => {
  const answer = { status: 200, body: '{}' } as const;
  const advance = (to: UnfinishedPoint): Decision => ({ kind: 'advance', to, state: { payment_id: 'p' } });
  const postpone = (because: 'not_sent' | 'not_yet' | 'unknown'): Decision => ({
    kind: 'postpone',
    because,
    reason: 'no answer',
  });

  it('an answer ends it, in the epoch it is held in', () => {
    const seat = { kind: 'completed', answer, expiresAt };
    expect(end({ kind: 'finish', answer })).toMatchObject({ kind: 'finished', epoch: 1, answer, seat });
    expect(end({ kind: 'finish', answer }, holding())).toMatchObject({ kind: 'finished', epoch: 3 });
  });

  it('a refusal leaves nothing behind, so only a beginner can be refused', () => {
    const refusal = { code: 'account_not_found', detail: 'No.' };
    expect(end({ kind: 'refuse', refusal })).toEqual({ kind: 'refused', seat: { kind: 'refused', refusal } });
    expect(() => end({ kind: 'refuse', refusal }, holding())).toThrow(/^PS-105/);
  });

  it('a recovery point is reached: leased, and the row says that a call may be made, before it is', () => {
    const progress = { ...unchanged, point: 'transfer_sent', lockedForMs: 30_000 };
    expect(end(advance('transfer_sent'), holding())).toEqual({
      kind: 'goes_on',
      progress,
      seat: { kind: 'held', held: holding({ point: 'transfer_sent', mayBeSent: true }) },
    });
    // Whoever has just begun knows for certain that nobody has called before.
    const begun = { epoch: 1, attempts: 1, mayBeSent: false, ageMs: 0 };
    expect(end(advance('funds_reserved'))).toEqual({
      kind: 'goes_on',
      progress: { ...progress, epoch: 1, point: 'funds_reserved' },
      seat: { kind: 'held', held: holding(begun) },
    });
  });

  it.each([
    ['not_sent', false, false, 1],
    ['not_sent', true, true, 1],
    ['not_yet', false, true, 1],
    ['unknown', false, true, 0],
  ] as const)(
    'nothing is known yet (%s), and it may have been sent before: %s',
    (because, mayBeSent, isMaybeSent, attemptsGivenBack) => {
      const asked: string[] = [];
      const waitMs = (why: string) => (asked.push(why), 4_100);
      expect(end(postpone(because), holding({ mayBeSent }), { waitMs })).toEqual({
        kind: 'goes_on',
        progress: { ...unchanged, mayBeSent: isMaybeSent, lockedForMs: 4_100, attemptsGivenBack },
        seat: { kind: 'postponed', reason: 'no answer', retryAfterSeconds: 5 },
      });
      expect(asked).toEqual([because]);
    },
  );

  it('nothing is known of one that was never held: it waits for as long as a lease', () => {
    expect(end(postpone('not_sent'))).toMatchObject({
      progress: { epoch: 1, point: 'started', mayBeSent: false, lockedForMs: 30_000 },
      seat: { kind: 'postponed', retryAfterSeconds: 30 },
    });
    expect(end(postpone('unknown'))).toMatchObject({ seat: { kind: 'postponed' } });
  });

  it('too many attempts of which nothing is known are for a person; others are not counted', () => {
    const parked = end(postpone('unknown'), holding({ attempts: 5 }));
    expect(parked).toEqual({
      kind: 'goes_on',
      progress: { ...unchanged, parkedBecause: 'no answer (after 5 attempts)' },
      seat: { kind: 'parked', reason: 'no answer (after 5 attempts)' },
    });
    expect(end(postpone('unknown'), holding({ attempts: 4 })).seat.kind).toBe('postponed');
    expect(end(postpone('not_sent'), holding({ attempts: 99 })).seat.kind).toBe('postponed');
    expect(end(postpone('not_yet'), holding({ attempts: 99 })).seat.kind).toBe('postponed');
  });

  it('what contradicts itself is parked, what is undone is closed', () => {
    expect(end({ kind: 'park', reason: 'odd' }, holding())).toEqual({
      kind: 'goes_on',
      progress: { ...unchanged, parkedBecause: 'odd' },
      seat: { kind: 'parked', reason: 'odd' },
    });
    expect(end({ kind: 'cancel' }, holding())).toEqual({
      kind: 'goes_on',
      progress: { ...unchanged, point: 'cancelled', mayBeSent: false },
      seat: { kind: 'cancelled' },
    });
  });

  it('a beginner that is parked at once has sent nothing', () => {
    expect(end({ kind: 'park', reason: 'odd' })).toMatchObject({
      progress: { epoch: 1, point: 'started', mayBeSent: false, state: {} },
    });
  });
});
