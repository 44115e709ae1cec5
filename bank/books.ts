import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** What a caller asks for. */
export interface Order {
  /** Minor units. */
  amount: number;
  currency: string;
  creditor: string;
}

/** What the bank makes of an order. `settles_at` null: never. Times are epoch milliseconds. */
export interface Verdict {
  created_at: number;
  settles_at: number | null;
  ends_as: 'settled' | 'returned' | 'declined';
  decline_code: string | null;
  decline_message: string | null;
}

/** A row of the books. Whether it has settled is not stored: it follows from the time, also after a crash. */
export interface Transfer extends Order, Verdict {
  number: number;
  id: string;
  reference: string;
}

export interface Booking {
  sequence: number;
  kind: 'charge' | 'return';
  transfer_id: string;
  reference: string;
  amount: number;
  currency: string;
  booked_at: number;
}

/**
 * `known_by` is the reference for as long as the bank remembers it; UNIQUE makes it the one thing that stops a second
 * charge. Bookings are only ever added, so their sequence grows without end.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS transfers (
    number          INTEGER PRIMARY KEY,
    id              TEXT NOT NULL,
    reference       TEXT NOT NULL,
    known_by        TEXT UNIQUE CHECK (known_by = reference),
    amount          INTEGER NOT NULL CHECK (amount > 0),
    currency        TEXT NOT NULL,
    creditor        TEXT NOT NULL,
    ends_as         TEXT NOT NULL CHECK (ends_as IN ('settled', 'returned', 'declined')),
    settles_at      INTEGER,
    decline_code    TEXT,
    decline_message TEXT,
    created_at      INTEGER NOT NULL,
    return_due_at   INTEGER
  ) STRICT;
  CREATE INDEX IF NOT EXISTS returns_due ON transfers (return_due_at) WHERE return_due_at IS NOT NULL;
  CREATE TABLE IF NOT EXISTS bookings (
    sequence  INTEGER PRIMARY KEY,
    kind      TEXT NOT NULL CHECK (kind IN ('charge', 'return')),
    transfer  INTEGER NOT NULL REFERENCES transfers,
    booked_at INTEGER NOT NULL
  ) STRICT;`;

/**
 * The bank's books: a file of its own, so that nothing that befalls our PostgreSQL reaches it.
 *
 * Every call is synchronous. No two of them overlap, and when one returns, what it wrote is in the file. The file is
 * not forced to the disk (`synchronous = NORMAL`): what was written survives any kill of this process, and may be
 * lost when the machine loses power. A pretend bank can live with that; a real one could not.
 */
export class Books {
  private readonly file: DatabaseSync;
  private readonly statements: Record<keyof typeof sql, StatementSync>;

