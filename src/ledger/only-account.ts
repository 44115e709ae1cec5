import type { DataSource } from 'typeorm';
import { read, type Statement } from '../database/statement.js';

/** @returns the id of the customer's only account in a currency; `none` or `several` where there is no such thing */
export async function onlyAccount(
  dataSource: DataSource,
  customerId: string,
  currency: string,
): Promise<{ id: string } | 'none' | 'several'> {
  const [first, ...others] = await read<{ id: string }>(dataSource, twoAccounts, [customerId, currency]);
  if (!first) return 'none';
  return others.length > 0 ? 'several' : first;
}

const twoAccounts: Statement = {
  name: 'two_accounts',
  text: 'SELECT id FROM accounts WHERE customer_id = $1 AND currency = $2 LIMIT 2',
};
