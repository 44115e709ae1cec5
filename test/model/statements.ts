/* eslint-disable @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-call,
   @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-return, @typescript-eslint/restrict-plus-operands
   -- values travel as they do to PostgreSQL, in arrays of whatever their columns hold */
import { Complaint, type Session } from './session.js';
import type { Answered, Row } from './store.js';

/**
 * What each statement of `src` does, by its name. Rows are answered, or how many were changed.
 *
 * Where one waits for a lock, it takes all of its locks or none: the real one keeps those it has while it waits. Since
 * all of them lock keys before payments before accounts, each in order, that makes no difference but to deadlocks, of
 * which the model has none.
 */
export const statements: Readonly<Record<string, Work>> = {
  beginning: session => [{ at: new Date(session.began) }],

  claim_keys: (
    session,
    [customers, keys, operations, fingerprints, params, ids, windows, version, retention],
  ) => {
    if (!session.isInTransaction) return [];
    const attempts = zip({ customers, keys, operations, fingerprints, params, ids, windows });
    return inOrder(attempts, keyOf).flatMap(attempt => {
      if (session.conflicts(keyOf(attempt))) return [];
      session.put(keyOf(attempt), {
        ...unusedKey,
        customer_id: attempt.customers,
        key: attempt.keys,
        operation: attempt.operations,
        fingerprint: attempt.fingerprints,
        fingerprint_version: version,
        params: JSON.parse(attempt.params),
        recovery_point: 'started',
        attempt_id: attempt.ids,
        window_ms: attempt.windows,
        created_at: session.began,
        expires_at: session.began + (attempt.windows ?? retention),
      });
      return [{ attempt_id: attempt.ids }];
    });
  },

  close_windows: (session, [customers, keys]) => {
    for (const owner of zip({ customers, keys })) {
      const row = session.find(keyOf(owner));
      const isOver =
        row?.window_ms != null && row.recovery_point === 'finished' && row.expires_at <= session.began;
      if (isOver && session.isInTransaction) deleteKey(session, keyOf(owner));
    }
    return [];
  },

  lock_held_keys: (session, [customers, keys, epochs]) =>
    inOrder(zip({ customers, keys, epochs }), keyOf).flatMap(held => {
      const row = session.find(keyOf(held));
      // Who is stale waits for nobody.
      if (!row || isStale(session, row, held.epochs)) return [];
      session.lock(keyOf(held));
      // A database that has forgotten epochs would believe whatever it is told.
      return [told(session, { ...row, epoch: held.epochs })];
    }),

  read_keys: (session, [customers, keys]) =>
    zip({ customers, keys }).flatMap(owner => {
      const row = session.find(keyOf(owner));
      return row ? [told(session, row)] : [];
    }),

  record_answers: (session, [customers, keys, epochs, statuses, bodies, expiries, at]) =>
    changed(zip({ customers, keys, epochs, statuses, bodies, expiries }), done => {
      const row = session.find(keyOf(done));
      if (!row || isStale(session, row, done.epochs)) return false;
      putKey(session, {
        ...row,
        recovery_point: 'finished',
        response_status: done.statuses,
        response_body: done.bodies,
        finished_at: at.getTime(),
        expires_at: done.expiries.getTime(),
        locked_until: null,
      });
      return true;
    }),

  record_progress: (session, [customers, keys, epochs, points, states, sent, locked, parked, givenBack]) =>
    changed(zip({ customers, keys, epochs, points, states, sent, locked, parked, givenBack }), reached => {
      const row = session.find(keyOf(reached));
      if (!row || isStale(session, row, reached.epochs)) return false;
      putKey(session, {
        ...row,
        recovery_point: reached.points,
        state: JSON.parse(reached.states),
        may_be_sent: reached.sent,
        locked_until: reached.locked === null ? null : session.clock + reached.locked,
        parked_because: reached.parked,
        attempts: Math.max(1, row.attempts - reached.givenBack),
        expires_at: reached.points === 'cancelled' ? Infinity : row.expires_at,
      });
      return true;
    }),

  take_back_claims: (session, [customers, keys, ids]) =>
    changed(zip({ customers, keys, ids }), refused => {
      const row = session.find(keyOf(refused));
      if (row?.attempt_id !== refused.ids) return false;
      deleteKey(session, keyOf(refused));
      return true;
    }),

  take_over_keys: (session, [customers, keys, ids, leaseMs]) =>
    inOrder(zip({ customers, keys, ids }), keyOf).flatMap(wanted => {
      const row = session.find(keyOf(wanted));
      if (!row || !isAbandoned(session, row, session.clock)) return [];
      return session.isLocked(keyOf(wanted))
        ? []
        : [takeOver(session, row, { attempt_id: wanted.ids, leaseMs })];
    }),

  take_over_any_keys: (session, [limit, leaseMs]) =>
    session
      .all('key')
      .filter(([id, row]) => isAbandoned(session, row, session.began) && !session.isLocked(id))
      .sort(([, one], [, other]) => Number(one.locked_until) - Number(other.locked_until))
      .slice(0, limit)
      .map(([, row]) => takeOver(session, row, { attempt_id: nextAttempt(row), leaseMs })),

  take_over_unsent_key: (session, [customer, key, leaseMs]) => {
    const row = session.find(`key:${customer}/${key}`);
    if (!row || (row.may_be_sent && !session.isForgotten('unsent')) || hasEnded(row)) return [];
    const locked = session.clock + leaseMs;
    const next = {
      ...row,
      epoch: row.epoch + 1,
      attempt_id: nextAttempt(row),
      parked_because: null,
      locked_until: locked,
    };
    putKey(session, next);
    return [{ ...told(session, next), may_have_been_sent: row.may_be_sent }];
  },

  count_closed: (session, [customer, limit]) => {
    const closed = session
      .all('key')
      .filter(([, row]) => row.customer_id === customer && row.operation === null);
    return [{ closed: String(Math.min(closed.length, limit)) }];
  },

  close_key: (session, [customer, key, id]) => {
    if (!session.isInTransaction || session.conflicts(`key:${customer}/${key}`)) return [];
    session.put(`key:${customer}/${key}`, {
      ...unusedKey,
      customer_id: customer,
      key,
      recovery_point: 'cancelled',
      attempt_id: id,
      created_at: session.began,
      expires_at: Infinity,
    });
    return [{ attempt_id: id }];
  },

  reopen_key: (session, [customer, key]) => {
    deleteKey(session, `key:${customer}/${key}`);
    return 1;
  },

  delete_expired_keys: (session, [limit]) => {
    const expired = session
      .all('key')
      .filter(([id, row]) => mayBeReaped(session, row) && !session.isLocked(id))
      .sort(([, one], [, other]) => one.expires_at - other.expires_at)
      .slice(0, limit);
    for (const [id] of expired) deleteKey(session, id);
    return expired.length;
  },

  add_duplicates: (session, [customers, keys, counts]) =>
    changed(zip({ customers, keys, counts }), repeated => {
      const row = session.find(keyOf(repeated));
      if (!row) return false;
      const duplicates = row.duplicates + repeated.counts;
      session.put(keyOf(repeated), { ...row, duplicates, last_duplicate_at: session.began });
      return true;
    }),

  lock_payments: (session, [, ids]) =>
    [...ids].sort().flatMap(id => {
      const row = session.find(`payment:${id}`);
      if (row) session.lock(`payment:${id}`);
      return row ? [inDates(row, 'created_at', 'completed_at')] : [];
    }),

  lock_accounts: (session, [ids]) => lockAccounts(session, ids),

  lock_accounts_of_payments: (session, [ids, , payments]) =>
    lockAccounts(session, [
      ...ids,
      ...payments.flatMap((id: string) => {
        const row = session.find(`payment:${id}`);
        return row
          ? [row.from_account_id, row.rail === 'bank' ? `bank:${row.currency}` : row.to_account_id]
          : [];
      }),
    ]),

  insert_payments: (session, columns) => {
    const rows = named(columns, paymentColumns).map(
      row => ({ ...row, bank_transfer_id: null, refunded: '0' }) as Row,
    );
    return changed(rows, row => {
      const memory = `payment key:${row.customer_id}/${row.idempotency_key}`;
      if (session.conflicts(memory) && !session.isForgotten('remembered key')) {
        throw new Complaint('23505', 'payments_remember_their_key');
      }
      session.put(memory, { id: row.id });
      session.put(`payment:${row.id}`, inMs(row, 'created_at', 'completed_at'));
      return true;
    });
  },

  update_payments: (session, columns) =>
    changed(named(columns, paymentChanges), change => {
      const row = session.find(`payment:${change.id}`);
      if (!row) return false;
      session.put(`payment:${change.id}`, { ...row, ...inMs(change, 'completed_at') });
      return true;
    }),

  insert_transfers: (session, columns) =>
    changed(named(columns, transferColumns), row => {
      session.put(`transfer:${row.id}`, inMs(row, 'created_at'));
      return true;
    }),

  update_transfers: (session, [ids, states]) =>
    changed(zip({ ids, states }), change => {
      const row = session.find(`transfer:${change.ids}`);
      if (row?.state !== 'pending') return false;
      session.put(`transfer:${change.ids}`, { ...row, state: change.states });
      return true;
    }),

  write_balances: (session, columns) =>
    changed(named(columns, ['id', 'debits_pending', 'debits_posted', 'credits_posted']), balance => {
      const row = session.find(`account:${balance.id}`);
      if (!row) return false;
      session.put(`account:${balance.id}`, { ...row, ...balance });
      return true;
    }),

  select_payments_by_key: (session, [customers, keys]) =>
    zip({ customers, keys }).flatMap(({ customers: customer, keys: key }) =>
      session
        .all('payment')
        .flatMap(([, row]) =>
          row.customer_id === customer && row.idempotency_key === key
            ? [inDates(row, 'created_at', 'completed_at')]
            : [],
        ),
    ),
  select_refunds_by_key: () => [],

  /** What TypeORM asks for. */
  find_payment: (session, [where]) =>
    session
      .all('payment')
      .flatMap(([, row]) => (row.customer_id === where.customerId && row.id === where.id ? [row] : [])),
};

