import { DataSource, type DataSourceOptions } from 'typeorm';
import { Customers } from '../migrations/0001-customers.js';
import { Ledger } from '../migrations/0002-ledger.js';
import { Payments } from '../migrations/0003-payments.js';
import { IdempotencyKeys } from '../migrations/0004-idempotency-keys.js';
import { Account } from './ledger/account.entity.js';
import { Transfer } from './ledger/transfer.entity.js';
import { Payment } from './payments/payment.entity.js';
import { IdempotencyKey } from './idempotency/idempotency-key.entity.js';
import type { Settings } from './settings.js';

type Needs = Pick<Settings, 'databaseUrl'> &
  Partial<Pick<Settings, 'databaseConnectionsMax' | 'connectTimeoutMs' | 'queryTimeoutMs'>>;

export function dataSourceOptions(settings: Needs): DataSourceOptions {
  return {
    type: 'postgres',
    url: settings.databaseUrl,
    applicationName: 'pay-sam',
    entities: [Account, Transfer, Payment, IdempotencyKey],
    migrations: [Customers, Ledger, Payments, IdempotencyKeys],
    migrationsTransactionMode: 'each',
    // The schema is written by hand, in /migrations.
    synchronize: false,
    poolSize: settings.databaseConnectionsMax ?? 2,
    extra: {
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
