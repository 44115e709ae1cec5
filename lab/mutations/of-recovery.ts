import type { Mutation, Patch } from './mutation.js';

const claim = 'src/idempotency/claim.ts';
const takeOver = 'src/idempotency/take-over.ts';
const wrongClock = 'test/crashes/a-wrong-clock-changes-nothing.spec.ts';
const agedKeys = {
  file: 'test/recovery/an-answer-is-kept-for-its-time.spec.ts',
  title: 'of every state at every age, only what is finished and expired goes (F91)',
};

const writesIgnoreTheEpoch: readonly Patch[] = [
  {
    file: claim,
    find: 'WHERE k.customer_id = done.customer_id AND k.key = done.key AND k.epoch = done.epoch`',
    replace: 'WHERE k.customer_id = done.customer_id AND k.key = done.key`',
  },
  {
    file: claim,
    find: 'WHERE k.customer_id = reached.customer_id AND k.key = reached.key AND k.epoch = reached.epoch`',
    replace: 'WHERE k.customer_id = reached.customer_id AND k.key = reached.key`',
  },
];

/** Before it decides, a holder makes sure that the key is still its own. */
const theLockIgnoresTheEpoch: readonly Patch[] = [
  {
    file: claim,
    find: `      JOIN unnest($1::uuid[], $2::text[], $3::int[]) AS held (customer_id, key, epoch)
        USING (customer_id, key, epoch)
`,
    replace: `      JOIN unnest($1::uuid[], $2::text[], $3::int[]) AS held (customer_id, key, old_epoch)
        USING (customer_id, key)
`,
  },
  {
    file: claim,
    find: 'return rows.map((row, index) => (row?.epoch === wanted[index]?.epoch ? row : undefined));',
    replace: 'return rows;',
  },
];

const leaseLeftByOurClock: readonly Patch[] = [
  {
    file: claim,
    find: 'extract(epoch FROM k.locked_until - clock_timestamp()) * 1000 AS lease_left_ms',
    replace: 'extract(epoch FROM k.locked_until) * 1000 AS lease_left_ms',
  },
  {
    file: claim,
    find: 'leaseLeftMs: row.lease_left_ms === null ? null : Number(row.lease_left_ms),',
    replace: 'leaseLeftMs: row.lease_left_ms === null ? null : Number(row.lease_left_ms) - Date.now(),',
  },
];

const reaperIgnoresTheState: Patch = {
  file: 'src/recovery/reaper.ts',
  find: "WHERE expires_at < now() AND recovery_point = 'finished'",
  replace: 'WHERE expires_at < now()',
};

/** Who holds a key, for how long, and what may be forgotten. */
export const mutationsOfRecovery: readonly Mutation[] = [
  {
    id: 'M6a',
    mistake: 'what is written names no epoch',
    breaks: 'I7: nothing yet, since the row was locked under its epoch; one wall of two is gone',
    patches: writesIgnoreTheEpoch,
    caughtBy: {
      file: 'test/promises/an-old-epoch-writes-nothing.spec.ts',
      title: 'an old epoch writes nothing',
    },
  },
  {
    id: 'M6b',
    mistake: 'a holder does not make sure that the key is still its own',
    breaks: 'I13: whoever wakes up too late meets the second wall, and its caller a 500',
    patches: theLockIgnoresTheEpoch,
    caughtBy: {
      file: 'test/crashes/a-late-holder-writes-nothing.spec.ts',
      title: 'a request that stood still %s',
      filledWith: 'with the bank’s yes in memory (K5p)',
    },
  },
  {
    id: 'M6c',
    mistake: 'both: UPDATE without epoch',
    breaks: 'I7, I3: a zombie writes over what its heir has done',
    patches: [...writesIgnoreTheEpoch, ...theLockIgnoresTheEpoch],
    caughtBy: {
      file: 'test/crashes/a-late-holder-writes-nothing.spec.ts',
      title: 'a request that stood still %s',
      filledWith: 'with the bank’s yes in memory (K5p)',
    },
  },
  {
    id: 'M7a',
    mistake: 'what is left of a lease is judged by the API’s clock',
    breaks: 'I13: callers are told to wait for too long, or not at all',
    patches: leaseLeftByOurClock,
    caughtBy: { file: wrongClock, title: 'while %s holds a payment, the other says for how long' },
  },
  {
    id: 'M7b',
    mistake: 'and so is whether it may be taken over',
    breaks: 'I7, I1: a healthy payment is taken over, or an abandoned one is not',
    patches: [
      ...leaseLeftByOurClock,
      {
        file: takeOver,
        find: '       WHERE k.locked_until <= clock_timestamp()\n',
        replace: '       WHERE k.locked_until <= to_timestamp($5::float8)\n',
      },
      {
        file: takeOver,
        find: "[...columns(attempts, 'customerId', 'key', 'id'), leaseMs];",
        replace: "[...columns(attempts, 'customerId', 'key', 'id'), leaseMs, Date.now() / 1_000];",
      },
      {
        file: takeOver,
        find: '       WHERE locked_until <= now()\n',
        replace: '       WHERE locked_until <= to_timestamp($3::float8)\n',
      },
      {
        file: takeOver,
        find: '[limit, patience.leaseMs]',
        replace: '[limit, patience.leaseMs, Date.now() / 1_000]',
      },
    ],
    caughtBy: { file: wrongClock, title: 'one with %s dies, and %s takes over, neither early nor late' },
  },
  {
    id: 'M8a',
    mistake: 'the reaper ignores the state of a key',
    breaks: 'I12: the database refuses it, and the reaper works no more',
    patches: [reaperIgnoresTheState],
    caughtBy: agedKeys,
  },
  {
    id: 'M8b',
    mistake: 'and the database does not refuse it',
    breaks: 'I12, I1: a half-done payment is forgotten',
    patches: [
      reaperIgnoresTheState,
      {
        file: 'migrations/0004-idempotency-keys.ts',
        find: "IF OLD.recovery_point <> 'finished' AND OLD.xmin <> pg_current_xact_id()::xid THEN",
        replace: 'IF false THEN',
      },
    ],
    caughtBy: agedKeys,
  },
  {
    id: 'M19',
    mistake: 'the client makes a new key for each attempt',
    breaks: 'I1: a repeat is another payment',
    patches: [
      {
        file: 'client/src/attempt.ts',
        find: 'headers: { ...headers, authorization: `Bearer ${apiKey}` },',
        replace: `headers: {
        ...headers,
        'idempotency-key': \`"\${crypto.randomUUID()}"\`,
        authorization: \`Bearer \${apiKey}\`,
      },`,
      },
    ],
    caughtBy: {
      file: 'client/test/never-a-second-key.spec.ts',
      title:
        'there is one key, one request, no attempt past the deadline, and no retry that the budget does not pay',
    },
  },
];