// Whatever a column holds.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Asked = Readonly<Record<string, any>>;
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Work = (session: Session, values: readonly any[]) => Answered[] | number;

const paymentColumns = [
  'customer_id',
  'id',
  'idempotency_key',
  'from_account_id',
  'to_account_id',
  'currency',
  'amount',
  'rail',
  'reference',
  'status',
  'decline_code',
  'decline_message',
  'created_at',
  'completed_at',
];
const paymentChanges = [
  'customer_id',
  'id',
  'status',
  'decline_code',
  'decline_message',
  'bank_transfer_id',
  'refunded',
  'completed_at',
];
const transferColumns = [
  'id',
  'customer_id',
  'payment_id',
  'refund_id',
  'debit_account_id',
  'credit_account_id',
  'currency',
  'amount',
  'state',
  'created_at',
];

const unusedKey = {
  operation: null,
  fingerprint: null,
  fingerprint_version: null,
  params: null,
  state: null,
  window_ms: null,
  epoch: 1,
  attempts: 1,
  locked_until: null,
  may_be_sent: false,
  parked_because: null,
  response_status: null,
  response_body: null,
  finished_at: null,
  duplicates: 0,
  last_duplicate_at: null,
};

function isStale(session: Session, row: Row, epoch: number): boolean {
  return row.epoch !== epoch && !session.isForgotten('epoch');
}