  /** @throws Error with one sentence that names the file */
  constructor(path: string) {
    try {
      if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true });
      this.file = new DatabaseSync(path, { timeout: 5_000 });
      this.file.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;' + schema);
      const prepared = Object.entries(sql).map(([name, text]) => [name, this.file.prepare(text)]);
      this.statements = Object.fromEntries(prepared) as Record<keyof typeof sql, StatementSync>;
    } catch (error) {
      throw new Error(`The books at ${path} cannot be opened: ${(error as Error).message}.`, {
        cause: error,
      });
    }
  }

  /** The transfer known by this reference, unless it was made before `since`. */
  find(reference: string, since: number): Transfer | undefined {
    return this.statements.find.get(reference, since) as Transfer | undefined;
  }

  /** Writes a new transfer and, unless declined, its charge, both or neither. An older one loses the reference. */
  enter(reference: string, order: Order, verdict: Verdict): Transfer {
    this.bookReturns(verdict.created_at);
    const transfer = { ...order, ...verdict, id: newId(), reference };
    const number = this.inOneWrite(() => {
      this.statements.forget.run(reference);
      return this.write(transfer, reference);
    });
    return { ...transfer, number };
  }

  /** What no bank should do: charges for a transfer once more, under the same reference. */
  chargeAgain(transfer: Transfer): void {
    this.inOneWrite(() => this.write({ ...transfer, id: newId(), created_at: Date.now() }, null));
  }

  /** The money stays charged; who asks by this reference is told that it is unknown. */
  forget(reference: string): void {
    this.statements.forget.run(reference);
  }

  /** Bookings after `since`, oldest first. */
  statement(since: number, limit: number): Booking[] {
    this.bookReturns(Date.now());
    return this.statements.statement.all(since, limit) as unknown as Booking[];
  }

  /** Everything ever booked, added up. Sums are charges less returns, in minor units. */
  totals() {
    this.bookReturns(Date.now());
    const counts = this.statements.counts.get() as { charges: number; returned: number; references: number };
    const sums = this.statements.sums.all() as { currency: string; net: number }[];
    return { ...counts, sums: Object.fromEntries(sums.map(({ currency, net }) => [currency, net])) };
  }

  close(): void {
    this.file.close();
  }

  private write(transfer: Omit<Transfer, 'number'>, knownBy: string | null): number {
    const { id, reference, amount, currency, creditor, created_at } = transfer;
    const { ends_as, settles_at, decline_code, decline_message } = transfer;
    const { lastInsertRowid } = this.statements.insert.run(
      ...[id, reference, knownBy, amount, currency, creditor, ends_as, settles_at],
      ...[decline_code, decline_message, created_at, ends_as === 'returned' ? settles_at : null],
    );
    if (ends_as !== 'declined') this.statements.book.run('charge', lastInsertRowid, created_at);
    return Number(lastInsertRowid);
  }

  /**
   * Books the returns that have fallen due. Called before anything is booked or read, so no timer is needed and a
   * restart forgets none; a return is booked ahead of whatever happened after it.
   */
  private bookReturns(now: number): void {
    const due = this.statements.returnsDue.all(now) as { number: number; return_due_at: number }[];
    if (due.length === 0) return;
    this.inOneWrite(() => {
      for (const { number, return_due_at } of due) {
        this.statements.book.run('return', number, return_due_at);
        this.statements.returned.run(number);
      }
    });
  }

  private inOneWrite<T>(work: () => T): T {
    this.statements.begin.run();
    try {
      const result = work();
      this.statements.commit.run();
      return result;
    } finally {
      // Only after an error, and then SQLite may have rolled back already.
      if (this.file.isTransaction) this.statements.rollback.run();
    }
  }
}

const sql = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
  find: 'SELECT * FROM transfers WHERE known_by = ? AND created_at > ?',
  forget: 'UPDATE transfers SET known_by = NULL WHERE known_by = ?',
  insert: `
    INSERT INTO transfers (id, reference, known_by, amount, currency, creditor, ends_as, settles_at,
                           decline_code, decline_message, created_at, return_due_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  book: 'INSERT INTO bookings (kind, transfer, booked_at) VALUES (?, ?, ?)',
  returnsDue: `
    SELECT number, return_due_at FROM transfers WHERE return_due_at <= ? ORDER BY return_due_at, number`,
  returned: 'UPDATE transfers SET return_due_at = NULL WHERE number = ?',
  statement: `
    SELECT sequence, kind, id AS transfer_id, reference, amount, currency, booked_at
      FROM bookings JOIN transfers ON number = transfer
     WHERE sequence > ? ORDER BY sequence LIMIT ?`,
  counts: `
    SELECT count(*) FILTER (WHERE kind = 'charge') AS charges,
           count(*) FILTER (WHERE kind = 'return') AS returned,
           count(DISTINCT reference) AS "references"
      FROM bookings JOIN transfers ON number = transfer`,
  sums: `
    SELECT currency, sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END) AS net
      FROM bookings JOIN transfers ON number = transfer GROUP BY currency ORDER BY currency`,
};

function newId(): string {
  return 'trf_' + randomUUID().replaceAll('-', '');
}
