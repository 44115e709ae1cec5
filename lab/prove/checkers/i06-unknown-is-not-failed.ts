import { join } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I6, unknown is not failed: no operation ends declined or cancelled, and no pending transfer is voided, while the bank
 * holds a charge for its payment. A bank that was silent has not said no.
 */
export function checkUnknownIsNotFailed(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I6');
  for (const [reference, { net, charges }] of joined.references()) {
    const payment = joined.effectById.get(reference);
    if (net <= 0 || payment?.is !== 'payment') continue;
    const row = joined.keys.get(joined.ownerOfEffect(payment));
    const evidence = { payment, charges, row };
    if (payment.status === 'declined' || payment.status === 'cancelled') {
      found.add('what the bank has charged is neither declined nor cancelled', reference, evidence);
    }
    if (row?.recoveryPoint === 'cancelled') {
      found.add('the key of what the bank has charged is not closed', reference, evidence);
    }
    for (const transfer of joined.transfers.get(reference) ?? []) {
      if (transfer.state === 'voided') {
        found.add('the transfer of what the bank has charged is not voided', reference, {
          transfer,
          charges,
        });
      }
    }
  }
  return found.violations;
}
