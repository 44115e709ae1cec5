import type { EntityManager } from 'typeorm';

/** Opening balances in minor units. Sam and the payees that choose an outcome at the bank begin with nothing. */
const openingBalances = {
  alice: 1_000_000,
  bob: 5_000,
  legacy: 100_000,
  sam: 0,
  dee: 0,
  tim: 0,
  nia: 0,
  flo: 0,
  rex: 0,
};

type Customer = keyof typeof openingBalances;

/** Published keys: fit for a demonstration on this machine, and for nothing else. */
export const demoKeys: { key: string; customer: Customer; scopes: string[] }[] = [
  { key: 'sk_demo_alice', customer: 'alice', scopes: ['read', 'pay'] },
  { key: 'sk_demo_bob', customer: 'bob', scopes: ['read', 'pay'] },
  { key: 'sk_demo_sam', customer: 'sam', scopes: ['read', 'pay'] },
  { key: 'sk_demo_legacy', customer: 'legacy', scopes: ['read', 'pay'] },
  { key: 'sk_demo_readonly', customer: 'alice', scopes: ['read'] },
];

/**
 * Puts the demo's customers, keys and opening balances into `tx`. What is there already stays as it is, so it
 * can run at every start: an opening balance is moved only together with its transfer, and that has a fixed id.
 */
export async function seedDemo(tx: EntityManager): Promise<void> {
  const names = Object.keys(openingBalances);
  const ids = names.map((_, index) => fixedId(index));

  await tx.query(
    `INSERT INTO customers (id, name)
     SELECT * FROM unnest($1::uuid[], $2::text[])
     ON CONFLICT DO NOTHING`,
    [ids, names],
  );
  // Its software is older than idempotency keys.
  await tx.query("UPDATE customers SET keyless = 'fingerprint' WHERE name = 'legacy' AND keyless IS NULL");

  await tx.query(
    `INSERT INTO api_keys (hash, customer_id, scopes)
     SELECT sha256(convert_to(demo.key, 'UTF8')), customers.id, string_to_array(demo.scopes, ' ')
     FROM unnest($1::text[], $2::text[], $3::text[]) AS demo (key, customer, scopes)
     JOIN customers ON customers.name = demo.customer
     ON CONFLICT DO NOTHING`,
    [
      demoKeys.map(({ key }) => key),
      demoKeys.map(({ customer }) => customer),
      demoKeys.map(({ scopes }) => scopes.join(' ')),
    ],
  );

  await tx.query(
    `INSERT INTO accounts (id, customer_id, kind, currency)
     SELECT name, id, 'customer', 'GBP' FROM customers WHERE name = ANY ($1)
     UNION ALL
     VALUES ('bank:GBP', NULL::uuid, 'bank', 'GBP')
     ON CONFLICT DO NOTHING`,
    [names],
  );

  await tx.query(
    `WITH opened AS (
       INSERT INTO transfers (id, debit_account_id, credit_account_id, currency, amount, state, created_at)
       SELECT opening.id, 'bank:GBP', opening.account, 'GBP', opening.amount, 'posted', now()
       FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS opening (id, account, amount)
       WHERE opening.amount > 0
       ON CONFLICT DO NOTHING
       RETURNING credit_account_id, amount
     ), credited AS (
       UPDATE accounts SET credits_posted = credits_posted + opened.amount
       FROM opened WHERE accounts.id = opened.credit_account_id
     )
     UPDATE accounts SET debits_posted = debits_posted + (SELECT coalesce(sum(amount), 0) FROM opened)
     WHERE id = 'bank:GBP'`,
    [ids, names, Object.values(openingBalances)],
  );
}

export async function hasCustomers(tx: EntityManager): Promise<boolean> {
  return (await tx.query<unknown[]>('SELECT FROM customers LIMIT 1')).length > 0;
}

/** Whether the demo's keys open this database, whoever put them there. */
export async function hasDemo(tx: EntityManager): Promise<boolean> {
  return (await tx.query<unknown[]>("SELECT FROM api_keys WHERE hash = sha256('sk_demo_alice')")).length > 0;
}

/** A UUIDv7 of 1 January 2024: the same on every machine, and before every payment in a list by id. */
function fixedId(index: number): string {
  return `018cc251-f400-7000-8000-${String(index + 1).padStart(12, '0')}`;
}
