import fc from 'fast-check';
import { judgeStatement } from './statement.js';

const line = (sequence: number) => ({
  sequence,
  kind: 'charge',
  transfer_id: `trf_${sequence}`,
  reference: `pay_${sequence}`,
  amount: 10_000 + sequence,
  currency: 'GBP',
  booked_at: '2026-02-03T04:05:06.789Z',
});
const judge = (since: number, body: unknown, status = 200) =>
  judgeStatement(
    {
      answer: {
        status,
        contentType: 'application/json',
        retryAfter: undefined,
        body: Buffer.from(JSON.stringify(body)),
      },
    },
    since,
  );
const ascending = fc
  .array(fc.integer({ min: 1, max: 50 }), { maxLength: 20 })
  .map(steps =>
    steps.map((_, index) => 100 + steps.slice(0, index + 1).reduce((sum, step) => sum + step, 0)),
  );

describe("the bank's statement", () => {
  it('is read line by line, and goes on where it ends', () => {
    fc.assert(
      fc.property(ascending, sequences => {
        const next = sequences.at(-1) ?? 100;
        const verdict = judge(100, { bookings: sequences.map(line), next });
        const bookings = sequences.map(sequence => ({
          sequence,
          kind: 'charge',
          transferId: `trf_${sequence}`,
          reference: `pay_${sequence}`,
          amount: BigInt(10_000 + sequence),
          currency: 'GBP',
          bookedAt: new Date('2026-02-03T04:05:06.789Z'),
        }));
        expect(verdict).toEqual({ kind: 'ok', statement: { bookings, next } });
      }),
    );
  });

  it('is contradicted by lines out of order, twice, or from before', () => {
    const wrong = [
      [101, 101],
      [102, 101],
      [100, 101],
      [99, 101],
    ];
    for (const sequences of wrong)
      expect(judge(100, { bookings: sequences.map(line), next: 101 }).kind).toBe('contradicted');
  });

  it('is contradicted by a next page that skips or repeats lines', () => {
    fc.assert(
      fc.property(ascending, fc.integer({ min: 0, max: 2_000 }), (sequences, next) => {
        fc.pre(next !== (sequences.at(-1) ?? 100));
        return judge(100, { bookings: sequences.map(line), next }).kind === 'contradicted';
      }),
    );
  });

  it('is contradicted by a line with a member that is missing or makes no sense', () => {
    const members = Object.keys(line(1));
    const nonsense = fc.constantFrom(null, undefined, '', true, 0, -1, 1.5, 2 ** 60, {}, []);
    fc.assert(
      fc.property(fc.constantFrom(...members), nonsense, (member, value) => {
        const verdict = judge(100, { bookings: [line(101), { ...line(102), [member]: value }], next: 102 });
        expect(verdict.kind).toBe('contradicted');
      }),
    );
  });

  it('is not known where the bank is in trouble, and contradicted where it refuses our question', () => {
    expect(judge(0, { error: { code: 'unavailable' } }, 503).kind).toBe('unknown');
    expect(judge(0, { error: { code: 'unauthorized' } }, 401).kind).toBe('unknown');
    expect(judge(0, { error: { code: 'invalid_request' } }, 400).kind).toBe('contradicted');
    expect(judge(0, {}).kind).toBe('unknown');
  });
});
