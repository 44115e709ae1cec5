import { definitiveAnswers, join } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';
import { keyOf } from './asking.js';
import type { StruckPair } from './strike-pair.js';

/** Whether each payment has ended as its pair wants it: what the caller was told, our books, and the bank's. */
export function judgePairs(
  struck: readonly StruckPair[],
  witnesses: Witnesses,
  customer: string,
): Violation[] {
  const joined = join(witnesses);
  const unfinished = new Findings('I5');
  const falselyDeclined = new Findings('I6');
  const miscounted = new Findings('I1');
  for (const { pair, name } of struck) {
    const owner = `${customer} ${keyOf(name)}`;
    const row = joined.keys.get(owner);
    const [payment] = joined.effects.get(owner) ?? [];
    const answers = (joined.exchanges.get(owner) ?? []).flatMap(definitiveAnswers);
    const charges = payment ? joined.atTheBank(payment.id).charges : [];
    const wanted = { end: pair.end, charges: pair.charges };
    const evidence = { wanted, row, payment, charges, history: joined.history.get(owner) };

    if (pair.end !== 'declined' && payment?.status === 'declined') {
      falselyDeclined.add('nothing is declined that the bank has not declined', name, evidence);
    }
    const isParked = row?.parkedBecause != null;
    const status = { paid: 'succeeded', declined: 'declined', parked: 'pending' }[pair.end];
    if (isParked !== (pair.end === 'parked') || payment?.status !== status) {
      unfinished.add('each pair ends as the table says', name, evidence);
    }
    // What is parked is told to nobody; anything else was told, and told again.
    const told = { paid: 200, declined: 402, parked: undefined }[pair.end];
    const isTold = told === undefined ? answers.length === 0 : answers.length >= 2;
    if (!isTold || answers.some(({ status }) => status !== told)) {
      unfinished.add('its caller is told how each pair ends', name, { ...evidence, answers });
    }
    if (charges.length !== pair.charges) {
      miscounted.add('each pair is charged as often as the table says', name, evidence);
    }
  }
  return [unfinished, falselyDeclined, miscounted].flatMap(({ violations }) => violations);
}

/**
 * F58 is not prevented, it is found: by the reconciler, which names each payment that was charged twice and no other,
 * and by the checker of I1. @returns what either of them missed, or made up
 */
export function judgeDetection(
  struck: readonly StruckPair[],
  { witnesses, customer, differences, found }: Detection,
): Violation[] {
  const joined = join(witnesses);
  const missed = new Findings('I1');
  const twice = new Set<string>();
  for (const { pair, name } of struck) {
    const [payment] = joined.effects.get(`${customer} ${keyOf(name)}`) ?? [];
    if (pair.mode.scene !== 'charging twice' || !payment) continue;
    twice.add(payment.id);
    const named = differences.filter(({ reference }) => reference === payment.id).map(({ kind }) => kind);
    if (named.join() !== 'charged_twice') {
      missed.add('the reconciler names what is charged twice', name, { payment, named });
    }
    if (!found.some(({ about }) => about === payment.id)) {
      missed.add('the checkers see what is charged twice', name, { payment });
    }
  }
  for (const difference of differences) {
    if (!twice.has(difference.reference)) {
      missed.add('the reconciler names nothing else', difference.reference, { difference });
    }
  }
  return missed.violations;
}

interface Detection {
  readonly witnesses: Witnesses;
  readonly customer: string;
  readonly differences: readonly { kind: string; reference: string }[];
  /** By the checkers, before the bank's second charges are set aside. */
  readonly found: readonly Violation[];
}

/** As if the bank had kept its promise: everything else has to hold although it did not. */
export function withoutSecondCharges(witnesses: Witnesses): Witnesses {
  const first = new Map<string, string>();
  const bookings = witnesses.bank.bookings.filter(({ kind, reference, transfer_id: id }) => {
    if (kind !== 'charge') return true;
    if (!first.has(reference)) first.set(reference, id);
    return first.get(reference) === id;
  });
  return { ...witnesses, bank: { ...witnesses.bank, bookings } };
}
