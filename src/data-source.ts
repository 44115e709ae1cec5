import { Client, type ClientConfig } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { Customers } from '../migrations/0001-customers.js';
import { Ledger } from '../migrations/0002-ledger.js';
import { Payments } from '../migrations/0003-payments.js';
import { IdempotencyKeys } from '../migrations/0004-idempotency-keys.js';
import { RecoveryPoints } from '../migrations/0005-recovery-points.js';
import { Refunds } from '../migrations/0006-refunds.js';
import { BankStatement } from '../migrations/0007-bank-statement.js';
import { KeylessCustomers } from '../migrations/0008-keyless-customers.js';
import { Rights } from '../migrations/0009-rights.js';
import { Account } from './ledger/account.entity.js';
import { Transfer } from './ledger/transfer.entity.js';
import { Payment } from './payments/payment.entity.js';
import { Refund } from './payments/refund.entity.js';
import type { Settings } from './settings.js';

type Needs = Pick<Settings, 'databaseUrl'> &
  Partial<Pick<Settings, 'databaseConnectionsMax' | 'connectTimeoutMs' | 'queryTimeoutMs'>>;

/**
 * A connection that is lost tells whoever is waiting for an answer on it. It also raises an event; between the
 * pool and its borrower nobody listens for that, and an event that nobody listens for ends the process.
 */
class QuietClient extends Client {
  constructor(config: ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

export function dataSourceOptions(settings: Needs): DataSourceOptions {
  return {
    type: 'postgres',
    url: settings.databaseUrl,
    applicationName: 'pay-sam',
    entities: [Account, Transfer, Payment, Refund],
    migrations: [
      Customers,
      Ledger,
      Payments,
      IdempotencyKeys,
      RecoveryPoints,
      Refunds,
      BankStatement,
      KeylessCustomers,
      Rights,
    ],
    migrationsTransactionMode: 'each',
    // The schema is written by hand, in /migrations.
    synchronize: false,
    poolSize: settings.databaseConnectionsMax ?? 2,
    extra: {
      Client: QuietClient,
      connectionTimeoutMillis: settings.connectTimeoutMs ?? 5_000,
      query_timeout: settings.queryTimeoutMs ?? 0,
      // Statements sent together travel together, in order, without waiting for each other's answers.
      pipeline: true,
      keepAlive: true,
    },
  };
}

export function createDataSource(settings: Needs): DataSource {
  return new DataSource(dataSourceOptions(settings));
}
