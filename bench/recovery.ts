import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit, type Acknowledged, type Audit } from './audit.js';
import { end, startServer } from './child.js';
import { using } from './database.js';
import { accountOf, apiKeyOf } from './fill.js';
import { PretendBank } from './pretend-bank.js';
import { allHaveEnded, comesTrue } from './until.js';

export interface Recovery {
  /** Payments that nobody held when the API started. */
  abandoned: number;
  /** From the bank's answering again until the last of them had ended; `null`: not all did. */
  seconds: number | null;
  /** What the bank has charged for, by its own books. */
  charges: number;
  audit: Audit;
}

export interface RecoveryPlan {
  databaseUrl: string;
  paymentsBefore: number;
  /** How long the API that recovers them gets no answer. */
  outageSeconds: number;
}

const payments = 1_000;

/** As a bank is on an ordinary day, whenever it answers. */
const bankTimes = { delayMs: 50, settleMs: 0 };

/**
 * How the payments are made that are then abandoned. The lease is short, so that the run need not wait half a minute
 * for it; and nobody in that process takes up again what it gives up.
 */
const hasty = {
  WORKERS: 'elsewhere',
  LEASE_MS: '2500',
  BANK_TIMEOUT_MS: '2000',
  BANK_REQUEST_TIMEOUT_MS: '2000',
};

/**
 * Measures how a backlog drains.
 *
 * A bank takes requests, carries them out and answers nobody. An API accepts a thousand payments, asks that bank for
 * as many as it may at once, and is killed. Of some the bank has charged, and nobody knows; of the others it has
 * never heard; our rows look the same. When their leases have run out, an API is started as it is shipped, workers
 * inside. `outageSeconds` later the bank answers again, and the clock starts.
 *
 * Without an outage what is measured is the completer's work. During an outage it takes up payments in vain, and each
 * of them then waits, longer each time: that wait is measured as well, and the break of the circuit, and the
 * requests that were swallowed, until our time-out. Not in it: the lease of the dead process, 30 s as shipped.
 */
export async function measureRecovery(
  { databaseUrl, paymentsBefore, outageSeconds }: RecoveryPlan,
  signal: AbortSignal,
): Promise<Recovery> {
  const bank = await PretendBank.start(bankTimes, signal, { control: true });
  try {
    return await using(databaseUrl, async database => {
      await bank.fallSilent();
      const told = await abandonPayments(databaseUrl, bank, signal);
      await comesTrue(database, leasesAreOver, signal);
      const { rows } = await database.query<{ abandoned: number }>(countAbandoned);

      const api = await startServer('ours', { DATABASE_URL: databaseUrl, ...bank.environment }, signal);
      let seconds: number | null;
      try {
        await sleep(outageSeconds * 1_000, undefined, { signal });
        await bank.answerAgain();
        const answersSince = performance.now();
        const isDone = await comesTrue(database, allHaveEnded, signal);
        seconds = isDone ? (performance.now() - answersSince) / 1_000 : null;
      } finally {
        await end(api.process);
      }
      const charges = await bank.charges();
      return {
        abandoned: rows[0]?.abandoned ?? 0,
        seconds,
        charges: charges.length,
        audit: await audit(database, told, { paymentsBefore, keysStored: true, charges }),
      };
    });
  } finally {
    await bank.stop();
  }
}

/** Has payments accepted by an API that then dies. Each caller was told 202: it will be paid. */
async function abandonPayments(
  databaseUrl: string,
  bank: PretendBank,
  signal: AbortSignal,
): Promise<Acknowledged> {
  const api = await startServer('ours', { DATABASE_URL: databaseUrl, ...bank.environment, ...hasty }, signal);
  const told: Acknowledged = { sent: 0, keys: [], paymentIds: [] };
  const caller = async () => {
    while (told.sent < payments) {
      told.sent += 1;
      const { key, paymentId } = await payLater(api.url, told.sent, signal);
      told.keys.push(key);
      told.paymentIds.push(paymentId);
    }
  };
  try {
    await Promise.all(Array.from({ length: 50 }, caller));
  } finally {
    await end(api.process, 'SIGKILL');
  }
  return told;
}

async function payLater(apiUrl: string, payer: number, signal: AbortSignal) {
  const key = randomUUID();
  const answer = await fetch(`${apiUrl}/payments`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${apiKeyOf(payer)}`,
      'idempotency-key': key,
      'content-type': 'application/json',
      prefer: 'respond-async',
    },
    body: JSON.stringify({ from: accountOf(payer), to: 'sam', amount: 1, currency: 'GBP', rail: 'bank' }),
    signal,
  });
  const text = await answer.text();
  if (answer.status !== 202) throw new Error(`A payment was answered with ${answer.status}: ${text}`);
  return { key, paymentId: (JSON.parse(text) as { id: string }).id };
}

const leasesAreOver = `
  SELECT coalesce(max(locked_until) <= clock_timestamp(), true) AS answer
    FROM idempotency_keys WHERE locked_until IS NOT NULL`;

const countAbandoned =
  'SELECT count(*)::int AS abandoned FROM idempotency_keys WHERE locked_until IS NOT NULL';
