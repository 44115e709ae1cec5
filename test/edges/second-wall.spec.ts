import { randomBytes, randomUUID } from 'node:crypto';
import { connect, createDatabase, type Customer, type Database, type Sql } from '../support/database.js';
import { countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';

type Row = Record<string, unknown>;

/** What the code promises, the database refuses to break: as if every check in the code were gone (S18, S19). */
describe('the database is the second wall', () => {
  let database: Database;
  let sql: Sql;
  let alice: Customer;
  let bob: Customer;

  beforeAll(async () => {
    database = await createDatabase();
    sql = database.sql;
    alice = await database.addCustomer({ name: 'alice', balance: 1_000 });
    bob = await database.addCustomer({ name: 'bob', balance: 1_000 });
    await database.addCustomer({ name: 'euro', currency: 'EUR', balance: 1_000 });
  });
  afterEach(() => expectNoLeaks(sql));
  afterAll(() => database.drop());

  const account = (members: Row = {}): Row => ({
    id: randomUUID(),
    customer_id: alice.id,
    currency: 'GBP',
    ...members,
  });
  const transfer = (members: Row = {}): Row => ({
    id: randomUUID(),
    debit_account_id: 'alice',
    credit_account_id: 'bob',
    currency: 'GBP',
    amount: 1,
    state: 'posted',
    created_at: new Date(),
    ...members,
  });
  const payment = (members: Row = {}): Row => ({
    id: randomUUID(),
    customer_id: alice.id,
    idempotency_key: randomUUID(),
    from_account_id: 'alice',
    to_account_id: 'bob',
    currency: 'GBP',
    amount: 1,
    rail: 'ledger',
    status: 'succeeded',
    created_at: new Date(),
    completed_at: new Date(),
    ...members,
  });
  const key = (members: Row = {}): Row => ({
    customer_id: alice.id,
    key: randomUUID(),
    operation: 'payment',
    fingerprint: randomBytes(32),
    fingerprint_version: 1,
    params: {},
    recovery_point: 'started',
    attempt_id: randomUUID(),
    locked_until: new Date(Date.now() + 60_000),
    created_at: new Date(),
    expires_at: new Date(),
    ...members,
  });
  const finished = (members: Row = {}): Row =>
    key({
      recovery_point: 'finished',
      locked_until: null,
      response_status: 200,
      response_body: '{}',
      finished_at: new Date(),
      ...members,
    });
  const refund = (paymentId: string, members: Row = {}): Row => ({
    id: randomUUID(),
    customer_id: alice.id,
    payment_id: paymentId,
    idempotency_key: randomUUID(),
    from_account_id: 'bob',
    to_account_id: 'alice',
    currency: 'GBP',
    amount: 1,
    rail: 'ledger',
    status: 'succeeded',
    created_at: new Date(),
    completed_at: new Date(),
    ...members,
  });
  const apiKey = (members: Row = {}): Row => ({
    hash: randomBytes(32),
    customer_id: alice.id,
    scopes: ['read'],
    ...members,
  });

  async function insert(table: string, row: Row, on: Sql = sql): Promise<void> {
    const names = Object.keys(row);
    const statement = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map((_, n) => `$${n + 1}`).join(', ')})`;
    await on(statement, Object.values(row));
  }

  /** The SQLSTATE and the constraint by which the database refuses; the first word says which kind it is. */
  async function refusalOf(write: Promise<unknown>): Promise<string> {
    const error = await write.then(
      () => ({}),
      (error: unknown) => error,
    );
    const { code, constraint, column } = error as Record<
      'code' | 'constraint' | 'column',
      string | undefined
    >;
    const kinds: Record<string, string> = {
      23502: 'null',
      23503: 'reference',
      23505: 'unique',
      23514: 'check',
    };
    return code === undefined ? 'nothing' : `${kinds[code] ?? code} ${constraint ?? column ?? ''}`.trim();
  }

  it('takes a row of each kind as long as nothing is wrong with it', async () => {
    await insert('accounts', account());
    await insert('accounts', { id: randomUUID(), kind: 'bank', currency: 'GBP', debits_posted: 1_000 });
    await insert('transfers', transfer());
    await insert('payments', payment());
    await insert('payments', payment({ status: 'declined', decline_code: 'x', decline_message: 'x' }));
    await insert('payments', payment({ status: 'pending', completed_at: null }));
    await insert('idempotency_keys', key());
    await insert('idempotency_keys', finished());
    await insert('api_keys', apiKey());
    await sql("DELETE FROM transfers WHERE debit_account_id = 'alice'");
  });

  it.each<[string, string, () => Promise<unknown>]>([
    // Accounts
    [
      'a balance below zero',
      'check available_is_never_negative',
      () => sql("UPDATE accounts SET debits_posted = 1001 WHERE id = 'alice'"),
    ],
    [
      'promises beyond the balance',
      'check available_is_never_negative',
      () => sql("UPDATE accounts SET debits_pending = 1001 WHERE id = 'alice'"),
    ],
    [
      'a new account in the red',
      'check available_is_never_negative',
      () => insert('accounts', account({ debits_posted: 1 })),
    ],
    [
      'negative debits',
      'check accounts_debits_posted_check',
      () => insert('accounts', account({ debits_posted: -1 })),
    ],
    [
      'negative credits',
      'check accounts_credits_posted_check',
      () => insert('accounts', account({ credits_posted: -1, debits_posted: -1 })),
    ],
    [
      'negative promises',
      'check accounts_debits_pending_check',
      () => insert('accounts', account({ debits_pending: -1 })),
    ],
    [
      'an account of nobody',
      'check bank_accounts_belong_to_nobody',
      () => insert('accounts', account({ customer_id: null })),
    ],
    [
      'a bank account of somebody',
      'check bank_accounts_belong_to_nobody',
      () => insert('accounts', account({ kind: 'bank' })),
    ],
    [
      'an account of an unknown customer',
      'reference accounts_customer_id_fkey',
      () => insert('accounts', account({ customer_id: randomUUID() })),
    ],
    [
      'an account of another kind',
      'check accounts_kind_check',
      () => insert('accounts', account({ kind: 'loan' })),
    ],
    [
      'a currency in small letters',
      'check accounts_currency_check',
      () => insert('accounts', account({ currency: 'gbp' })),
    ],
    ['two accounts of one name', 'unique accounts_pkey', () => insert('accounts', account({ id: 'alice' }))],
    ['an account without a name', 'check accounts_id_check', () => insert('accounts', account({ id: '' }))],
    [
      'an account with a very long name',
      'check accounts_id_check',
      () => insert('accounts', account({ id: 'a'.repeat(65) })),
    ],
    // Transfers
    [
      'a transfer of nothing',
      'check transfers_amount_check',
      () => insert('transfers', transfer({ amount: 0 })),
    ],
    [
      'a transfer backwards',
      'check transfers_amount_check',
      () => insert('transfers', transfer({ amount: -1 })),
    ],
    [
      'a transfer to oneself',
      'check two_accounts',
      () => insert('transfers', transfer({ credit_account_id: 'alice' })),
    ],
    [
      'a transfer into another currency',
      'reference credit_in_the_same_currency',
      () => insert('transfers', transfer({ credit_account_id: 'euro' })),
    ],
    [
      'a transfer out of another currency',
      'reference debit_in_the_same_currency',
      () => insert('transfers', transfer({ debit_account_id: 'euro' })),
    ],
    [
      'a transfer in a currency of neither',
      'reference',
      () => insert('transfers', transfer({ currency: 'EUR' })),
    ],
    [
      'a transfer from nowhere',
      'reference debit_in_the_same_currency',
      () => insert('transfers', transfer({ debit_account_id: 'nobody' })),
    ],
    [
      'a transfer for a payment that is not there',
      'reference transfers_of_a_payment',
      () => insert('transfers', transfer({ customer_id: alice.id, payment_id: randomUUID() })),
    ],
    [
      'a transfer in an unknown state',
      'check transfers_state_check',
      () => insert('transfers', transfer({ state: 'lost' })),
    ],
    [
      'an amount past what a bigint holds',
      '22003',
      () => insert('transfers', transfer({ amount: '9223372036854775808' })),
    ],
    // Payments
    ['a payment of nothing', 'check payments_amount_check', () => insert('payments', payment({ amount: 0 }))],
    [
      'a payment of less than nothing',
      'check payments_amount_check',
      () => insert('payments', payment({ amount: -1 })),
    ],
    [
      'a payment from another customer’s account',
      'reference paid_from_own_account',
      () => insert('payments', payment({ from_account_id: 'bob' })),
    ],
    [
      'a payment from an account that is not there',
      'reference paid_from_own_account',
      () => insert('payments', payment({ from_account_id: 'nobody' })),
    ],
    [
      'a payment without its key',
      'null idempotency_key',
      () => insert('payments', payment({ idempotency_key: null })),
    ],
    ['more refunded than paid', 'check payments_check', () => insert('payments', payment({ refunded: 2 }))],
    [
      'less than nothing refunded',
      'check payments_check',
      () => insert('payments', payment({ refunded: -1 })),
    ],
    [
      'a decline without a reason',
      'check declined_with_a_reason',
      () => insert('payments', payment({ status: 'declined' })),
    ],
    [
      'a reason without a decline',
      'check declined_with_a_reason',
      () => insert('payments', payment({ decline_code: 'x', decline_message: 'x' })),
    ],
    [
      'a reason without words',
      'check declined_in_words',
      () => insert('payments', payment({ status: 'declined', decline_code: 'x' })),
    ],
    [
      'a payment that is done and has no end',
      'check completed_unless_pending',
      () => insert('payments', payment({ completed_at: null })),
    ],
    [
      'a payment that is pending and has one',
      'check completed_unless_pending',
      () => insert('payments', payment({ status: 'pending' })),
    ],
    [
      'a payment in an unknown state',
      'check payments_status_check',
      () => insert('payments', payment({ status: 'maybe' })),
    ],
    [
      'a payment on an unknown rail',
      'check payments_rail_check',
      () => insert('payments', payment({ rail: 'pigeon' })),
    ],
    [
      'a reference of 141 characters',
      'check payments_reference_check',
      () => insert('payments', payment({ reference: 'é'.repeat(141) })),
    ],
    // Keys
    [
      'a key that is finished and has no answer',
      'check finished_means_answered',
      () =>
        insert(
          'idempotency_keys',
          finished({ response_status: null, response_body: null, finished_at: null }),
        ),
    ],
    [
      'an answer without its bytes',
      'check finished_means_answered',
      () => insert('idempotency_keys', finished({ response_body: null })),
    ],
    [
      'an answer without its time',
      'check finished_means_answered',
      () => insert('idempotency_keys', finished({ finished_at: null })),
    ],
    [
      'an answer to a key that is not finished',
      'check finished_means_answered',
      () =>
        insert(
          'idempotency_keys',
          key({ response_status: 200, response_body: '{}', finished_at: new Date() }),
        ),
    ],
    [
      'an outage as an answer',
      'check idempotency_keys_response_status_check',
      () => insert('idempotency_keys', finished({ response_status: 503 })),
    ],
    [
      'a refusal as an answer',
      'check idempotency_keys_response_status_check',
      () => insert('idempotency_keys', finished({ response_status: 422 })),
    ],
    [
      'an answer of more than 64 KiB',
      'check idempotency_keys_response_body_check',
      () => insert('idempotency_keys', finished({ response_body: 'x'.repeat(65_537) })),
    ],
    [
      'a lease on a finished key',
      'check ended_means_unlocked',
      () => insert('idempotency_keys', finished({ locked_until: new Date() })),
    ],
    [
      'a lease on a cancelled key',
      'check ended_means_unlocked',
      () => insert('idempotency_keys', key({ recovery_point: 'cancelled' })),
    ],
    [
      'a lease on a parked key',
      'check parked_means_unlocked',
      () => insert('idempotency_keys', key({ parked_because: 'nobody knows' })),
    ],
    [
      'a finished key that is parked',
      'check parked_means_unlocked',
      () => insert('idempotency_keys', finished({ parked_because: 'nobody knows' })),
    ],
    ...['operation', 'fingerprint', 'fingerprint_version', 'params'].map(
      name =>
        [
          `a key in use without ${name}`,
          'check only_a_cancelled_key_has_no_request',
          () => insert('idempotency_keys', key({ [name]: null })),
        ] as [string, string, () => Promise<void>],
    ),
    [
      'an unknown recovery point',
      'check idempotency_keys_recovery_point_check',
      () => insert('idempotency_keys', key({ recovery_point: 'halfway' })),
    ],
    [
      'a fingerprint of 31 bytes',
      'check idempotency_keys_fingerprint_check',
      () => insert('idempotency_keys', key({ fingerprint: randomBytes(31) })),
    ],
    [
      'a fingerprint of 33 bytes',
      'check idempotency_keys_fingerprint_check',
      () => insert('idempotency_keys', key({ fingerprint: randomBytes(33) })),
    ],
    ['an empty key', 'check idempotency_keys_key_check', () => insert('idempotency_keys', key({ key: '' }))],
    [
      'a key of 256 characters',
      'check idempotency_keys_key_check',
      () => insert('idempotency_keys', key({ key: 'k'.repeat(256) })),
    ],
    [
      'an epoch of zero',
      'check idempotency_keys_epoch_check',
      () => insert('idempotency_keys', key({ epoch: 0 })),
    ],
    [
      'no attempts at all',
      'check idempotency_keys_attempts_check',
      () => insert('idempotency_keys', key({ attempts: 0 })),
    ],
    [
      'a key of no customer',
      'null customer_id',
      () => insert('idempotency_keys', key({ customer_id: null })),
    ],
    // Refunds
    [
      'a refund of a payment of nobody',
      'reference refund_of_a_payment',
      () => insert('refunds', refund(randomUUID())),
    ],
    [
      'a refund of nothing',
      'check refunds_amount_check',
      () => insert('refunds', refund(randomUUID(), { amount: 0 })),
    ],
    [
      'a refund that is declined without a reason',
      'check refund_declined_with_a_reason',
      () => insert('refunds', refund(randomUUID(), { status: 'declined' })),
    ],
    [
      'a refund that is declined without a word',
      'check refund_declined_in_words',
      () =>
        insert('refunds', refund(randomUUID(), { status: 'declined', decline_code: 'insufficient_funds' })),
    ],
    // Callers
    [
      'an API key in clear',
      'check api_keys_hash_check',
      () => insert('api_keys', apiKey({ hash: Buffer.from('sk_demo_alice') })),
    ],
    [
      'an API key of nobody',
      'reference api_keys_customer_id_fkey',
      () => insert('api_keys', apiKey({ customer_id: randomUUID() })),
    ],
    [
      'a scope that does not exist',
      'check api_keys_scopes_check',
      () => insert('api_keys', apiKey({ scopes: ['read', 'admin'] })),
    ],
    [
      'two customers of one name',
      'unique customers_name_key',
      () => insert('customers', { id: randomUUID(), name: 'alice' }),
    ],
  ])('refuses %s', async (_, refusal, write) => {
    const before = await countRows(sql);
    expect(await refusalOf(write())).toMatch(new RegExp(`^${refusal}`));
    expect(await countRows(sql)).toEqual(before);
  });

  it('refuses two payments with one key, for ever: also when the key’s own row is gone', async () => {
    const one = payment();
    await insert('payments', one);
    const two = payment({ idempotency_key: one['idempotency_key'] });
    expect(await refusalOf(insert('payments', two))).toBe('unique payments_remember_their_key');
    // The same key is another customer's own.
    await insert('payments', { ...two, customer_id: bob.id, from_account_id: 'bob', to_account_id: 'alice' });
  });

  it('refuses a second claim of a key, and takes the same key of another customer', async () => {
    const first = key();
    await insert('idempotency_keys', first);
    expect(await refusalOf(insert('idempotency_keys', key({ key: first['key'] })))).toBe(
      'unique idempotency_keys_pkey',
    );
    await insert('idempotency_keys', key({ key: first['key'], customer_id: bob.id }));
  });

  it('refuses a payment under the key of a refund, and the other way round: one key, one operation', async () => {
    const paid = payment();
    const given = refund(String(paid['id']));
    await insert('payments', paid);
    await insert('refunds', given);
    const sameKey = { idempotency_key: given['idempotency_key'] };
    expect(await refusalOf(insert('payments', payment(sameKey)))).toBe('unique refunds_remember_their_key');
    expect(await refusalOf(insert('refunds', refund(String(paid['id']), sameKey)))).toBe(
      'unique refunds_remember_their_key',
    );
    const paymentsKey = { idempotency_key: paid['idempotency_key'] };
    expect(await refusalOf(insert('refunds', refund(String(paid['id']), paymentsKey)))).toBe(
      'unique payments_remember_their_key',
    );
    // Another customer's key of the same name is another key.
    const bobs = { customer_id: bob.id, from_account_id: 'bob', to_account_id: 'alice' };
    await insert('payments', payment({ ...bobs, ...sameKey }));
  });

  it('refuses to refund more of a payment than was paid', async () => {
    const paid = payment({ amount: 100 });
    await insert('payments', paid);
    const write = (refunded: number) =>
      sql('UPDATE payments SET refunded = $2 WHERE id = $1', [paid['id'], refunded]);
    await write(100);
    expect(await refusalOf(write(101))).toMatch(/^check payments/);
    expect(await refusalOf(write(-1))).toMatch(/^check payments/);
  });

  it('takes a cancelled key that belongs to no request', async () => {
    const nothing = { operation: null, fingerprint: null, fingerprint_version: null, params: null };
    await insert('idempotency_keys', key({ recovery_point: 'cancelled', locked_until: null, ...nothing }));
  });

  it.each(['started', 'funds_reserved', 'transfer_sent', 'cancelled'])(
    'refuses to forget a key that stands at %s',
    async point => {
      const unfinished = key({ recovery_point: point, ...(point === 'cancelled' && { locked_until: null }) });
      await insert('idempotency_keys', unfinished);
      const { sql: another, end } = await connect(database.url);
      expect(
        await refusalOf(another('DELETE FROM idempotency_keys WHERE key = $1', [unfinished['key']])),
      ).toBe('23000');
      expect(
        await another('SELECT 1 FROM idempotency_keys WHERE key = $1', [unfinished['key']]),
      ).toHaveLength(1);
      await end();
    },
  );

  it('lets the transaction that claimed a key take it back, and nobody after it', async () => {
    const { sql: one, end } = await connect(database.url);
    const claimed = key();
    await one('BEGIN');
    await insert('idempotency_keys', claimed, one);
    await one('DELETE FROM idempotency_keys WHERE key = $1', [claimed['key']]);
    await one('COMMIT');
    expect(await one('SELECT 1 FROM idempotency_keys WHERE key = $1', [claimed['key']])).toEqual([]);

    await insert('idempotency_keys', claimed, one);
    expect(await refusalOf(one('DELETE FROM idempotency_keys WHERE key = $1', [claimed['key']]))).toBe(
      '23000',
    );
    await end();
  });

  it('lets finished keys go when their time is over', async () => {
    const old = finished();
    await insert('idempotency_keys', old);
    expect(await sql('DELETE FROM idempotency_keys WHERE key = $1 RETURNING 1', [old['key']])).toHaveLength(
      1,
    );
  });

  it('refuses to delete what money has moved for: a customer, an account, a payment', async () => {
    const paid = payment();
    await insert('payments', paid);
    await insert('transfers', transfer({ customer_id: alice.id, payment_id: paid['id'] }));
    expect(await refusalOf(sql('DELETE FROM payments WHERE id = $1', [paid['id']]))).toBe(
      'reference transfers_of_a_payment',
    );
    expect(await refusalOf(sql("DELETE FROM accounts WHERE id = 'alice'"))).toMatch(/^reference/);
    expect(await refusalOf(sql('DELETE FROM customers WHERE id = $1', [alice.id]))).toMatch(/^reference/);
  });
});
