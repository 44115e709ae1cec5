import type { DataSource } from 'typeorm';
import type { BankClient, Booking } from '../bank/bank.client.js';
import { change, columns, read, type Statement } from '../database/statement.js';
import { inTransaction } from '../database/transaction.js';
import type { Settings } from '../settings.js';
import { compare } from './differences.js';
import { publish, type Reconciled } from './events.js';
import { loop, type Worker } from './loop.js';

/**
 * Whoever has a statement to show, page by page: the bookings after `since`, oldest first. Two things are relied on:
 * nothing is ever booked behind what was shown, and a page that could be longer is.
 */
export type Statements = Pick<BankClient, 'statement'>;

/**
 * Holds our books against the bank's, both ways.
 *
 * It finds what no idempotency of ours can prevent: a bank that charges twice, books another amount, or loses a
 * payment. It repairs nothing. Each difference is money that two companies see differently, and a person decides.
 */
export class Reconciler implements Worker<Reconciled> {
  readonly name = 'reconciler';

  constructor(
    private readonly dataSource: DataSource,
    private readonly bank: Statements,
    private readonly settings: Settings,
  ) {}

  run(signal: AbortSignal): Promise<void> {
    return loop(signal, this.settings.reconcileEveryMs, {
      work: () => this.runOnce(signal),
      onError: error => {
        publish({ worker: this.name, error });
      },
    });
  }

  /** First theirs, then ours. `compare` says why that order matters, and why the time is taken before both. */
  async runOnce(signal: AbortSignal = new AbortController().signal): Promise<Reconciled> {
    const { last, at } = await this.whereTheCopyEnds();
    const copied = await this.copyFrom(last, signal);
    signal.throwIfAborted();
    const result = { copied, ...(await compare(this.dataSource, this.settings, at)) };
    publish({ worker: this.name, ...result });
    return result;
  }

  private async whereTheCopyEnds(): Promise<{ last: number; at: Date }> {
    const [row] = await read<{ last: string; at: Date }>(this.dataSource, findEnd, []);
    if (!row) throw new Error(`${findEnd.name} returned nothing`);
    return { last: Number(row.last), at: row.at };
  }

  /**
   * Page by page, each committed for itself and in order, so the copy never has a hole: after a crash the next run
   * goes on behind the last booking. Two reconcilers copy the same pages, and each booking is kept once.
   *
   * A page that is shorter than an earlier one is the last: the bank had no more to show. Waiting for an empty one
   * would mean chasing a busy bank booking by booking.
   */
  private async copyFrom(last: number, signal: AbortSignal): Promise<number> {
    let [since, longest, copied] = [last, 1, 0];
    for (;;) {
      const { bookings, next } = await this.bank.statement(since, signal);
      copied += await this.keep(bookings);
      if (bookings.length < longest) return copied;
      [since, longest] = [next, bookings.length];
    }
  }

  private keep(bookings: readonly Booking[]): Promise<number> {
    return inTransaction(this.dataSource, this.settings, tx =>
      change(tx, insertBookings, columns(bookings, ...bookingColumns)),
    );
  }
}

/** To the millisecond below, as the times of payments are: what ended before it ended before now. */
const findEnd: Statement = {
  name: 'find_end_of_copied_statement',
  text: `
    SELECT coalesce(max(sequence), 0) AS last, date_trunc('milliseconds', clock_timestamp()) AS at
      FROM bank_bookings`,
};

const bookingColumns = [
  'sequence',
  'kind',
  'transferId',
  'reference',
  'amount',
  'currency',
  'bookedAt',
] as const;

/** In the order of their sequence, so that two reconcilers never wait for each other in a circle. */
const insertBookings: Statement = {
  name: 'copy_bookings',
  text: `
    INSERT INTO bank_bookings (sequence, kind, transfer_id, reference, amount, currency, booked_at)
    SELECT *
      FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[])
        AS booked (sequence, kind, transfer_id, reference, amount, currency, booked_at)
     ORDER BY sequence
        ON CONFLICT (sequence) DO NOTHING`,
};
