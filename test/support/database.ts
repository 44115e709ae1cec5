import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Client, Pool, TypeOverrides, escapeIdentifier, types, type QueryResultRow } from 'pg';

/** The test's own eyes: plain SQL on connections that the code under test never sees. */
export type Sql = <R extends QueryResultRow = Record<string, unknown>>(
  text: string,
  params?: unknown[],
) => Promise<R[]>;

export interface Customer {
  id: string;
  name: string;
  apiKey: string;
  accountId: string;
}

export interface NewCustomer {
  /** Also the id of the account, as in the demo. */
  name: string;
  /** In minor units; it came from `bank:GBP`, as a posted transfer. */
  balance?: number;
  currency?: string;
  scopes?: ('read' | 'pay')[];
}

export interface PlantedKey {
  customerId: string;
  key: string;
  operation?: string;
  params?: object;
  /** The canonical document that is hashed, written out by hand. By default, one that no request has. */
  fingerprintOf?: string;
  fingerprintVersion?: number;
  recoveryPoint?: 'started' | 'funds_reserved' | 'transfer_sent' | 'finished';
  state?: object;
  attemptId?: string;
  epoch?: number;
  attempts?: number;
  /** What is left of the lease by the database's clock: below 0 it has run out, null is no lease at all. */
  leaseMs?: number | null;
  /** Makes the recovery point `finished`. */
  answer?: { status: 200 | 402; body: string };
  ageMs?: number;
  expiresInMs?: number;
}

export interface Database {
  name: string;
  url: string;
  sql: Sql;
  addCustomer: (customer: NewCustomer) => Promise<Customer>;
  insertKeyRow: (key: PlantedKey) => Promise<void>;
  drop: () => Promise<void>;
}

let clones = 0;

/** A database of the suite's own, cloned from the migrated template: real constraints, some 50 ms. */
export async function createDatabase(): Promise<Database> {
  const serverUrl = setByGlobalSetup('TEST_SERVER_URL');
  const template = setByGlobalSetup('TEST_TEMPLATE');
  const name = `${template}_${process.pid}_${++clones}_${randomBytes(3).toString('hex')}`;
  await asAdmin(
    serverUrl,
    'CREATE DATABASE ' + escapeIdentifier(name) + ' TEMPLATE ' + escapeIdentifier(template),
  );

  const url = Object.assign(new URL(serverUrl), { pathname: name }).href;
  const pool = new Pool({ connectionString: url, max: 5, types: readableTypes });
  // A test may kill the server or its connections. The next statement then says so; an event would end Jest.
  pool.on('error', () => undefined);
  const sql = sqlOn(pool);

  return {
    name,
    url,
    sql,
    addCustomer: customer => addCustomer(sql, customer),
    insertKeyRow: key => insertKeyRow(sql, key),
    drop: async () => {
      await pool.end();
      await asAdmin(serverUrl, 'DROP DATABASE ' + escapeIdentifier(name) + ' WITH (FORCE)');
    },
  };
}

/** Plain SQL on one connection of the test's own, for what must not share a pool. */
export async function connect(url: string): Promise<{ sql: Sql; end: () => Promise<void> }> {
  const client = new Client({ connectionString: url, types: readableTypes });
  client.on('error', () => undefined);
  await client.connect();
  return { sql: sqlOn(client), end: () => client.end() };
}

function sqlOn(connection: Pool | Client): Sql {
  return async <R extends QueryResultRow>(text: string, params?: unknown[]) =>
    (await connection.query<R>(text, params)).rows;
}

/** Counts and amounts as numbers, so that tests can say `toBe(1)`; past what a number holds, an error. */
const readableTypes = new TypeOverrides();
readableTypes.setTypeParser(types.builtins.INT8, exactNumber);

function exactNumber(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new Error(`${text} does not fit a number; select it as text`);
  return number;
}

/** One statement, so that no watcher sees a balance without its transfer. */
async function addCustomer(sql: Sql, customer: NewCustomer): Promise<Customer> {
  const { name, balance = 0, currency = 'GBP', scopes = ['read', 'pay'] } = customer;
  const id = randomUUID();
  const apiKey = 'sk_test_' + randomBytes(18).toString('base64url');
  await sql(
    `WITH
       customer AS (INSERT INTO customers (id, name) VALUES ($1, $2)),
       api_key AS (INSERT INTO api_keys (hash, customer_id, scopes) VALUES ($3, $1, $4)),
       account AS (
         INSERT INTO accounts (id, customer_id, currency, credits_posted) VALUES ($2, $1, $5, $6)),
       bank AS (
         INSERT INTO accounts (id, kind, currency, debits_posted) VALUES ('bank:' || $5, 'bank', $5, $6)
         ON CONFLICT (id) DO UPDATE SET debits_posted = accounts.debits_posted + excluded.debits_posted)
     INSERT INTO transfers (id, debit_account_id, credit_account_id, currency, amount, state, created_at)
     SELECT $7, 'bank:' || $5, $2, $5, $6, 'posted', now() WHERE $6 > 0`,
    [id, name, sha256(apiKey), scopes, currency, balance, openingId()],
  );
  return { id, name, apiKey, accountId: name };
}

/** A UUIDv7 of the year 2024: older than every payment, where lists go by id. */
function openingId(): string {
  return `018cc251-f400-7000-8000-${randomBytes(6).toString('hex')}`;
}

/** A key at any point of its life, as if a process had died there. */
async function insertKeyRow(sql: Sql, planted: PlantedKey): Promise<void> {
  const { answer, leaseMs = answer ? null : 30_000, ageMs = 0, expiresInMs = 86_400_000 } = planted;
  await sql(
    `INSERT INTO idempotency_keys (
       customer_id, key, operation, fingerprint, fingerprint_version, params, recovery_point, state,
       attempt_id, epoch, attempts, locked_until, response_status, response_body,
       created_at, finished_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, now() + $12 * interval '1 ms', $13::smallint, $14,
       now() - $15 * interval '1 ms', CASE WHEN $13 IS NOT NULL THEN now() END, now() + $16 * interval '1 ms')`,
    [
      planted.customerId,
      planted.key,
      planted.operation ?? 'payment',
      sha256(planted.fingerprintOf ?? randomUUID()),
      planted.fingerprintVersion ?? 1,
      planted.params ?? {},
      planted.recoveryPoint ?? (answer ? 'finished' : 'started'),
      planted.state,
      planted.attemptId ?? randomUUID(),
      planted.epoch ?? 1,
      planted.attempts ?? 1,
      leaseMs,
      answer?.status,
      answer?.body,
      ageMs,
      expiresInMs,
    ],
  );
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The name of a database cannot travel as a parameter; ours are made of letters, digits and underscores. */
async function asAdmin(serverUrl: string, statement: string): Promise<void> {
  const admin = new Client({ connectionString: serverUrl });
  await admin.connect();
  await admin.query(statement).finally(() => admin.end());
}

function setByGlobalSetup(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with npm test, which starts the server`);
  return value;
}
