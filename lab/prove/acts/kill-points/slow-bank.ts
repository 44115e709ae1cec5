import { settings } from '../../world.js';
import type { Setting } from './setting.js';

/** Payments at once, and rounds of them at the gate. */
const atOnce = 5;
const rounds = 4;

export const slowBankName = 'F88 the bank took longer than a lease';

/**
 * F88: a bank that takes longer than a lease is cut at the time-out, which the lease outlasts. So a holder that is
 * alive gives its payment back by itself, and is not taken over in the middle of its call.
 */
export async function beSlow(setting: Setting): Promise<void> {
  const { caller, heirs, most = Infinity, tally, times, world } = setting;
  const wanted = Math.min(rounds * times, most);
  // On a busy machine somebody else has a payment finished before its caller is told, and that round says little.
  const seen = () => tally.counts[slowBankName] ?? 0;
  for (let round = 0; seen() < wanted * atOnce && round < wanted * 5; round += 1) {
    const creditor = `payee-of-${setting.nextName('slow-bank')}`;
    const delay_ms = 2 * Number(settings.LEASE_MS);
    const fault = { kind: 'slow', method: 'PUT', creditor, delay_ms, times: atOnce };
    await world.bank.control('POST', '/faults', fault);
    const payments = Array.from({ length: atOnce }, () => caller.newPayment('paid', creditor));
    const replies = await Promise.all(payments.map(payment => caller.once(payment, heirs.urls[0] ?? '')));
    tally.count(slowBankName, replies.filter(({ status }) => status === 202).length);
    await Promise.all(payments.map(payment => caller.untilTold(payment, heirs.urls)));
  }
}

export function wantedSlowness({ times, most = Infinity }: { times: number; most?: number | undefined }) {
  return { [slowBankName]: Math.min(rounds * times, most) * atOnce };
}
