import type { Forgotten, Row, Rows, Store, Transaction } from './store.js';

/** Another transaction has what this statement needs. */
export class Waits extends Error {}

/** Always the same one: it happens too often to say each time where. */
const waits = new Waits();

/** What the server refuses, by SQLSTATE. */
export class Complaint extends Error {
  constructor(
    readonly code: string,
    readonly constraint?: string,
  ) {
    super(code);
  }
}

/** What one statement sees and does. Statements outside a transaction commit at once. */
export class Session {
  private writes: Record<string, Row | null> = {};
  private locks: string[] = [];
  private readonly own: Transaction | undefined;

  constructor(
    private readonly store: Store,
    private readonly connection: string,
    private readonly forgotten: Forgotten | undefined,
  ) {
    this.own = store.open[connection];
  }

  /** `clock_timestamp()` */
  get clock(): number {
    return this.store.now;
  }

  /** `now()` */
  get began(): number {
    return this.own?.began ?? this.store.now;
  }

  get isInTransaction(): boolean {
    return this.own !== undefined;
  }

  isForgotten(rule: Forgotten): boolean {
    return this.forgotten === rule;
  }

  /** What is committed, and what this transaction has written itself. */
  find(id: string): Row | undefined {
    if (id in this.writes) return this.writes[id] ?? undefined;
    if (this.own && id in this.own.writes) return this.own.writes[id] ?? undefined;
    return this.store.rows[id];
  }

  all(table: string): [string, Row][] {
    const ids = [this.store.rows, this.own?.writes ?? {}, this.writes].flatMap(Object.keys);
    const wanted = [...new Set(ids)].filter(id => id.startsWith(`${table}:`)).sort();
    return wanted.flatMap(id => {
      const row = this.find(id);
      return row ? [[id, row] as [string, Row]] : [];
    });
  }

  /** `FOR NO KEY UPDATE`, and what every UPDATE and DELETE does first: waits for whoever has the row. */
  lock(id: string): void {
    if (this.isLocked(id)) throw waits;
    this.locks.push(id);
  }

  /** Whether another transaction has it: what `SKIP LOCKED` asks. */
  isLocked(id: string): boolean {
    return this.others().some(({ locks }) => locks.includes(id));
  }

  /** Whoever writes a row knows what its table needs. */
  put(id: string, row: object | null): void {
    this.lock(id);
    this.writes[id] = row as Row | null;
  }

  /**
   * What `ON CONFLICT` asks. It waits for a transaction that is writing the row: only its end says whether there is one.
   * A transaction that merely locks it keeps nobody waiting.
   *
   * @returns whether the row is there already
   */
  conflicts(id: string): boolean {
    if (this.others().some(({ writes }) => id in writes)) throw waits;
    return this.find(id) !== undefined;
  }

  /** Whether the row, as it is, was written by this very transaction. */
  isOwn(id: string): boolean {
    return id in this.writes || (this.own !== undefined && id in this.own.writes);
  }

  after(): Store {
    const { store, own, connection, writes, locks } = this;
    if (!own) return { ...store, rows: applied(store.rows, writes) };
    const next = {
      ...own,
      writes: { ...own.writes, ...writes },
      locks: [...new Set([...own.locks, ...locks])],
    };
    return { ...store, open: { ...store.open, [connection]: next } };
  }

  private others(): Transaction[] {
    return Object.entries(this.store.open).flatMap(([connection, transaction]) =>
      connection === this.connection ? [] : [transaction],
    );
  }
}

export function applied(rows: Rows, writes: Readonly<Record<string, Row | null>>): Rows {
  const all = { ...rows, ...writes };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, Row] => entry[1] !== null));
}