function isAbandoned(session: Session, row: Row, at: number): boolean {
  return row.locked_until !== null && (row.locked_until <= at || session.isForgotten('lease'));
}

function hasEnded({ recovery_point: point }: Row): boolean {
  return point === 'finished' || point === 'cancelled';
}

function mayBeReaped(session: Session, row: Row): boolean {
  const isExpired = row.expires_at < session.began || session.isForgotten('expiry');
  return (
    isExpired &&
    (row.recovery_point === 'finished' || session.isForgotten('finished') || session.isForgotten('guard'))
  );
}

/** With the CHECKs of the table. */
function putKey(session: Session, row: Row): void {
  const isAnswered = row.response_status !== null;
  const isOpen = row.locked_until !== null || row.parked_because !== null;
  const isSound =
    (row.recovery_point === 'finished') === isAnswered &&
    !(hasEnded(row) && isOpen) &&
    !(row.locked_until !== null && row.parked_because !== null) &&
    (row.operation !== null || row.recovery_point === 'cancelled');
  if (!isSound) throw new Complaint('23514');
  session.put(`key:${row.customer_id}/${row.key}`, row);
}

/** With its trigger: an unfinished key goes only in the transaction that wrote it. It is asked once the row is locked. */
function deleteKey(session: Session, id: string): void {
  session.lock(id);
  const isGuarded = session.find(id)?.recovery_point !== 'finished' && !session.isOwn(id);
  if (isGuarded && !session.isForgotten('guard')) throw new Complaint('23000');
  session.put(id, null);
}

