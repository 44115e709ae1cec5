import { join } from '../../joined.js';
import { Findings, type Violation } from '../../violation.js';
import type { Witnesses } from '../../witnesses.js';
import type { Payment } from './directed-caller.js';

/**
 * F05, F06, F07: whoever goes on after a crash asks the bank by the reference before anything is sent, and finds what
 * the dead one has sent. So the order of such a payment has reached the bank once.
 *
 * @param found payments whose holder died when the bank had booked them, and our database did not know it
 */
export function checkTheBankWasAsked(witnesses: Witnesses, found: Iterable<Payment>): Violation[] {
  const joined = join(witnesses);
  const findings = new Findings('I1');
  const requests = Map.groupBy(witnesses.bank.requests, ({ reference }) => reference);
  for (const { customer, key, operation } of found) {
    for (const { id } of joined.effects.get(`${customer} ${key}`) ?? []) {
      const its = requests.get(id) ?? [];
      const orders = its.filter(({ method }) => method === 'PUT');
      if (orders.length > 1)
        findings.add('what the bank may have is asked for, not sent again', operation, { its });
    }
  }
  return findings.violations;
}
