import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { readPage, type BankAddress } from './bank-witness.js';
import type { MoneyWatched } from './run-record.js';
import type { Violation } from './violation.js';

/**
 * How often it looks, in milliseconds, while the books are small. It adds up every transfer each time, which takes a
 * tenth of a second for 300,000 of them; so that watching never becomes the load, it rests nine times as long as it
 * looked.
 */
const everyMs = 100;
const restsPerLook = 9;

/**
 * I4 again and again while the faults are on: one statement over our books, hence one snapshot; and ours ≤ the bank's
 * ≤ ours with what is pending. No snapshot spans two companies. The order of reading makes both true all the same:
 * what is posted was charged before, and what is charged was promised before.
 *
 * A database or a bank that is away cannot be looked at. That counts as no look, and shows in the longest gap.
 */
export class MoneyWatch {
  private readonly violations: Violation[] = [];
  private readonly stopping = new AbortController();
  private readonly watching: Promise<void>;
  /** Looks so far. */
  reads = 0;
  private longestGapMs = 0;
  private connection: Client | undefined;
  /** What the bank has charged less what it gave back, by currency, and how far its statement was read. */
  private readonly charged = new Map<string, number>();
  private since = 0;

  constructor(
    private readonly databaseUrl: string,
    private readonly bank: BankAddress,
  ) {
    this.watching = this.watch();
  }

  async stop(): Promise<MoneyWatched> {
    this.stopping.abort();
    await this.watching;
    const { reads, longestGapMs, violations } = this;
    return { reads, longestGapMs, violations };
  }

  private async watch(): Promise<void> {
    let lastLook = performance.now();
    while (!this.stopping.signal.aborted) {
      const began = performance.now();
      try {
        await this.look();
        this.reads += 1;
        this.longestGapMs = Math.max(this.longestGapMs, performance.now() - lastLook);
        lastLook = performance.now();
      } catch {
        await this.hangUp();
      }
      const restMs = Math.max(everyMs, restsPerLook * (performance.now() - began));
      await sleep(restMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
    await this.hangUp();
  }

  private async look(): Promise<void> {
    const before = await this.readBooks();
    await this.readBank();
    const after = await this.readBooks();
    for (const { what, row } of [...before.broken, ...after.broken]) this.add(what, { row });
    const currencies = new Set([...before.rail, ...after.rail].map(({ currency }) => currency));
    for (const currency of new Set([...currencies, ...this.charged.keys()])) {
      const posted = before.rail.find(each => each.currency === currency)?.posted ?? 0;
      const charged = this.charged.get(currency) ?? 0;
      const reserved = after.rail.find(each => each.currency === currency)?.reserved ?? 0;
      if (posted > charged) this.add('what is posted was charged before', { currency, posted, charged });
      if (charged > reserved)
        this.add('what is charged was promised before', { currency, charged, reserved });
    }
  }

  private add(what: string, evidence: object): void {
    // What is wrong stays wrong: the first hundred looks tell enough.
    if (this.violations.length >= 100) return;
    this.violations.push({ invariant: 'I4', about: `look ${this.reads + 1}`, what, evidence });
  }

  private async readBooks(): Promise<Books> {
    this.connection ??= await connect(this.databaseUrl);
    const { rows } = await this.connection.query<{
      broken: Books['broken'] | null;
      rail: Books['rail'] | null;
    }>(lookAtBooks);
    return { broken: rows[0]?.broken ?? [], rail: rows[0]?.rail ?? [] };
  }

  /** Only what is new. The bank's statement grows without end, and never changes. */
  private async readBank(): Promise<void> {
    for (;;) {
      const { bookings, next } = await readPage(this.bank, this.since);
      if (bookings.length === 0) return;
      for (const { kind, amount, currency } of bookings) {
        const sum = this.charged.get(currency) ?? 0;
        this.charged.set(currency, sum + (kind === 'charge' ? amount : -amount));
      }
      this.since = next;
    }
  }

  private async hangUp(): Promise<void> {
    const { connection } = this;
    this.connection = undefined;
    await connection?.end().catch(() => undefined);
  }
}

/** As JSON numbers: sums of minor units stay far below 2^53 here. */
interface Books {
  readonly broken: readonly { what: string; row: object }[];
  readonly rail: readonly { currency: string; posted: number; reserved: number }[];
}

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({
    connectionString,
    application_name: 'prove-money',
    connectionTimeoutMillis: 1_000,
    query_timeout: 10_000,
  });
  // It is lost whenever the server is killed; the statement under way says so.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const lookAtBooks = `
  WITH
    sides AS (
      SELECT debit_account_id AS id, state, amount AS debit, 0 AS credit FROM transfers
      UNION ALL
      SELECT credit_account_id, state, 0, amount FROM transfers),
    sums AS (
      SELECT id,
             sum(debit) FILTER (WHERE state = 'pending') AS pending,
             sum(debit) FILTER (WHERE state = 'posted') AS debits,
             sum(credit) FILTER (WHERE state = 'posted') AS credits
        FROM sides GROUP BY id),
    books AS (
      SELECT accounts.*, coalesce(pending, 0) AS pending, coalesce(debits, 0) AS debits,
             coalesce(credits, 0) AS credits
        FROM accounts LEFT JOIN sums USING (id)),
    totals AS (
      SELECT currency, sum(credits_posted) AS credits_posted, sum(debits_posted) AS debits_posted
        FROM accounts GROUP BY currency),
    broken AS (
      SELECT 'credits posted equal debits posted' AS what, to_jsonb(totals) AS row
        FROM totals WHERE credits_posted <> debits_posted
      UNION ALL
      SELECT 'each balance is the sum of its transfers', to_jsonb(books)
        FROM books
       WHERE (debits_pending, debits_posted, credits_posted) IS DISTINCT FROM (pending, debits, credits)
      UNION ALL
      SELECT 'available is never negative', to_jsonb(books)
        FROM books WHERE kind <> 'bank' AND credits_posted - debits_posted - debits_pending < 0),
    rail AS (
      SELECT currency,
             coalesce(sum(amount) FILTER (WHERE state = 'posted'), 0) AS posted,
             coalesce(sum(amount) FILTER (WHERE state IN ('posted', 'pending')), 0) AS reserved
        FROM transfers
       WHERE payment_id IS NOT NULL AND refund_id IS NULL AND credit_account_id LIKE 'bank:%' GROUP BY currency)
  SELECT (SELECT json_agg(broken) FROM broken) AS broken, (SELECT json_agg(rail) FROM rail) AS rail`;
