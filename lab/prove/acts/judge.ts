import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '../../../test/support/database.js';
import type { ActResult } from '../act.js';
import { readBank, type BankAddress } from '../bank-witness.js';
import { checkEverything } from '../checkers/every-checker.js';
import { countAnswers, countSucceeded } from '../checkers/i15-vacuity.js';
import { readDatabase } from '../database-witness.js';
import { readDriverLogs } from '../driver-log.js';
import type { MoneyWatched, ResourceSample } from '../run-record.js';
import type { Violation } from '../violation.js';
import { findLeaks } from '../watch-resources.js';
import type { Witnesses } from '../witnesses.js';

/** T of invariant I5, in milliseconds, at the leases of world.ts. */
export const endWithinMs = 15_000;

/** What one run of an act knows of itself: where its witnesses are, and what it did to them. */
export interface Course {
  readonly databaseUrl: string;
  readonly bank: BankAddress;
  readonly logs: readonly string[];
  /** When the last fault was healed: epoch milliseconds by the database's clock. */
  readonly healedAt: number | null;
  readonly money: MoneyWatched;
  readonly samples: readonly ResourceSample[];
  readonly seen: Readonly<Record<string, number>>;
  readonly wanted: Readonly<Record<string, number>>;
  /** Of its operations, so many succeed at least, between 0 and 1; half of them, where nothing is said. */
  readonly shareSucceededMin?: number;
  /** T of this run, in milliseconds, where its leases are not those of world.ts. */
  readonly endWithinMs?: number | undefined;
  /** Of one process. Where connections are cut off, the server has some of them that it has not yet forgotten. */
  readonly connectionsMax?: number;
}

/** Four connections of its pool, and room for two generations of it. */
const connectionsMax = 12;

const bounds = { rssBytes: 512 * 2 ** 20, sockets: 400 };

/** Reads all three witnesses. Ask once nothing is under way any more. */
export async function hearWitnesses(course: Course): Promise<Witnesses> {
  const { bank, databaseUrl, healedAt, logs, money, samples, seen, wanted } = course;
  const each = { ...bounds, connections: course.connectionsMax ?? connectionsMax };
  return {
    log: await readDriverLogs(logs),
    bank: await readBank(bank),
    database: await readDatabase(databaseUrl),
    run: {
      // No trouble of callers or of PostgreSQL is an excuse: nothing may be parked because of it.
      progress: { healedAt, endWithinMs: course.endWithinMs ?? endWithinMs, mayPark: [] },
      money,
      resources: {
        samples,
        bounds: { api: each, worker: each },
        attemptsMax: 100_000,
        leaks: await findLeaks(databaseUrl),
      },
      coverage: { seen, wanted, succeededMin: 1, shareSucceededMin: course.shareSucceededMin ?? 0.5 },
    },
  };
}

/** @param more violations that no checker can know of, since only the act knows what it did */
export function sumUp(
  name: string,
  witnesses: Witnesses,
  {
    more = [],
    violations = checkEverything(witnesses),
    timesMs = {},
  }: {
    more?: readonly Violation[];
    violations?: readonly Violation[];
    timesMs?: ActResult['timesMs'];
  } = {},
): ActResult {
  const { coverage } = witnesses.run;
  return {
    name,
    violations: [...violations, ...more],
    operations: countSucceeded(witnesses).operations,
    requests: witnesses.log.length,
    counts: { ...countAnswers(witnesses), ...coverage.seen },
    wanted: coverage.wanted,
    timesMs,
  };
}

/** Until nobody works on anything any more, or T is over: what is unfinished then is I5's to tell. */
export async function untilQuiet(sql: Sql): Promise<void> {
  const until = Date.now() + endWithinMs;
  while (Date.now() < until) {
    const unfinished = await sql(
      "SELECT FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled') AND parked_because IS NULL",
    );
    if (unfinished.length === 0) return;
    await sleep(100);
  }
}

/** Epoch milliseconds by the database's clock. */
export async function timeOf(sql: Sql): Promise<number> {
  const [row] = await sql<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  return row?.now ?? 0;
}
