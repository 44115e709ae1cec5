import type { EntityManager } from 'typeorm';
import { columns, run, type Statement } from '../database/statement.js';
import { ownerToString } from '../idempotency/claim.js';
import type { Owner } from '../idempotency/operation.js';

/** What remembers its key, as PostgreSQL answers. */
interface RowWithKey {
  readonly customer_id: string;
  readonly idempotency_key: string;
}

/** What is remembered under each key, in the order of `owners`: one statement, however many. */
export async function rowsByKey<Row extends RowWithKey>(
  tx: EntityManager,
  statement: Statement,
  owners: readonly Owner[],
): Promise<(Row | undefined)[]> {
  const rows = await run<Row>(tx, statement, columns(owners, 'customerId', 'key'));
  const found = new Map(rows.map(row => [ownerToString(row.customer_id, row.idempotency_key), row]));
  return owners.map(({ customerId, key }) => found.get(ownerToString(customerId, key)));
}
