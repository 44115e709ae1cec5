import { chargesOf } from './bank.js';
import { tableOf, type Row } from './store.js';
import type { World } from './world.js';

/** What must be true of every state, and of every step from one to the next. @returns what is not; `null`: all is well */
export function whatIsBroken(before: World, after: World): string | null {
  if (after.broken !== null) return after.broken;
  const isUntouched =
    before.store.rows === after.store.rows && before.bank === after.bank && before.heard === after.heard;
  return isUntouched ? null : (stepIsBroken(before, after) ?? stateIsBroken(after));
}

function stateIsBroken({ store, bank, heard }: World): string | null {
  const payments = tableOf(store.rows, 'payment');
  const transfers = tableOf(store.rows, 'transfer');
  const byKey = new Map<string, Row>();
  for (const payment of payments) {
    if (byKey.has(payment.idempotency_key)) return 'I1: two payments for one key';
    byKey.set(payment.idempotency_key, payment);
    const charges = chargesOf(bank, payment.id);
    if (charges.length > 1) return 'I1: two charges for one key';
    const isHeld = charges.some(({ status }) => status !== 'returned');
    const isVoided = transfers.some(
      transfer => transfer.payment_id === payment.id && transfer.state === 'voided',
    );
    if (isHeld && (isVoided || payment.status === 'declined' || payment.status === 'cancelled')) {
      return `I6: ${payment.status}${isVoided ? ' and voided' : ''}, while the bank holds a charge`;
    }
    if (payment.status === 'succeeded' && !isHeld) return 'I4: succeeded, and the bank has charged nothing';
  }
  if (bank.transfers.some(({ reference }) => !payments.some(({ id }) => id === reference))) {
    return 'I1: a charge that belongs to no payment';
  }
  for (const [key, said] of Object.entries(heard)) {
    const wrong = heardIsBroken(said, byKey.get(key));
    if (wrong !== null) return wrong;
  }
  return moneyIsBroken(store.rows, transfers);
}

/** I2 and I3: what was told is true, and it is one thing. */
function heardIsBroken(said: readonly string[], payment: Row | undefined): string | null {
  const surprise = said.find(each => each.startsWith('error'));
  if (surprise !== undefined) return `500: ${surprise}`;
  const definitive = said.filter(each => each !== 'pending');
  if (definitive.length > 1) return `I3: ${definitive.join(' and ')}`;
  const [answer] = definitive;
  if (answer?.startsWith('200') && payment?.status !== 'succeeded')
    return 'I2: 200, and no payment that succeeded';
  if (answer?.startsWith('402') && payment?.status !== 'declined')
    return 'I2: 402, and no payment that was declined';
  if (answer === 'cancelled' && payment && payment.status !== 'cancelled')
    return 'I6: told cancelled, and paid';
  return said.includes('pending') && !payment ? 'I2: told pending, and there is no payment' : null;
}

/** I4, as far as one payer and one bank go. */
function moneyIsBroken(rows: World['store']['rows'], transfers: readonly Row[]): string | null {
  const sum = (state: string) =>
    transfers.reduce(
      (total, transfer) => total + (transfer.state === state ? BigInt(transfer.amount) : 0n),
      0n,
    );
  const [alice, bank] = [rows['account:alice'], rows['account:bank:GBP']];
  const isEven =
    BigInt(alice?.debits_pending ?? 0) === sum('pending') &&
    BigInt(alice?.debits_posted ?? 0) === sum('posted') &&
    BigInt(bank?.credits_posted ?? 0) === sum('posted');
  return isEven ? null : 'I4: balances are not the sum of their transfers';
}

const order = ['started', 'funds_reserved', 'transfer_sent', 'finished'];

/** I7 and I12: what may become of a key row. */
function stepIsBroken({ store: before }: World, { store: after }: World): string | null {
  if (before.rows === after.rows) return null;
  for (const [id, was] of Object.entries(before.rows)) {
    if (!id.startsWith('key:')) continue;
    const is = after.rows[id];
    if (!is) {
      if (was.recovery_point !== 'finished') return 'I12: an unfinished key was removed';
      if (was.expires_at >= after.now) return 'I12: a key was removed before its time';
      continue;
    }
    const hasEnded = was.recovery_point === 'finished' || was.recovery_point === 'cancelled';
    if (hasEnded && (is.recovery_point !== was.recovery_point || is.response_body !== was.response_body)) {
      return 'I7: what had ended was changed';
    }
    if (is.epoch < was.epoch) return 'I7: the epoch went back';
    if (
      is.recovery_point !== 'cancelled' &&
      order.indexOf(is.recovery_point) < order.indexOf(was.recovery_point)
    ) {
      return 'I7: the recovery point went back';
    }
    if (is.epoch > was.epoch && was.may_be_sent && (was.locked_until ?? Infinity) > after.now) {
      return 'I7: taken over while its lease held';
    }
  }
  return null;
}
