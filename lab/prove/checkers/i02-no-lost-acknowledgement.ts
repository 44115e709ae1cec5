import type { RecoveryPoint } from '../database-witness.js';
import type { Exchange, PaymentAsked, RefundAsked, Told } from '../driver-log.js';
import { definitiveAnswers, join, type Joined, type Owner, type Seen } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I2, no lost acknowledgement: what a caller was told is durable. Every 200 has a committed payment or refund and, on
 * rail bank, exactly one charge of that amount and currency; every 402 a committed declined payment and no charge;
 * every 202 a committed operation that ends later (which I5 looks for). A key that was told to be closed stays closed.
 */
export function checkNoLostAcknowledgement(witnesses: Witnesses): Violation[] {
  const joined = join(witnesses);
  const found = new Findings('I2');
  for (const exchange of witnesses.log) {
    const owner = joined.ownerOf(exchange);
    if (owner === null || !exchange.reply) continue;
    for (const answer of definitiveAnswers(exchange)) {
      const what = brokenBy(joined, { owner, exchange, answer });
      if (what) found.add(what, owner, { exchange, effects: joined.effects.get(owner) ?? [] });
    }
    const { status, code, state, told } = exchange.reply;
    if (status === 202 && !isKnown(joined, owner, told)) {
      found.add('a 202 is an operation that is remembered', owner, { exchange });
    }
    if ((status === 200 && state === 'cancelled') || code === 'operation_cancelled') {
      const evidence = { exchange, key: joined.keys.get(owner), effects: joined.effects.get(owner) ?? [] };
      if (!isClosed(joined, owner)) found.add('a key that was closed stays closed', owner, evidence);
    }
  }
  // What a key has recorded is told to whoever asks for it: it is an acknowledgement before anybody was told.
  for (const [owner, history] of joined.history) {
    const recorded = history.find(({ recoveryPoint }) => beyondT1.has(recoveryPoint));
    if (recorded && !joined.effects.has(owner)) {
      found.add('what a key has recorded is there', owner, { recorded });
    }
  }
  return found.violations;
}

/** By then the transaction that opens the payment has committed, or the same one opens and finishes it. */
const beyondT1 = new Set<RecoveryPoint>(['funds_reserved', 'transfer_sent', 'finished']);

interface Acknowledged {
  readonly owner: Owner;
  readonly exchange: Exchange;
  readonly answer: Seen;
}

/** @returns the sentence that is not true of this acknowledgement */
function brokenBy(joined: Joined, { owner, exchange, answer }: Acknowledged): string | undefined {
  const effect = joined.effectById.get(answer.told?.id ?? '');
  if (!effect || !joined.effects.get(owner)?.includes(effect)) {
    return 'what was acknowledged is there, under its key';
  }
  const { told } = answer;
  if (told?.amount !== effect.amount || told.currency !== effect.currency || told.status !== effect.status) {
    return 'what was acknowledged is what was done';
  }
  const { params } = exchange.invoke;
  if (params && !isAsked(params, effect)) return 'what was acknowledged is what was asked for';
  const { net, charges } = joined.atTheBank(effect.id);
  if (answer.status === 402) {
    return effect.status === 'declined' && net === 0 ? undefined : 'a 402 is declined, and not charged';
  }
  if (effect.status !== 'succeeded') return 'a 200 has succeeded';
  if (effect.rail !== 'bank') return undefined;
  const [charge] = charges;
  const isCharged = net === 1 && charge?.amount === effect.amount && charge.currency === effect.currency;
  return isCharged ? undefined : 'a 200 through the bank is charged once';
}

function isAsked(params: PaymentAsked | RefundAsked, effect: object): boolean {
  const wanted: Record<string, unknown> =
    'payment_id' in params ? { paymentId: params.payment_id, amount: params.amount } : { ...params };
  const is = effect as Record<string, unknown>;
  return Object.keys(wanted).every(name => wanted[name] === is[name]);
}

/** An operation's own answer names no payment; then anything under the key will do. */
function isKnown(joined: Joined, owner: Owner, told: Told | undefined): boolean {
  if (!told) return joined.keys.has(owner) || joined.effects.has(owner);
  const { id, amount, currency, status } = told;
  const effect = joined.effects.get(owner)?.find(each => each.id === id);
  return status === 'pending' && effect?.amount === amount && effect.currency === currency;
}

function isClosed(joined: Joined, owner: Owner): boolean {
  const effects = joined.effects.get(owner) ?? [];
  return (
    joined.keys.get(owner)?.recoveryPoint === 'cancelled' &&
    effects.every(({ id, status }) => status === 'cancelled' && joined.atTheBank(id).net === 0)
  );
}
