import type { PlannedFault } from './bank-modes.js';
import type { BankPair } from './bank-pairs.js';
import type { BankStage, Env } from './bank-stage.js';

/**
 * Waits of whoever is to die. A dozen payments have to be held at one place, and to be met there before one of them gives
 * up; two requests that time out fit into one call, and a lease outlasts it.
 */
export const patienceOfHolders = {
  BANK_REQUEST_TIMEOUT_MS: 1_500,
  BANK_TIMEOUT_MS: 4_000,
  LEASE_MS: 4_500,
};

/** How the process is started that is to die, together with how many. */
export function armsOf(
  { mode, point, round }: BankPair,
  { stage, deaths, misses }: { stage: BankStage; deaths: number; misses: number },
): { faultPoint?: string; env: Env } {
  const isCounted = point.id.startsWith('K5');
  const bankUrl = mode.bankUrls?.[(round + numberOf(point.id)) % mode.bankUrls.length];
  return {
    ...(point.strike.by === 'event' && {
      faultPoint: point.strike.faultPoint + (isCounted ? `:${deaths}` : ''),
    }),
    env: {
      ...(misses > 0 && patienceAfter(misses)),
      // A call ends with its first request, so that what the bank did is what is in memory, or being written.
      // Anywhere else it has to come so far by itself.
      BANK_REQUESTS_MAX: /^K[56]/.test(point.id) ? '1' : '8',
      ...(bankUrl !== undefined && {
        BANK_URL: bankUrl === 'https:' ? stage.bank.url.replace('http:', bankUrl) : bankUrl,
      }),
    },
  };
}

/** A machine that is too slow for a try gets twice the time for the next, four times at most; leases outlast it. */
export function slower(ms: number, misses: number): number {
  return ms * 2 ** Math.min(misses, 2);
}

function patienceAfter(misses: number): Env {
  return Object.fromEntries(
    Object.entries(patienceOfHolders).map(([name, ms]) => [name, String(slower(ms, misses))]),
  );
}

/** The payee is this payment's own, so that what befalls it befalls nobody else. */
export async function planFaults(
  stage: BankStage,
  { mode, point, round }: BankPair,
  to: string,
): Promise<string[]> {
  const variants = mode.variants(point, stage.elsewhere);
  // From one kill point to the next another variant, so that one round takes each of them somewhere.
  const faults: readonly PlannedFault[] = variants[(round + numberOf(point.id)) % variants.length] ?? [];
  const ids: string[] = [];
  for (const fault of faults) {
    const { id } = (await stage.bank.control('POST', '/faults', { ...fault, creditor: to })) as {
      id: string;
    };
    ids.push(id);
  }
  return ids;
}

function numberOf(id: string): number {
  return Number(/\d/.exec(id)?.[0] ?? '0');
}
