import { applied, Complaint, Session, Waits } from './session.js';
import { statements } from './statements.js';

/**
 * The database of the model: every row in one map, and what open transactions have locked and written but not
 * committed. It is a value: a statement does not change it, it yields the next one. So a search can go back to any
 * state it has ever seen.
 *
 * It knows statements by the names they have in `src`, and answers as PostgreSQL answers the SQL behind them. That is a
 * claim, and `the-model-answers-like-postgres.spec.ts` holds it against the real one.
 */
export interface Store {
  /** The database's clock, in milliseconds. It stands still unless somebody moves it. */
  readonly now: number;
  readonly rows: Rows;
  /** By connection. */
  readonly open: Readonly<Record<string, Transaction>>;
}

/** By table and primary key: `key:alice/k1`, `payment:…`, `account:alice`, `transfer:…`. */
export type Rows = Readonly<Record<string, Row>>;

/** The columns of all tables at once; which of them a row has, its table says. Moments are milliseconds. */
export interface Row {
  readonly id: string;
  readonly customer_id: string | null;
  readonly created_at: number;
  // Keys.
  readonly key: string;
  readonly operation: string | null;
  readonly fingerprint: Buffer | null;
  readonly fingerprint_version: number | null;
  readonly params: object | null;
  readonly recovery_point: string;
  /** Of a transfer it is a word, of a key what its operation remembers. */
  readonly state: string | object | null;
  readonly attempt_id: string;
  readonly window_ms: number | null;
  readonly epoch: number;
  readonly attempts: number;
  readonly locked_until: number | null;
  readonly may_be_sent: boolean;
  readonly parked_because: string | null;
  readonly response_status: number | null;
  readonly response_body: string | null;
  readonly finished_at: number | null;
  readonly expires_at: number;
  readonly duplicates: number;
  readonly last_duplicate_at: number | null;
  // Payments.
  readonly idempotency_key: string;
  readonly from_account_id: string;
  readonly to_account_id: string;
  readonly currency: string;
  readonly amount: string;
  readonly rail: 'bank' | 'ledger';
  readonly reference: string | null;
  readonly status: 'succeeded' | 'pending' | 'declined' | 'cancelled';
  readonly decline_code: string | null;
  readonly decline_message: string | null;
  readonly bank_transfer_id: string | null;
  readonly refunded: string;
  readonly completed_at: number | null;
  // Transfers and accounts.
  readonly payment_id: string;
  readonly debits_pending: string;
  readonly debits_posted: string;
  readonly credits_posted: string;
}

/** A row as it is told: in the driver's types, and whatever else was selected. */
export type Answered = object;

export interface Transaction {
  /** What `now()` says in it. */
  readonly began: number;
  /** `null`: deleted. */
  readonly writes: Readonly<Record<string, Row | null>>;
  readonly locks: readonly string[];
  readonly isAborted: boolean;
}

/** A statement as it travels: its name, or `begin`, `commit`, `rollback`. */
export interface Sent {
  readonly name: string;
  /** What PostgreSQL is sent under that name. The store never reads it. */
  readonly text?: string;
  readonly values: readonly unknown[];
}

/** What comes back: rows, or the server's complaint. */
export interface Reply {
  readonly command: string;
  readonly rows: readonly Answered[];
  readonly rowCount: number;
  readonly complaint?: { readonly code: string; readonly constraint?: string };
}

/** A rule of the database that somebody forgot. For proving that the search would notice. */
export type Forgotten = 'epoch' | 'lease' | 'expiry' | 'finished' | 'guard' | 'remembered key' | 'unsent';

/** @returns `null`: it has to wait for a lock that another transaction holds */
export function execute(
  store: Store,
  connection: string,
  { name, values }: Sent,
  forgotten?: Forgotten,
): { store: Store; reply: Reply } | null {
  const transaction = store.open[connection];
  if (name === 'begin') return { store: opened(store, connection), reply: replyOf('BEGIN') };
  if (name === 'commit' || name === 'rollback') {
    const isKept = name === 'commit' && transaction?.isAborted === false;
    return { store: closed(store, connection, isKept), reply: replyOf(isKept ? 'COMMIT' : 'ROLLBACK') };
  }
  if (transaction?.isAborted) return { store, reply: { ...replyOf(''), complaint: { code: '25P02' } } };

  const session = new Session(store, connection, forgotten);
  const work = statements[name];
  if (!work) throw new Error(`the model knows no statement called ${name}`);
  try {
    const rows = work(session, values);
    const reply = { command: name, rows: Array.isArray(rows) ? rows : [], rowCount: Number(rows) };
    return {
      store: session.after(),
      reply: Array.isArray(rows) ? { ...reply, rowCount: rows.length } : reply,
    };
  } catch (error) {
    if (error instanceof Waits) return null;
    if (!(error instanceof Complaint)) throw error;
    const { code, constraint } = error;
    // What it had locked is free at once, before anybody says ROLLBACK.
    const aborted = transaction && {
      [connection]: { ...transaction, writes: {}, locks: [], isAborted: true },
    };
    const complaint = constraint === undefined ? { code } : { code, constraint };
    return { store: { ...store, open: { ...store.open, ...aborted } }, reply: { ...replyOf(''), complaint } };
  }
}

/** What a lost connection leaves behind: nothing. */
export function dropConnections(store: Store, isLost: (connection: string) => boolean): Store {
  const kept = Object.entries(store.open).filter(([connection]) => !isLost(connection));
  return { ...store, open: Object.fromEntries(kept) };
}

/** All rows of one table, in the order of their keys. */
export function tableOf(rows: Rows, table: string): Row[] {
  const ids = Object.keys(rows).filter(id => id.startsWith(`${table}:`));
  return ids.sort().map(id => rows[id] as Row);
}

function opened(store: Store, connection: string): Store {
  const fresh: Transaction = { began: store.now, writes: {}, locks: [], isAborted: false };
  return { ...store, open: { ...store.open, [connection]: fresh } };
}

function closed(store: Store, connection: string, isKept: boolean): Store {
  const { [connection]: transaction, ...open } = store.open;
  const rows = isKept && transaction ? applied(store.rows, transaction.writes) : store.rows;
  return { ...store, open, rows };
}

function replyOf(command: string): Reply {
  return { command, rows: [], rowCount: 0 };
}
