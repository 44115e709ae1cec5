import fc from 'fast-check';
import { checkEverything } from '../../lab/prove/checkers/every-checker.js';
import type { Invariant } from '../../lab/prove/violation.js';
import { kinds, MadeUpRun, present, type Kind } from './made-up-run.js';
import { everyTampering } from './tamper.js';

type Planted = [invariant: Invariant, what: string, of: Kind, plant: (run: MadeUpRun, kind: Kind) => void];

/**
 * A checker that has never found anything may be blind. Each sentence that a checker can say is provoked here once, in
 * a run that is healthy otherwise and was written by hand.
 */
describe('the checkers see', () => {
  test.each(kinds)('nothing, where all is well: %s', kind => {
    expect(checkEverything(new MadeUpRun(kind))).toEqual([]);
  });

  test('nothing, where everything happens and all is well', () => {
    expect(checkEverything(new MadeUpRun(...kinds))).toEqual([]);
  });

  test.each([...planted()])('%s: %s (%s)', (invariant, what, kind, plant) => {
    const run = new MadeUpRun(kind);
    plant(run, kind);
    expect(said(run)).toContain(`${invariant} ${what}`);
  });

  test.each([
    [86_400_000, true],
    [0, false],
  ])(
    'a first use that is told as a replay, but not once its row was reaped: kept %d ms',
    (keptMs, isFound) => {
      const run = new MadeUpRun('used by two customers');
      const { headers } = present(run.log.at(-1)?.reply);
      const expires = Date.parse(present(headers['idempotency-expires']));
      const original = new Date(expires - keptMs).toISOString();
      Object.assign(headers, { 'idempotent-replayed': 'true', 'idempotency-original-date': original });
      expect(said(run).includes('I9 a key that a customer never used is new to it')).toBe(isFound);
    },
  );

  test('nothing in any healthy run, whatever happens in it and in which order', () => {
    fc.assert(
      fc.property(someKinds, happened => {
        expect(checkEverything(new MadeUpRun(...happened))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('a single thing that is not as it was, in any run', () => {
    fc.assert(
      fc.property(someKinds, fc.nat(), (others, draw) => {
        // Of a customer of whom nobody has kept anything, even the id may change.
        const happened = ['paid' as const, ...others];
        const visible = [...everyTampering(new MadeUpRun(...happened))].filter(
          ({ name }) => !(name in unseen),
        );
        const tampering = present(visible[draw % visible.length]);
        const run = new MadeUpRun(...happened);
        tampering.apply(run);
        expect([tampering.place, checkEverything(run).length]).not.toEqual([tampering.place, 0]);
      }),
      { numRuns: 500 },
    );
  });

  test('every single thing that is not as it was, but for those that nobody could see', () => {
    const missed: Record<string, number> = {};
    let tried = 0;
    for (const { name, apply } of everyTampering(new MadeUpRun(...kinds))) {
      const run = new MadeUpRun(...kinds);
      apply(run);
      tried += 1;
      if (checkEverything(run).length === 0) missed[name] = (missed[name] ?? 0) + 1;
    }
    expect(missed).toEqual(
      Object.fromEntries(Object.entries(unseen).map(([name, [times]]) => [name, times])),
    );
    expect(tried).toBeGreaterThan(3_000);
  });

  test('in time that grows with the run, not with its square', () => {
    const times = [1_000, 8_000].map(size => {
      const run = new MadeUpRun(
        ...Array.from({ length: size }, (_, index) => present(kinds[index % kinds.length])),
      );
      const began = performance.now();
      expect(checkEverything(run)).toEqual([]);
      return performance.now() - began;
    });
    // Eight times the size: a quadratic checker would need 64 times the time. The machine has other work, too.
    expect(present(times[1]) / present(times[0])).toBeLessThan(30);
  });
});

const someKinds = fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 12 });

/**
 * What nobody can see, and how often it comes about in the run in which everything happens. Each with its reason: no
 * other witness speaks about it, or it says the same in other words. Not one of them is about money.
 */
const unseen: Record<string, [times: number, because: string]> = {
  'log.invoke.at changed': [37, 'a moment later: only the order counts'],
  'log.reply.at changed': [36, 'a moment later: only the order counts'],
  'log.invoke.asked changed': [17, 'that it was put, not posted, and came to the same end'],
  'log.invoke.key changed': [3, 'the key of a request of which nobody kept anything'],
  'log.invoke.exchange changed': [1, 'the number of an attempt that was never answered'],
  'log.invoke.operation changed': [11, 'what the driver calls an operation that it tried once'],
  'log.reply.why changed': [2, 'in which words a silence came'],
  'log.reply.body changed': [15, 'the bytes of an answer that is not definitive: they may differ'],
  'log.reply.headers.retry-after changed': [1, 'of a 202: the contract promises none'],
  'log left out': [10, 'the last attempt of an operation: nothing counts on it'],
  'bank.requests left out': [5, 'the bank forgets requests itself'],
  'bank.requests doubled': [5, 'asking twice is allowed'],
  'bank.requests.method changed': [5, 'asking and sending are both allowed'],
  'bank.requests.status changed': [5, 'what the bank answered is judged by its books'],
  'database.customers doubled': [2, 'the same row says the same'],
  'database.accounts.kind changed': [3, 'a bank’s account may go below zero, and did not'],
  'database.transfers.id changed': [20, 'nothing refers to it'],
  'database.transfers left out': [3, 'a voided one: it moved nothing, and may never have been'],
  'database.keys.attempts changed': [19, 'a count, judged by its bound'],
  'database.history doubled': [27, 'the same change again changes nothing'],
  'database.history left out': [8, 'a step between two that are allowed to follow each other'],
  'database.history.recoveryPoint changed': [8, 'the same: the row stood still, or went on a step earlier'],
  'database.history.at changed': [50, 'a moment later: judged by T'],
  'database.history.attemptId changed': [1, 'the first of two holders: nobody knows its name'],
  'database.history.writer changed': [4, 'who began, where nobody else wrote in that epoch'],
  'database.history.transaction changed': [
    48,
    'which transactions went together, unless one took its claim back',
  ],
  'database.history.parkedBecause changed': [31, 'parked and given back: only a person would know'],
  'database.history.expiresAt changed': [50, 'a moment later: judged by what callers were told'],
};

function said(run: MadeUpRun): string[] {
  return checkEverything(run).map(({ invariant, what }) => `${invariant} ${what}`);
}

function* planted(): Generator<Planted> {
  // I1
  yield ['I1', 'a payment is charged at most once', 'paid through the bank', chargeAgain];
  yield ['I1', 'a key is charged at most once', 'paid through the bank', chargeAgain];
  yield [
    'I1',
    'each booking belongs to a payment through the bank',
    'paid',
    run =>
      run.bank.bookings.push({
        kind: 'charge',
        transfer_id: 't',
        reference: 'nobody',
        amount: 1,
        currency: 'GBP',
      }),
  ];
  yield [
    'I1',
    'a booking is of its payment’s amount, currency and transfer',
    'paid through the bank',
    run => (present(run.bank.bookings[0]).amount += 1),
  ];
  yield [
    'I1',
    'a key has one payment or refund',
    'paid',
    (run, kind) => run.database.payments.push({ ...run.paymentOf(kind), id: 'another' }),
  ];
  yield ['I1', 'a key has one row', 'paid', (run, kind) => run.database.keys.push(run.keyOf(kind))];
  yield [
    'I1',
    'each payment was asked for',
    'paid',
    (run, kind) =>
      run.database.payments.push({ ...run.paymentOf(kind), id: 'another', idempotencyKey: 'never-sent' }),
  ];
  yield [
    'I1',
    'what was meant once is paid once',
    'paid',
    // What a client does that makes a new key for each attempt.
    (run, kind) =>
      run.database.payments.push({ ...run.paymentOf(kind), id: 'another', idempotencyKey: 'new-key' }),
  ];
  yield [
    'I1',
    'a payment names only what the bank has booked',
    'paid',
    (run, kind) => (run.paymentOf(kind).bankTransferId = 'trf-of-nobody'),
  ];

  // I2
  yield ['I2', 'what was acknowledged is there, under its key', 'paid', run => run.database.payments.pop()];
  yield [
    'I2',
    'what was acknowledged is there, under its key',
    'used by two customers',
    run => {
      const [first, second] = run.database.payments;
      present(run.replyTo('used by two customers').told).id = present(second).id;
      expect(first).toBeDefined();
    },
  ];
  yield [
    'I2',
    'what was acknowledged is what was done',
    'paid',
    (run, kind) => (present(run.replyTo(kind).told).amount += 1),
  ];
  yield [
    'I2',
    'what was acknowledged is what was asked for',
    'paid',
    (run, kind) => {
      // Another request under the same key, and it got the first one's answer.
      const { invoke } = present(run.exchangesOf(kind)[1]);
      Object.assign(invoke, { params: { ...invoke.params, amount: 999 } });
    },
  ];
  yield ['I2', 'a 402 is declined, and not charged', 'sent back by the bank', run => run.bank.bookings.pop()];
  yield [
    'I2',
    'a 200 has succeeded',
    'paid',
    (run, kind) => {
      run.paymentOf(kind).status = 'pending';
      present(run.replyTo(kind).told).status = 'pending';
    },
  ];
  yield [
    'I2',
    'a 200 through the bank is charged once',
    'paid through the bank',
    run => run.bank.bookings.pop(),
  ];
  yield [
    'I2',
    'a 202 is an operation that is remembered',
    'paid through the bank by the completer',
    run => {
      run.database.payments.pop();
      run.database.keys.pop();
    },
  ];
  yield [
    'I2',
    'a key that was closed stays closed',
    'closed before it was used',
    run => run.database.keys.pop(),
  ];
  yield [
    'I2',
    'a key that was closed stays closed',
    'cancelled before it was sent',
    (run, kind) => (run.paymentOf(kind).status = 'succeeded'),
  ];
  yield [
    'I2',
    'what a key has recorded is there',
    'paid, and the driver died',
    run => run.database.payments.pop(),
  ];

  // I3
  yield [
    'I3',
    'a key has one definitive answer',
    'paid',
    (run, kind) => (run.replyTo(kind, 1).body = 'sha-of-other-bytes'),
  ];
  yield [
    'I3',
    'a key has one definitive answer',
    'looked at',
    (run, kind) => (present(run.replyTo(kind, 1).inside).body = 'sha-of-other-bytes'),
  ];
  yield [
    'I3',
    'a key has one definitive answer',
    'reaped and asked again',
    (run, kind) => (run.replyTo(kind, 1).body = 'sha-of-bytes-that-were-rebuilt-otherwise'),
  ];
  yield [
    'I3',
    'what was told is what is stored',
    'paid',
    (run, kind) => (run.keyOf(kind).answer = '200 other'),
  ];
  yield [
    'I3',
    'an answer says whether it is the first',
    'paid',
    (run, kind) => delete run.replyTo(kind).headers['idempotency-status'],
  ];
  yield [
    'I3',
    'a replay, and no other answer, has the date of the first',
    'paid',
    (run, kind) => delete run.replyTo(kind, 1).headers['idempotency-original-date'],
  ];
  yield [
    'I3',
    'all replays have the date of the first',
    'paid',
    (run, kind) => {
      const again = structuredClone(present(run.exchangesOf(kind)[1]));
      present(again.reply).headers['idempotency-original-date'] = '2026-01-09T00:00:00Z';
      run.log.push(again);
    },
  ];
  yield [
    'I3',
    'a key is answered first once',
    'paid',
    (run, kind) => (run.replyTo(kind, 1).headers['idempotency-status'] = 'completed'),
  ];

  yield [
    'I3',
    'who sends no key is known by one',
    'keyless',
    (run, kind) => (run.replyTo(kind, 1).headers['idempotency-key'] = 'fp_another'),
  ];

  // I4
  const seenLive = {
    invariant: 'I4',
    about: 'look 7',
    what: 'available is never negative',
    evidence: {},
  } as const;
  yield ['I4', seenLive.what, 'paid', run => run.run.money.violations.push(seenLive)];
  yield [
    'I4',
    'each balance that is read makes sense',
    'looked at',
    run => (present(run.log.at(-1)?.reply?.balances?.[0]).available += 1),
  ];
  yield [
    'I4',
    'credits posted equal debits posted',
    'paid',
    run => (run.account('alice').creditsPosted += 1),
  ];
  yield [
    'I4',
    'each balance is the sum of its transfers',
    'paid',
    run => (run.account('sam').creditsPosted -= 1),
  ];
  yield [
    'I4',
    'available is never negative',
    'paid',
    run => {
      run.transfer({ debit: 'poor', credit: 'sam', amount: 50 });
    },
  ];
  yield [
    'I4',
    'a transfer is between two accounts of its currency',
    'paid',
    (run, kind) => (run.transferOf(kind).currency = 'EUR'),
  ];
  yield [
    'I4',
    'a payment moves its money once, or not at all',
    'paid',
    (run, kind) => {
      run.transfer({ ...run.transferOf(kind) });
    },
  ];
  yield [
    'I4',
    'a payment moves its money once, or not at all',
    'declined by the bank',
    (run, kind) => (run.transferOf(kind).state = 'posted'),
  ];
  yield ['I4', 'what is posted is what is charged', 'paid through the bank', run => run.bank.bookings.pop()];
  yield [
    'I4',
    'a transfer belongs to a payment or a refund',
    'refunded',
    run => (present(run.database.transfers.at(-1)).paymentId = 'another'),
  ];

  // I5
  yield [
    'I5',
    'each operation ends',
    'paid through the bank',
    (run, kind) => (run.keyOf(kind).recoveryPoint = 'transfer_sent'),
  ];
  yield ['I5', 'each payment ends', 'paid', (run, kind) => (run.paymentOf(kind).status = 'pending')];
  yield [
    'I5',
    'each operation ends in time',
    'paid',
    (run, kind) => (present(run.historyOf(kind).at(-1)).at += 16_000),
  ];
  yield [
    'I5',
    'nothing is parked that no fault of this run allows',
    'paid through the bank',
    (run, kind) => (run.keyOf(kind).parkedBecause = 'it was tried 40 times'),
  ];

  // I6
  yield [
    'I6',
    'what the bank has charged is neither declined nor cancelled',
    'sent back by the bank',
    run => run.bank.bookings.pop(),
  ];
  yield [
    'I6',
    'the transfer of what the bank has charged is not voided',
    'sent back by the bank',
    run => run.bank.bookings.pop(),
  ];
  yield [
    'I6',
    'the key of what the bank has charged is not closed',
    'cancelled before it was sent',
    (run, kind) => {
      const { id: reference, amount, currency } = run.paymentOf(kind);
      run.bank.bookings.push({ kind: 'charge', transfer_id: 'late', reference, amount, currency });
    },
  ];

  // I7
  const bank = 'paid through the bank' as const;
  const last = (run: MadeUpRun, kind: Kind) => present(run.historyOf(kind).at(-1));
  const beforeLast = (run: MadeUpRun, kind: Kind) => present(run.historyOf(kind).at(-2));
  yield [
    'I7',
    'a recovery point never goes back',
    bank,
    (r, k) => (beforeLast(r, k).recoveryPoint = 'started'),
  ];
  yield [
    'I7',
    'recovery points are reached one after the other',
    bank,
    (run, kind) =>
      run.database.history.splice(1, 2, { ...last(run, kind), recoveryPoint: 'started', answer: null }),
  ];
  yield [
    'I7',
    'a key that has ended stays as it is',
    'paid',
    (run, kind) =>
      run.database.history.push({ ...last(run, kind), recoveryPoint: 'cancelled', answer: null }),
  ];
  yield ['I7', 'an epoch never goes back', bank, (run, kind) => (beforeLast(run, kind).epoch = 2)];
  yield ['I7', 'no epoch is left out', bank, (run, kind) => (beforeLast(run, kind).epoch = 3)];
  yield ['I7', 'a new holder has a new epoch', bank, (run, kind) => (last(run, kind).attemptId = 'somebody')];
  yield [
    'I7',
    'only the holder of an epoch writes',
    'paid through the bank by the completer',
    // The zombie: the worker holds epoch 2, and the API that was taken over writes all the same.
    (run, kind) => (last(run, kind).writer = 'api-1'),
  ];
  yield [
    'I7',
    'an answer once recorded never changes',
    'paid',
    (run, kind) => run.database.history.push({ ...last(run, kind), answer: '200 other' }),
  ];
  yield [
    'I7',
    'what is finished has an answer, and nothing else has',
    'paid',
    (run, kind) => (last(run, kind).answer = null),
  ];
  yield [
    'I7',
    'a row is inserted first, and once',
    'paid',
    (run, kind) =>
      run.database.history.push({ ...last(run, kind), change: 'INSERT', recoveryPoint: 'started' }),
  ];
  yield [
    'I7',
    'a row begins in its first epoch, claimed or closed',
    'paid',
    (run, kind) => (present(run.historyOf(kind)[0]).epoch = 2),
  ];
  yield [
    'I7',
    'a row is removed as it was',
    'reaped and asked again',
    (run, kind) => (last(run, kind).attemptId = 'somebody'),
  ];
  yield ['I7', 'a row is as its last change left it', 'paid', (run, kind) => (run.keyOf(kind).epoch = 2)];
  yield ['I7', 'a row does not vanish without a trace', 'paid', run => run.database.keys.pop()];

  // I9
  const twice = 'used by two customers' as const;
  yield [
    'I9',
    'nobody is told of another’s payment',
    twice,
    run => (present(present(run.log.at(-1)?.reply).told).id = run.paymentOf(twice).id),
  ];
  yield [
    'I9',
    'no two customers get the same bytes',
    twice,
    run => (present(run.log.at(-1)?.reply).body = run.replyTo(twice).body),
  ];
  yield [
    'I9',
    'nobody reads another’s balance',
    'looked at',
    run => (present(run.log.at(-1)?.reply?.balances?.[0]).id = 'bob'),
  ];
  yield [
    'I9',
    'a key that a customer never used is new to it',
    twice,
    run => Object.assign(present(run.log.at(-1)?.reply).headers, { 'idempotent-replayed': 'true' }),
  ];
  yield [
    'I9',
    'a key that a customer never used is new to it',
    'looked at',
    // Somebody else looks, and sees.
    (run, kind) => (present(run.exchangesOf(kind)[1]).invoke.customer = 'bob'),
  ];

  // I10
  yield [
    'I10',
    'a refused request leaves no row',
    'refused at the door',
    (run, kind) => {
      const { key } = present(run.exchangesOf(kind)[0]).invoke;
      const row = { epoch: 1, attempts: 1, parkedBecause: null, answer: null };
      run.database.keys.push({
        customerId: 'id-of-alice',
        key: present(key),
        recoveryPoint: 'started',
        ...row,
      });
    },
  ];
  yield [
    'I10',
    'a refused request’s claim is taken back where it was made',
    'refused in T1',
    (run, kind) => (last(run, kind).transaction = 'another'),
  ];
  yield [
    'I10',
    'the bank is asked only about payments that were opened',
    'refused at the door',
    run => run.bank.requests.push({ method: 'PUT', reference: 'nobody', status: 422 }),
  ];

  // I11
  yield [
    'I11',
    'each process stays within its bounds',
    'paid',
    run => (present(run.run.resources.samples[0]).connections = 6),
  ];
  yield ['I11', 'attempts are bounded', 'paid', (run, kind) => (run.keyOf(kind).attempts = 41)];
  yield [
    'I11',
    'nothing is left behind',
    'paid',
    run => run.run.resources.leaks.push('api-1 is idle in transaction'),
  ];

  // I12
  const reaped = 'reaped and asked again' as const;
  yield [
    'I12',
    'no unfinished key is removed',
    reaped,
    (run, kind) => Object.assign(last(run, kind), { recoveryPoint: 'transfer_sent', answer: null }),
  ];
  yield [
    'I12',
    'no key is removed before its time',
    reaped,
    (run, kind) => (last(run, kind).at -= 86_400_001),
  ];
  yield [
    'I12',
    'no key is removed before the time its caller was told',
    reaped,
    (run, kind) => (run.replyTo(kind).headers['idempotency-expires'] = '2027-01-01T00:00:00Z'),
  ];
  yield [
    'I12',
    'the expiry that a caller is told is that of the row',
    'paid',
    (run, kind) => (run.replyTo(kind).headers['idempotency-expires'] = '2026-01-01T12:00:00Z'),
  ];
  yield ['I12', 'what was done under a removed key is there', reaped, run => run.database.payments.pop()];

  // I13
  const held = 'paid through the bank by the completer' as const;
  yield [
    'I13',
    'no answer is a mistake of ours',
    'paid after a 503',
    (run, kind) => (run.replyTo(kind).status = 500),
  ];
  yield [
    'I13',
    'an answer is what the log calls it',
    'paid after a 503',
    (r, k) => (r.replyTo(k).kind = 'fail'),
  ];
  yield [
    'I13',
    'silence is unknown',
    'paid after the answer was lost',
    (run, kind) => (run.replyTo(kind).kind = 'ok'),
  ];
  yield [
    'I13',
    'an answer names the key that was sent',
    'paid',
    (run, kind) => (run.replyTo(kind).headers['idempotency-key'] = 'another'),
  ];
  yield [
    'I13',
    'an operation says how it is',
    'closed before it was used',
    (r, k) => (r.replyTo(k).state = 'parked'),
  ];
  yield ['I13', 'what is completed shows its answer', 'looked at', (r, k) => delete r.replyTo(k, 1).inside];
  yield [
    'I13',
    'a 202 says that it is in progress',
    held,
    (run, kind) => delete run.replyTo(kind).headers['idempotency-status'],
  ];
  yield [
    'I13',
    'a put that is answered says so, and shows the operation',
    'put',
    (run, kind) => delete run.replyTo(kind).headers['idempotency-status'],
  ];
  yield [
    'I13',
    'an answer says how long it is kept',
    'paid',
    (run, kind) => delete run.replyTo(kind).headers['idempotency-expires'],
  ];
  yield [
    'I13',
    'a conflict has its code as its status, too',
    held,
    (run, kind) => delete run.replyTo(kind, 1).headers['idempotency-status'],
  ];
  yield [
    'I13',
    'an error has a code of the contract, and its status',
    'refused at the door',
    (run, kind) => delete run.replyTo(kind).code,
  ];
  yield [
    'I13',
    'an error says whether to retry',
    'refused at the door',
    (run, kind) => delete run.replyTo(kind).headers['should-retry'],
  ];
  yield [
    'I13',
    'an error says retry only where it helps',
    'collided with',
    (run, kind) => (run.replyTo(kind, 1).headers['should-retry'] = 'true'),
  ];
  yield [
    'I13',
    'an error to wait for says how long',
    'paid after a 503',
    (run, kind) => delete run.replyTo(kind).headers['retry-after'],
  ];
  yield [
    'I13',
    'in progress: between 1 and 30 seconds',
    held,
    (run, kind) => (run.replyTo(kind, 1).headers['retry-after'] = '31'),
  ];
  yield [
    'I13',
    'a caller who does as it is told comes to an end',
    held,
    run => {
      run.log.pop();
    },
  ];

  // I14
  const collided = 'collided with' as const;
  yield [
    'I14',
    'one request runs under a key, and no other',
    collided,
    (run, kind) => Object.assign(run.replyTo(kind, 1), { kind: 'ok', status: 200, code: undefined }),
  ];
  yield [
    'I14',
    'another request is told of the collision, not to wait',
    collided,
    (run, kind) => (run.replyTo(kind, 1).code = 'in_progress'),
  ];
  yield [
    'I14',
    'equal requests never collide',
    'paid',
    (run, kind) =>
      Object.assign(run.replyTo(kind, 1), { kind: 'fail', status: 409, code: 'collision_detected' }),
  ];
  yield [
    'I14',
    'a collision names the members that differ',
    collided,
    (run, kind) => (run.replyTo(kind, 1).differsIn = ['to']),
  ];
  yield [
    'I14',
    'a collision repeats no value of the first request',
    collided,
    (run, kind) => (run.replyTo(kind, 1).discloses = ['101']),
  ];

  // I15
  yield ['I15', 'enough operations succeeded', 'paid', run => (run.run.coverage.succeededMin = 2)];
  yield [
    'I15',
    'a fair share of the operations succeeded',
    'refused at the door',
    run => (run.run.coverage.shareSucceededMin = 0.5),
  ];
  yield [
    'I15',
    'what the run is about was seen',
    'paid',
    run => {
      run.run.coverage.seen['fault point committed'] = 19;
      run.run.coverage.wanted['fault point committed'] = 20;
    },
  ];
  yield ['I15', 'what the run is about was seen', 'paid', run => (run.run.coverage.wanted['answer 402'] = 1)];
  yield ['I15', 'the witnesses speak of the same customers', 'paid', run => run.database.customers.pop()];
  yield ['I15', 'the log is whole', 'paid', run => run.log.shift()];
  yield [
    'I15',
    'every witness has something to say',
    'paid',
    run => {
      run.database.keys.length = 0;
      run.database.history.length = 0;
    },
  ];
}

function chargeAgain(run: MadeUpRun): void {
  run.bank.bookings.push({ ...present(run.bank.bookings[0]), transfer_id: 'another' });
}