function takeOver(
  session: Session,
  row: Row,
  { attempt_id, leaseMs }: { attempt_id: string; leaseMs: number },
): Answered {
  const next: Row = {
    ...row,
    attempt_id,
    epoch: row.epoch + 1,
    attempts: row.attempts + 1,
    may_be_sent: true,
    locked_until: session.clock + leaseMs,
  };
  putKey(session, next);
  return { ...told(session, next), may_have_been_sent: row.may_be_sent };
}

/** In the place of `gen_random_uuid()`: as good as any other, and the same in every run. */
function nextAttempt({ key, epoch }: Row): string {
  return `${key}, taken over ${epoch}`;
}

function lockAccounts(session: Session, ids: readonly string[]): Answered[] {
  return [...new Set(ids)].sort().flatMap(id => {
    const row = session.find(`account:${id}`);
    if (row) session.lock(`account:${id}`);
    return row ? [row] : [];
  });
}

/** A key row as `keyRowColumns` tells it. */
function told(session: Session, row: Row): Answered {
  const { locked_until, expires_at } = row;
  return {
    ...inDates(row, 'created_at', 'finished_at', 'last_duplicate_at'),
    fingerprint_version: undefined,
    locked_until: undefined,
    expires_at: expires_at === Infinity ? null : new Date(expires_at),
    age_ms: String(session.clock - row.created_at),
    lease_left_ms: locked_until === null ? null : String(locked_until - session.clock),
  };
}

function keyOf({ customers, keys }: Asked): string {
  return `key:${customers}/${keys}`;
}

/** Columns into rows. */
function zip(columns: Readonly<Record<string, readonly unknown[]>>): Asked[] {
  const [first = []] = Object.values(columns);
  return first.map((_, index) =>
    Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, asStored(values[index])])),
  );
}

/** The driver tells a bigint as text. */
function asStored(value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

function named(columns: readonly unknown[][], names: readonly string[]): Asked[] {
  return zip(Object.fromEntries(names.map((name, index) => [name, columns[index] ?? []])));
}

function inOrder(rows: readonly Asked[], by: (row: Asked) => string): Asked[] {
  return [...rows].sort((one, other) => (by(one) < by(other) ? -1 : 1));
}

function changed(rows: readonly Asked[], change: (row: Asked) => boolean): number {
  return rows.filter(change).length;
}

function inMs(row: Asked, ...names: readonly string[]): Asked {
  return { ...row, ...Object.fromEntries(names.map(name => [name, row[name]?.getTime() ?? null])) };
}

function inDates(row: Asked, ...names: readonly string[]): Answered {
  const dates = names.map(name => [name, row[name] === null ? null : new Date(row[name])]);
  return { ...row, ...Object.fromEntries(dates) };
}
