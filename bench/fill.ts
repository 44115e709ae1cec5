import type { Client } from 'pg';

/** Customers, each with one account in GBP and more money than any run can spend. */
export const customersCount = 10_000;

/** The API key of a customer, 1 to 10,000. Their accounts are called alike. */
export const apiKeyOf = (customer: number): string => `sk_bench_${customer}`;
export const accountOf = (customer: number): string => `bench-${customer}`;

/** Whom everybody pays in the busiest case. */
export const samsAccount = 'sam';

/**
 * Fills a migrated, empty database by SQL alone: the code under test takes no part in it.
 *
 * `pastPayments` were spread over the last three days, between random customers, under random keys: finished
 * keys, payments and transfers as the service would have left them, with the balances they add up to.
 */
export async function fill(database: Client, pastPayments: number): Promise<void> {
  await skipChecksIfAllowed(database);
  for (const { text, values = [] } of statements(pastPayments)) await database.query(text, values);
  await database.query('VACUUM (ANALYZE)');
}

/** References of rows that are right by construction need no check. Only a superuser may say so; others wait. */
async function skipChecksIfAllowed(database: Client): Promise<void> {
  await database.query("SET session_replication_role = 'replica'").catch(() => undefined);
}

function statements(pastPayments: number): { text: string; values?: unknown[] }[] {
  return [
    {
      text: `INSERT INTO customers (id, name)
             SELECT md5('customer ' || n)::uuid, 'bench-' || n FROM generate_series(1, $1::int) AS n
             UNION ALL SELECT md5('sam')::uuid, 'sam'`,
      values: [customersCount],
    },
    {
      text: `INSERT INTO api_keys (hash, customer_id, scopes)
             SELECT sha256(convert_to('sk_bench_' || n, 'UTF8')), md5('customer ' || n)::uuid, '{read,pay}'
               FROM generate_series(1, $1::int) AS n`,
      values: [customersCount],
    },
    {
      // The payee is anybody but the payer. Ids are as UUIDv7: the time first, then chance.
      text: `CREATE TEMP TABLE past AS
             SELECT md5('customer ' || payer)::uuid AS customer_id,
                    'bench-' || payer AS payer,
                    'bench-' || 1 + (payer + floor(random() * ($2::int - 1))::int) % $2::int AS payee,
                    gen_random_uuid()::text AS key,
                    (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0')
                      || '7' || substr(md5(random()::text), 1, 3)
                      || 'a' || substr(md5(random()::text), 1, 15))::uuid AS id,
                    at
               FROM (SELECT 1 + floor(random() * $2::int)::int AS payer,
                            date_trunc('milliseconds', now() - interval '71 hours' * (1 - n / $1::float8)) AS at
                       FROM generate_series(1, $1::int) AS n) AS drawn`,
      values: [pastPayments, customersCount],
    },
    {
      text: `INSERT INTO accounts (id, customer_id, kind, currency, debits_posted, credits_posted)
             SELECT 'bench-' || n, md5('customer ' || n)::uuid, 'customer', 'GBP',
                    coalesce(paid.total, 0), $2::bigint + coalesce(received.total, 0)
               FROM generate_series(1, $1::int) AS n
               LEFT JOIN (SELECT payer, count(*) AS total FROM past GROUP BY payer) AS paid
                      ON paid.payer = 'bench-' || n
               LEFT JOIN (SELECT payee, count(*) AS total FROM past GROUP BY payee) AS received
                      ON received.payee = 'bench-' || n
             UNION ALL SELECT 'sam', md5('sam')::uuid, 'customer', 'GBP', 0, 0
             UNION ALL SELECT 'bank:GBP', NULL, 'bank', 'GBP', $1::int * $2::bigint, 0`,
      values: [customersCount, openingBalance],
    },
    {
      text: `INSERT INTO transfers (id, debit_account_id, credit_account_id, currency, amount, state, created_at)
             SELECT md5('opening ' || n)::uuid, 'bank:GBP', 'bench-' || n, 'GBP', $2, 'posted',
                    now() - interval '72 hours'
               FROM generate_series(1, $1::int) AS n`,
      values: [customersCount, openingBalance],
    },
    {
      text: `INSERT INTO payments (customer_id, id, idempotency_key, from_account_id, to_account_id, currency, amount,
                                   rail, status, created_at, completed_at)
             SELECT customer_id, id, key, payer, payee, 'GBP', 1, 'ledger', 'succeeded', at, at FROM past`,
    },
    {
      text: `INSERT INTO transfers (id, customer_id, payment_id, debit_account_id, credit_account_id, currency, amount,
                                    state, created_at)
             SELECT id, customer_id, id, payer, payee, 'GBP', 1, 'posted', at FROM past`,
    },
    {
      text: `INSERT INTO idempotency_keys (customer_id, key, operation, fingerprint, fingerprint_version, params,
                                           recovery_point, attempt_id, response_status, response_body,
                                           created_at, finished_at, expires_at)
             SELECT customer_id, key, 'payment', sha256(convert_to(key, 'UTF8')), 1,
                    jsonb_build_object('from', payer, 'to', payee, 'amount', 1, 'currency', 'GBP',
                                       'rail', 'ledger', 'reference', NULL),
                    'finished', gen_random_uuid(), 200,
                    format('{"id":"%s","object":"payment","status":"succeeded","from":"%s","to":"%s","amount":1,'
                        || '"currency":"GBP","rail":"ledger","reference":null,"decline":null,'
                        || '"bank_transfer_id":null,"refunded":0,"idempotency_key":"%s","created_at":"%s",'
                        || '"completed_at":"%s"}', id, payer, payee, key, to_json(at)#>>'{}', to_json(at)#>>'{}'),
                    at, at, at + interval '72 hours'
               FROM past`,
    },
    { text: 'DROP TABLE past' },
  ];
}

/** Minor units: enough for a payment of 1 by the same customer every microsecond of a run. */
const openingBalance = 100_000_000;
