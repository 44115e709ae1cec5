import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { Drive } from './drive.js';
import type { EngineEvent } from './events.js';
import type { GroupCommit } from './group-commit.js';
import type { Attempt, Claim, Held, Operation } from './operation.js';
import type { Seat, Step } from './step.js';

const settings = {
  recoveryAttemptsMax: 5,
  recoveryBackoffMs: 100,
  recoveryBackoffMaxMs: 3_000,
  outageBackoffMaxMs: 1_000,
};

/** What stands in for the transactions: each step that comes gets the next seat. */
class Transactions {
  readonly steps: Step[] = [];

  constructor(private readonly seats: (Seat | Error)[]) {}

  commit = (step: Step): Promise<Seat> => {
    this.steps.push(step);
    const seat = this.seats.shift() ?? new Error('no more seats');
    return seat instanceof Error ? Promise.reject(seat) : Promise.resolve(seat);
  };
}

const calls: { outside: unknown; point: string; signal: AbortSignal }[] = [];
let callTakesMs = 0;

/** It calls at two recovery points, and records what it is told. */
const callAt = (point: string) => ({
  kind: 'call' as const,
  call: async (outside: unknown, _: Held, signal: AbortSignal) => {
    calls.push({ outside, point, signal });
    if (callTakesMs > 0) await sleep(callTakesMs);
    return `told at ${point}`;
  },
  record: (_: object, __: Claim, result: unknown) => ({ kind: 'park' as const, reason: String(result) }),
});
const operation = {
  name: 'payment',
  phases: {
    started: { kind: 'atomic' },
    funds_reserved: callAt('funds_reserved'),
    transfer_sent: callAt('transfer_sent'),
  },
} as unknown as Operation;
const attempt = { id: 'a', customerId: 'c', key: 'k', operation } as Attempt;

const holding = (members: Partial<Held> = {}): Held => ({
  attempt,
  point: 'funds_reserved',
  state: {},
  epoch: 1,
  attempts: 1,
  mayBeSent: false,
  ageMs: 0,
  ...members,
});
const completed: Seat = {
  kind: 'completed',
  answer: { status: 200, body: '{}' },
  expiresAt: new Date(0),
};

