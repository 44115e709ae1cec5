import type { Booking } from '../bank-witness.js';
import { join, type Effect, type Owner } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I1, at most one charge: per (customer, key) there is at most one successful charge in the bank's books, and one
 * payment in ours, for ever, also after the stored answer has expired.
 *
 * Counted from the bank towards us: charge, reference, payment, key. And from the driver towards both: what it meant
 * once was paid once, under the key it had written down before, and nothing was paid that nobody had asked for.
 */
export function checkAtMostOneCharge(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I1');

  for (const [reference, { bookings, charges }] of joined.references()) {
    const payment = joined.effectById.get(reference);
    const evidence = { bookings, payment };
    if (charges.length > 1) found.add('a payment is charged at most once', reference, evidence);
    if (payment?.is !== 'payment' || payment.rail !== 'bank') {
      found.add('each booking belongs to a payment through the bank', reference, evidence);
    } else if (bookings.some(booking => !isOf(payment, booking))) {
      found.add('a booking is of its payment’s amount, currency and transfer', reference, evidence);
    }
  }
  if (joined.keys.size < witnesses.database.keys.length) {
    found.add('a key has one row', 'all keys', {
      keys: joined.keys.size,
      rows: witnesses.database.keys.length,
    });
  }

  const asked = whatWasAsked(witnesses);
  const byReference = new Map<string, number>();
  for (const [owner, effects] of joined.effects) {
    // A fingerprint is used again once its window is over, for another payment that remembers another start.
    const remembered = Map.groupBy(effects, ({ idempotencyKey }) => idempotencyKey);
    for (const [key, equals] of remembered) {
      const about = `${owner} (${key})`;
      if (equals.length > 1) found.add('a key has one payment or refund', about, { effects: equals });
      const charges = equals.flatMap(({ id }) => joined.atTheBank(id).charges);
      if (charges.length > 1) found.add('a key is charged at most once', about, { charges });
    }
    for (const effect of effects) {
      if (!asked.has(request(owner, effect)) && !asked.has(request(anonymous(owner), effect)))
        found.add('each payment was asked for', owner, { effect });
      if (effect.is !== 'payment') continue;
      if (effect.bankTransferId !== null && joined.atTheBank(effect.id).bookings.length === 0) {
        found.add('a payment names only what the bank has booked', owner, { effect });
      }
      if (effect.reference !== null) {
        byReference.set(effect.reference, (byReference.get(effect.reference) ?? 0) + 1);
      }
    }
  }
  for (const [reference, payments] of byReference) {
    if (payments > 1) found.add('what was meant once is paid once', reference, { payments });
  }
  return found.violations;
}

/** Every request in the driver's log, under the key that it was sent with, or that it was told. */
function whatWasAsked(witnesses: Witnesses): Set<string> {
  const joined = join(witnesses);
  const asked = new Set<string>();
  for (const exchange of witnesses.log) {
    const { customer, params } = exchange.invoke;
    // Sent without a key by somebody who never heard an answer: known by what was asked for, as in our books.
    const owner = joined.ownerOf(exchange) ?? `${customer} fp_`;
    if (params === null) continue;
    const names =
      'payment_id' in params
        ? [params.payment_id, params.amount]
        : [params.reference, params.from, params.to, params.amount, params.currency, params.rail];
    asked.add([owner, ...names].join(' '));
  }
  return asked;
}

/** The owner as the log has it, where a fingerprint was never told. */
function anonymous(owner: Owner): Owner {
  return owner.replace(/ fp_.*$/, ' fp_');
}

function request(owner: Owner, effect: Effect): string {
  const names =
    effect.is === 'refund'
      ? [effect.paymentId, effect.amount]
      : [effect.reference, effect.from, effect.to, effect.amount, effect.currency, effect.rail];
  return [owner, ...names].join(' ');
}

function isOf(payment: Effect & { is: 'payment' }, { amount, currency, transfer_id }: Booking): boolean {
  const { bankTransferId, status } = payment;
  const isNamed = bankTransferId === transfer_id || (bankTransferId === null && status === 'pending');
  return payment.amount === amount && payment.currency === currency && isNamed;
}
