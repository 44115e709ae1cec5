import type { DataSource } from 'typeorm';
import type { BankClient } from './bank/bank.client.js';
import { Engine } from './idempotency/run-operation.js';
import { closeBooks, openBooks } from './ledger/books.js';
import { refundPayment } from './payments/refund-payment.js';
import { type BankRail, takePayment } from './payments/take-payment.js';
import type { Settings } from './settings.js';

/** The engine with everything it is told: what may be done, over which books, and through which bank. */
export function createEngine(dataSource: DataSource, bank: BankClient | null, settings: Settings): Engine {
  const outside: BankRail = { bank: bank ?? noBank, bankMemoryMs: settings.bankMemoryMs };
  const bookkeeping = { open: openBooks, close: closeBooks };
  return new Engine(dataSource, { operations: [takePayment, refundPayment], bookkeeping, outside }, settings);
}

/** Where no bank is configured. Payments that one instance began wait for another that knows the bank. */
const noBank: BankRail['bank'] = {
  pay: () => Promise.resolve({ kind: 'not_sent', reason: 'no bank is configured here' }),
  settlement: () => Promise.resolve({ kind: 'not_sent', reason: 'no bank is configured here' }),
};
