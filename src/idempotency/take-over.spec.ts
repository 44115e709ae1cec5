import { toKeyRow, type FoundRow } from './claim.js';
import type { Attempt } from './operation.js';
import { heldFrom } from './take-over.js';

const attempt = { id: 'mine' } as Attempt;

/** A row as the database tells it, of an operation that is under way. */
const found: FoundRow = {
  customer_id: 'c',
  key: 'k',
  operation: 'payment',
  fingerprint: Buffer.alloc(32, 1),
  params: { amount: 100 },
  recovery_point: 'funds_reserved',
  state: { payment_id: 'p' },
  attempt_id: 'mine',
  window_ms: null,
  epoch: 3,
  attempts: 2,
  may_be_sent: true,
  parked_because: null,
  response_status: null,
  response_body: null,
  created_at: new Date(1),
  finished_at: null,
  expires_at: new Date(2),
  duplicates: 4,
  last_duplicate_at: null,
  age_ms: '70.5',
  lease_left_ms: '-1.5',
};

describe('a row as the database tells it', () => {
  it('says what is needed to go on with it', () => {
    expect(heldFrom(attempt, toKeyRow(found))).toEqual({
      attempt,
      point: 'funds_reserved',
      state: { payment_id: 'p' },
      epoch: 3,
      attempts: 2,
      mayBeSent: true,
      ageMs: 70.5,
    });
  });

  it('is held by nobody once it has ended', () => {
    for (const ended of ['finished', 'cancelled'] as const) {
      expect(() => heldFrom(attempt, toKeyRow({ ...found, recovery_point: ended }))).toThrow(/^PS-103/);
    }
  });

  it('has an answer only where it has both parts of it, and times as durations', () => {
    const row = (members: Partial<FoundRow>) => toKeyRow({ ...found, ...members });
    expect(row({}).answer).toBeNull();
    expect(row({ response_status: 200 }).answer).toBeNull();
    expect(row({ response_body: '{}' }).answer).toBeNull();
    expect(row({ response_status: 402, response_body: '{}' }).answer).toEqual({ status: 402, body: '{}' });
    expect(row({}).leaseLeftMs).toBe(-1.5);
    expect(row({ lease_left_ms: null }).leaseLeftMs).toBeNull();
  });

  it('belongs to no request where its key was closed before it was ever used, and goes never', () => {
    const closed = {
      ...found,
      operation: null,
      fingerprint: null,
      params: null,
      state: null,
      expires_at: null,
    };
    expect(toKeyRow({ ...closed, recovery_point: 'cancelled' })).toMatchObject({
      operation: '',
      fingerprint: Buffer.alloc(0),
      params: {},
      state: {},
      expiresAt: new Date(8_640_000_000_000_000),
    });
  });
});
