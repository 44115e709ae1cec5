import { setTimeout as sleep } from 'node:timers/promises';
import { lockAccounts } from '../../../test/support/foreign-lock.js';
import type { BankStage, Lane } from './bank-stage.js';

/**
 * Keeps the one road of an API's transactions busy: a payment over the ledger goes ahead and waits for its account, which
 * somebody else has locked. Whatever comes to be recorded meanwhile waits in memory, and shares the next transaction.
 *
 * Each lane pays from an account of its own, so that nobody else waits.
 *
 * @returns what lets go of it
 */
export async function holdRoad(
  stage: BankStage,
  lane: Lane,
  { name, urls }: { name: string; urls: readonly string[] },
): Promise<() => Promise<void>> {
  const lock = await lockAccounts(stage.postgres.url, lane.account);
  void stage.asking.pay({
    name: `${name}-ahead`,
    from: lane.account,
    to: 'sam',
    rail: 'ledger',
    amount: 1_000,
    urls,
  });
  const death = new AbortController();
  void lane.api?.exited.then(() => {
    death.abort();
  });
  // Somebody whose patience was over may have brought the end before the time. That is for the caller to see.
  while (!death.signal.aborted && !(await isBlocked(stage, lane))) await sleep(20);
  return lock.release;
}

async function isBlocked({ postgres }: BankStage, { writer }: Lane): Promise<boolean> {
  const rows = await postgres.sql(
    "SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'",
    [writer],
  );
  return rows.length > 0;
}
