import type { AccountRow, TransferRow } from '../database-witness.js';
import { join, type Effect, type Joined } from '../joined.js';
import { Findings, type Violation } from '../violation.js';
import type { Witnesses } from '../witnesses.js';

/**
 * I4, money is conserved. In every read: credits posted equal debits posted per currency; each balance is the sum of
 * its transfers; available is never below zero, except on bank accounts; what is posted on rail bank is charged at the
 * bank, and what is charged there is posted or pending here. Once all is quiet, both companies' books are equal.
 *
 * What was seen meanwhile comes from watch-money.ts, with how often it looked, and from callers who asked for their
 * balances; this reads the books as they are in the end, transfer by transfer.
 */
export function checkMoneyIsConserved(witnesses: Witnesses): Violation[] {
  const { database, log, run } = witnesses;
  const found = new Findings('I4');
  found.violations.push(...run.money.violations);

  for (const { invoke, reply } of log) {
    for (const balance of reply?.balances ?? []) {
      const { posted, pending, available } = balance;
      if (available < 0 || available !== posted - pending) {
        found.add('each balance that is read makes sense', `${invoke.customer} ${balance.id}`, { balance });
      }
    }
  }
  checkAccounts(found, database.accounts, database.transfers);
  checkTotals(found, witnesses);

  const joined = join(witnesses);
  for (const effect of joined.effectById.values()) {
    const transfers = joined.transfers.get(effect.id) ?? [];
    if (!moves(joined, effect, transfers)) {
      found.add('a payment moves its money once, or not at all', effect.id, { effect, transfers });
    }
    const charged = joined.atTheBank(effect.id).net;
    const posted = transfers.filter(({ state }) => state === 'posted').length;
    const isUnderWay = transfers.some(({ state }) => state === 'pending');
    if (effect.rail === 'bank' && (isUnderWay ? charged > 1 : charged !== posted)) {
      found.add('what is posted is what is charged', effect.id, { effect, transfers, charged });
    }
  }
  for (const [id, transfers] of joined.transfers) {
    const effect = joined.effectById.get(id);
    const isOfIt = transfers.every(({ paymentId }) =>
      effect?.is === 'refund' ? paymentId === effect.paymentId : paymentId === effect?.id,
    );
    if (!isOfIt) found.add('a transfer belongs to a payment or a refund', id, { effect, transfers });
  }
  return found.violations;
}

/** Every transfer is added up once, on both of its sides. */
function checkAccounts(
  found: Findings,
  accounts: readonly AccountRow[],
  transfers: readonly TransferRow[],
): void {
  const nothing = { debitsPending: 0, debitsPosted: 0, creditsPosted: 0 };
  const sums = new Map(accounts.map(({ id, currency }) => [id, { ...nothing, currency }]));
  for (const transfer of transfers) {
    const { debit, credit, amount, state } = transfer;
    const [from, to] = [sums.get(debit), sums.get(credit)];
    if (!from || !to || from.currency !== transfer.currency || to.currency !== transfer.currency) {
      found.add('a transfer is between two accounts of its currency', transfer.id, { transfer });
      continue;
    }
    if (state === 'pending') from.debitsPending += amount;
    if (state !== 'posted') continue;
    from.debitsPosted += amount;
    to.creditsPosted += amount;
  }
  for (const account of accounts) {
    const { id, kind, debitsPending, debitsPosted, creditsPosted } = account;
    const sum = sums.get(id);
    const isSum =
      sum?.debitsPending === debitsPending &&
      sum.debitsPosted === debitsPosted &&
      sum.creditsPosted === creditsPosted;
    if (!isSum) found.add('each balance is the sum of its transfers', id, { account, transfersSay: sum });
    if (kind !== 'bank' && creditsPosted - debitsPosted - debitsPending < 0) {
      found.add('available is never negative', id, { account });
    }
  }
}

/** Money is neither made nor lost: what one account gained another has lost. */
function checkTotals(found: Findings, { database }: Witnesses): void {
  for (const [currency, accounts] of Map.groupBy(database.accounts, account => account.currency)) {
    const credits = accounts.reduce((sum, { creditsPosted }) => sum + creditsPosted, 0);
    const debits = accounts.reduce((sum, { debitsPosted }) => sum + debitsPosted, 0);
    if (credits !== debits) found.add('credits posted equal debits posted', currency, { credits, debits });
  }
}

/** There is one transfer at most, also among the voided ones. Succeeded: one posted transfer of its amount. Under way: one pending. Anything else holds and moves nothing. */
function moves(joined: Joined, effect: Effect, transfers: readonly TransferRow[]): boolean {
  const state = { succeeded: 'posted', pending: 'pending', declined: 'voided', cancelled: 'voided' };
  const [only, ...others] = transfers;
  if (!only) return effect.status === 'declined' || effect.status === 'cancelled';
  const { amount, currency, debit, credit } = only;
  const [from, to] = sidesOf(joined, effect);
  return (
    others.length === 0 &&
    only.state === state[effect.status] &&
    amount === effect.amount &&
    currency === effect.currency &&
    debit === from &&
    credit === to
  );
}

/** From whom to whom. What left through the bank went to the account that stands for it; a refund is the way back. */
function sidesOf(joined: Joined, effect: Effect): [string, string] | [] {
  const payment = effect.is === 'payment' ? effect : joined.effectById.get(effect.paymentId);
  if (payment?.is !== 'payment') return [];
  const { from, to, rail, currency } = payment;
  const payee = rail === 'bank' ? `bank:${currency}` : to;
  return effect.is === 'payment' ? [from, payee] : [payee, from];
}
