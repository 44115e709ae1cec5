import { startApi, startWorker } from '../support/api-process.js';
import { createDatabase, type Customer, type Sql } from '../support/database.js';
import { call } from '../support/http.js';
import { checkMoney } from '../support/invariants.js';
import { quick, setUpBankScene } from '../promises/bank-scene.js';
import { abandonPayments, numbered } from './abandoned.js';

/** In an order that foreign keys allow. */
const tables = [
  'customers',
  'api_keys',
  'accounts',
  'payments',
  'refunds',
  'transfers',
  'idempotency_keys',
  'bank_bookings',
];

interface Reconciled {
  differencesFound: number;
  differences: { kind: string; reference: string }[];
}

/**
 * The database is lost, and what comes back is an hour old. The bank's books are not: they know of every payment that
 * ours have forgotten (F47).
 *
 * What is not promised: a caller who repeats a forgotten payment makes a new one. No key of ours can tell. It is not
 * done silently, though: each forgotten payment has been named by then.
 */
describe('a restored backup is found out', () => {
  const scene = setUpBankScene({ isHonest: false });

  it('F47: each forgotten payment is named, and nothing is charged again by anybody here', async () => {
    const api = await scene.start({ env: { WORKERS: 'elsewhere' } });
    const kept = numbered('kept', 3);
    const lost = numbered('lost', 5);
    for (const key of kept) expect((await scene.payUntilAnswered(api, key)).status).toBe(200);
    // Under way at that moment: the bank was asked, or was certainly not; and both were paid before the disaster.
    const underway = await abandonPayments(scene.sql, scene.alice, ['asked', 'unasked'], { leaseMs: 1_000 });
    await scene.sql("UPDATE idempotency_keys SET may_be_sent = false WHERE key = 'unasked'");
    const backup = await readAll(scene.sql);

    for (const key of [...lost, 'asked', 'unasked']) {
      expect((await scene.payUntilAnswered(api, key)).status).toBe(200);
    }
    await api.kill();
    const lostIds = await Promise.all(lost.map(async key => (await scene.paymentOf(key)).id));
    const chargesBefore = await countCharges();
    expect(chargesBefore).toBe(kept.length + lost.length + 2);

    const restored = await createDatabase();
    await writeAll(restored.sql, backup);
    const env = { ...quick, ...scene.bank.env, WORKERS: 'elsewhere' };
    const completer = startWorker({ databaseUrl: restored.url, env, args: ['completer'] });
    await untilAllHaveEnded(restored.sql);
    await completer.kill();
    const named = await reconcile(restored.url, env);
    expect(named.differences.map(({ kind, reference }) => `${kind} ${reference}`).sort()).toEqual(
      lostIds.map(id => `unknown_to_us ${id}`).sort(),
    );
    // What was under way was asked for under its old reference, and found.
    expect(await countCharges()).toBe(chargesBefore);
    for (const id of underway.values()) {
      const [payment] = await restored.sql('SELECT status FROM payments WHERE id = $1', [id]);
      expect([payment, (await scene.bank.charges(id)).length]).toEqual([{ status: 'succeeded' }, 1]);
    }

    // A caller comes back for one of the forgotten: it pays again, and the first one stays named for a person.
    const again = await startApi({ databaseUrl: restored.url, env });
    const repeat = await payAgain(again, scene.alice, 'lost-0');
    expect(repeat.status).toBe(200);
    expect((await payAgain(again, scene.alice, 'kept-0')).headers.get('idempotent-replayed')).toBe('true');
    await again.kill();
    const after = await reconcile(restored.url, env);
    expect(after.differences).toEqual(named.differences);
    expect(await countCharges()).toBe(chargesBefore + 1);
    expect(await checkMoney(restored.sql)).toEqual([]);
    await restored.drop();
  }, 90_000);

  async function countCharges(): Promise<number> {
    const answer = await call(`${scene.bank.url}/transfers?since=0`, { apiKey: scene.bank.env.BANK_API_KEY });
    const bookings = answer.json?.bookings as { kind: string }[];
    return bookings.filter(({ kind }) => kind === 'charge').length;
  }
});

/** A base backup: every row, as of one moment. */
async function readAll(sql: Sql): Promise<string> {
  const parts = tables.map(
    table => `'${table}', (SELECT coalesce(jsonb_agg(row), '[]') FROM ${table} AS row)`,
  );
  const [row] = await sql<{ rows: string }>(`SELECT jsonb_build_object(${parts.join(', ')})::text AS rows`);
  return row?.rows ?? '{}';
}

async function writeAll(sql: Sql, rows: string): Promise<void> {
  for (const table of tables) {
    await sql(
      `INSERT INTO ${table} SELECT * FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb->'${table}')`,
      [rows],
    );
  }
}

async function reconcile(databaseUrl: string, env: Record<string, string>): Promise<Reconciled> {
  const worker = startWorker({ databaseUrl, env, args: ['reconciler', '--once', '--json'] });
  // There are differences: that is what its exit code is for.
  expect(await worker.exited).toEqual({ code: 3, signal: null });
  return (JSON.parse(worker.stdout()) as { reconciler: Reconciled }).reconciler;
}

async function untilAllHaveEnded(sql: Sql): Promise<void> {
  for (let looks = 0; looks < 400; looks += 1) {
    const left = await sql(
      "SELECT FROM idempotency_keys WHERE recovery_point NOT IN ('finished', 'cancelled')",
    );
    if (left.length === 0) return;
    await new Promise(resolve => setTimeout(resolve, 25));
  }
  throw new Error('what was restored never came to its end');
}

function payAgain(api: { url: string }, payer: Customer, key: string) {
  return call(`${api.url}/payments`, {
    apiKey: payer.apiKey,
    key,
    body: { to: 'sam', amount: 100, currency: 'GBP', rail: 'bank' },
  });
}