describe('an operation is driven', () => {
  const seen: EngineEvent[] = [];
  const listener = (event: unknown) => seen.push(event as EngineEvent);
  const { random } = Math;
  beforeEach(() => {
    seen.length = calls.length = callTakesMs = 0;
    subscribe('paysam.engine', listener);
  });
  afterEach(() => {
    Math.random = random;
    unsubscribe('paysam.engine', listener);
  });

  const bank = { name: 'the bank' };
  const driveOver = (...seats: (Seat | Error)[]) => {
    const transactions = new Transactions(seats);
    return { transactions, drive: new Drive(transactions as unknown as GroupCommit, bank, settings) };
  };
  const points = () => seen.map(({ point }) => point);
  const decisionOf = (step: Step | undefined) => step?.decide({}, {} as Claim);

  it('from one recovery point to the next, to its end: each is called for, and recorded, in turn', async () => {
    const sent = holding({ point: 'transfer_sent' });
    const { drive, transactions } = driveOver({ kind: 'held', held: sent }, completed);
    const driven = drive.start(holding());
    expect(drive.count).toBe(1);
    expect(await driven).toEqual(completed);
    expect(drive.count).toBe(0);
    expect(calls).toMatchObject([
      { outside: bank, point: 'funds_reserved' },
      { outside: bank, point: 'transfer_sent' },
    ]);
    expect(transactions.steps).toMatchObject([
      { attempt, held: holding() },
      { attempt, held: sent },
    ]);
    expect(transactions.steps.map(decisionOf)).toEqual([
      { kind: 'park', reason: 'told at funds_reserved' },
      { kind: 'park', reason: 'told at transfer_sent' },
    ]);
    expect(points()).toEqual(['call_begins', 'call_ended', 'call_begins', 'call_ended']);
    expect(seen[3]?.attempts).toMatchObject([{ recoveryPoint: 'transfer_sent' }]);
  });

  it.each<[Seat, object]>([
    [
      { kind: 'postponed', reason: 'away', retryAfterSeconds: 3 },
      { point: 'postponed', reason: 'away' },
    ],
    [
      { kind: 'parked', reason: 'odd' },
      { point: 'parked', reason: 'odd' },
    ],
    [{ kind: 'fenced' }, { point: 'fenced' }],
  ])('until it is left: %j, and that is told', async (seat, event) => {
    expect(await driveOver(seat).drive.start(holding())).toEqual(seat);
    expect(seen).toHaveLength(3);
    expect(seen[2]).toMatchObject(event);
    expect(seen[2]?.attempts).toHaveLength(1);
  });

  it('until an error strands it: it is told of, thrown, and nothing is under way any more', async () => {
    const gone = new Error('gone');
    const { drive } = driveOver(gone);
    await expect(drive.start(holding())).rejects.toBe(gone);
    expect(drive.count).toBe(0);
    expect(seen.at(-1)).toMatchObject({ point: 'stranded', error: gone, batchSize: 1 });
    expect(seen.at(-1)?.attempts).toMatchObject([{ attemptId: 'a' }]);

    await expect(driveOver({ kind: 'claim_again' }).drive.start(holding())).rejects.toThrow(/^PS-109/);
    await expect(driveOver().drive.start(holding({ point: 'started' }))).rejects.toThrow(/^PS-108/);
    expect(calls.filter(({ point }) => point === 'started')).toEqual([]);
  });

  it('and parked, without a call, where it was taken up too often', async () => {
    const { drive, transactions } = driveOver(completed, completed);
    await drive.start(holding({ attempts: 6 }));
    expect(calls).toEqual([]);
    expect(transactions.steps).toMatchObject([{ attempt, held: { attempts: 6 } }]);
    expect(decisionOf(transactions.steps[0])).toEqual({
      kind: 'park',
      reason: 'taken up 5 times, and never brought to an end',
    });
    await drive.start(holding({ attempts: 5 }));
    expect(calls).toHaveLength(1);
  });

  /** How long it waits, by a call that took no time. */
  async function waitOf(because: 'not_sent' | 'not_yet' | 'unknown', held: Partial<Held>) {
    const { drive, transactions } = driveOver(completed);
    await drive.start(holding(held));
    return transactions.steps[0]?.waitMs?.(because) ?? NaN;
  }

  it.each([
    // Unknown: doubling with each attempt, up to a bound.
    ['unknown', { attempts: 1 }, 100],
    ['unknown', { attempts: 3, ageMs: 90_000 }, 400],
    ['unknown', { attempts: 5 }, 1_600],
    // Not there: as long as it is old, up to a low bound. At work on it: up to a higher one.
    ['not_sent', { attempts: 5, ageMs: 500 }, 500],
    ['not_sent', { ageMs: 90_000 }, 1_000],
    ['not_sent', { ageMs: 10 }, 100],
    ['not_yet', { ageMs: 2_000 }, 2_000],
    ['not_yet', { ageMs: 90_000 }, 3_000],
  ] as const)('%s: its next try is later by a half to all of %j: %s ms', async (because, held, most) => {
    // A call takes its time, too, be it none: it makes the operation older.
    const between = async (chance: number, expected: number) => {
      Math.random = () => chance;
      const waited = await waitOf(because, held);
      expect(waited).toBeGreaterThanOrEqual(expected * 0.999);
      expect(waited).toBeLessThan(expected * 1.2 + 20);
    };
    await between(0, most / 2);
    await between(1, most);
  });

  it('the time that the call took is part of its age', async () => {
    Math.random = () => 1;
    callTakesMs = 210;
    expect(await waitOf('not_yet', { ageMs: 300 })).toBeGreaterThanOrEqual(500);
  });

  it('without any wait once it stops: its call is cut short, and another instance takes it up', async () => {
    const { drive, transactions } = driveOver(completed);
    expect(drive.isStopping).toBe(false);
    drive.stopAfter(20);
    callTakesMs = 60;
    await drive.start(holding({ ageMs: 1_000 }));
    expect(drive.isStopping).toBe(true);
    expect(calls[0]?.signal.aborted).toBe(true);
    expect(transactions.steps[0]?.waitMs?.('unknown')).toBe(0);
  });
});
