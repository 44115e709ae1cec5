import type { DataSource } from 'typeorm';
import type { BankAnswer } from '../../src/bank/bank.client.js';
import { createDataSource } from '../../src/data-source.js';
import { Engine } from '../../src/idempotency/run-operation.js';
import type { Held } from '../../src/idempotency/operation.js';
import { closeBooks, openBooks } from '../../src/ledger/books.js';
import { takePayment, type BankRail, type PaymentParams } from '../../src/payments/take-payment.js';
import { Reaper } from '../../src/recovery/reaper.js';
import { Settings } from '../../src/settings.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { dataSourceOver } from './data-source.js';
import { drawingFrom } from './draw.js';
import { comparable, unlike } from './compare.js';
import { execute, tableOf, type Row, type Store } from './store.js';

/** Far apart, so that a slow machine does not make one side see a lease end that the other still sees run. */
const settings: Settings = Object.assign(new Settings(), {
  leaseMs: 30_000,
  recoveryBackoffMs: 20_000,
  recoveryBackoffMaxMs: 80_000,
  outageBackoffMaxMs: 20_000,
  recoveryAttemptsMax: 3,
  answerRetentionMs: 120_000,
  fingerprintWindow: 60,
  answersCachedBytes: 0,
  duplicatesFlushMs: 1_000_000,
});

const jumpsMs = [47_000, 47_000, 47_000, 200_000];
const historiesCount = Number(process.env.MODEL_HISTORIES ?? 80);
const callsPerHistory = 20;

/** One side of the comparison: an engine, what is under it, and a way to look at that. */
interface Side {
  readonly engine: Engine;
  readonly dataSource: DataSource;
  /** Whom it took over and has not driven yet, or will drive too late. */
  readonly held: Held[];
  readonly pass: (ms: number) => Promise<void>;
  readonly look: () => Promise<{ now: number; rows: Record<string, object[]> }>;
  readonly clear: () => Promise<void>;
}

/**
 * The model is only as good as its store. So the same random history is told to two engines, one on PostgreSQL, one on
 * the store: after each call both have answered the same, and both hold the same rows.
 */
describe('the store of the model', () => {
  const { random } = Math;
  const clock = Date.now;
  let database: Database;
  let alice: Customer;
  let sides: [Side, Side];
  const bank: { pay: BankAnswer; settlement: BankAnswer } = {
    pay: settledBy('x'),
    settlement: settledBy('x'),
  };
  const outside: BankRail = {
    bank: { pay: () => Promise.resolve(bank.pay), settlement: () => Promise.resolve(bank.settlement) },
    bankMemoryMs: settings.bankMemoryMs,
  };
  const engineOn = (dataSource: DataSource) => {
    const bookkeeping = { open: openBooks, close: closeBooks };
    return new Engine(dataSource, { operations: [takePayment], bookkeeping, outside }, settings);
  };

  beforeAll(async () => {
    // Waits are jittered; here both sides have to draw the same.
    Math.random = () => 0.5;
    // Nothing that is decided may depend on this machine's clock: it is wrong by two hours.
    Date.now = () => clock() + 2 * 60 * 60 * 1_000;
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 10_000 });
    await database.addCustomer({ name: 'sam' });
    sides = [await onPostgres(), await onModel()];
  });
  afterAll(async () => {
    Object.assign(Math, { random });
    Date.now = clock;
    await sides[0].dataSource.destroy();
    await database.drop();
  });

  it('answers every history as PostgreSQL does, and holds the same rows', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= historiesCount; seed += 1) {
      const history: string[] = [];
      const draw = drawingFrom(seed);
      for (const side of sides) {
        side.held.splice(0);
        await side.clear();
      }
      for (let calls = 0; calls < callsPerHistory; calls += 1) {
        const { name, make } = nextCall(draw);
        history.push(name);
        const [real, model] = [await answerOf(sides[0], make), await answerOf(sides[1], make)];
        seen.add(`${name.split(/\W/)[0] ?? ''} ${kindOf(real)}`);
        const difference = unlike(real, model);
        if (difference !== null) throw new Error(`seed ${seed}: ${difference}\n${history.join('\n')}`);
      }
    }
    // A comparison of nothing with nothing would pass, too.
    expect(mustBeSeen.filter(each => !seen.has(each))).toEqual([]);
  }, 120_000);

  /** Draws one call with all it needs, so that both sides are told the same. */
  function nextCall(draw: () => number): { name: string; make: (side: Side) => Promise<unknown> } {
    const one = <T>(...from: readonly T[]) => from[Math.floor(draw() * from.length)] as T;
    const key = one('k1', 'k1', 'k2', null);
    const params: PaymentParams = {
      from: 'alice',
      to: 'sam',
      amount: one(100, 100, 100, 100, 9_950),
      currency: 'GBP',
      rail: one('bank', 'bank', 'bank', 'ledger'),
      reference: null,
    };
    const [paid, settlement, which] = [one(...answers), one(...answers), Math.floor(draw() * 2)];
    const says = `${paid.kind}, ${settlement.kind}`;
    const ms = one(...jumpsMs);
    const withBank = (work: () => Promise<unknown>) => {
      Object.assign(bank, { pay: paid, settlement });
      return work();
    };
    const owner = { customerId: alice.id, key: key ?? 'k1' };
    const pay = {
      name: `pay ${key} ${params.rail} ${params.amount}: ${says}`,
      make: ({ engine }: Side) =>
        withBank(() =>
          engine.run(
            takePayment,
            { customerId: alice.id, key },
            { params, patience: { firstMs: 9_000, repeatMs: 0 } },
          ),
        ),
    };
    const sweep = {
      name: `sweep: ${says}`,
      make: ({ engine }: Side) =>
        withBank(async () => {
          const taken = await engine.takeOver(5);
          const driven = await Promise.all(inOrder(taken).map(held => engine.drive(held)));
          return { kind: taken.length, driven };
        }),
    };
    // A key has to be taken over twice before its first holder comes too late. So these are more likely.
    const takeOver = {
      name: 'take over, and do nothing',
      make: async ({ engine, held }: Side) => {
        const taken = inOrder(await engine.takeOver(5));
        held.push(...taken);
        return {
          kind: taken.length,
          taken: taken.map(({ attempt, ...rest }) => ({ ...rest, key: attempt.key })),
        };
      },
    };
    const tooLate = {
      name: `late ${which}: ${says}`,
      make: ({ engine, held }: Side) =>
        withBank(async () => (held[which] ? engine.drive(held[which]) : { kind: 'nobody' })),
    };
    const wait = { name: `wait ${ms}`, make: ({ pass }: Side) => pass(ms) };
    return one(
      wait,
      wait,
      pay,
      pay,
      pay,
      pay,
      sweep,
      sweep,
      takeOver,
      takeOver,
      tooLate,
      tooLate,
      { name: `cancel ${owner.key}`, make: ({ engine }) => engine.cancel(owner) },
      {
        name: `look ${owner.key}`,
        make: async ({ engine }) => (await engine.lookAt(owner)) ?? { kind: 'nothing' },
      },
      { name: 'reap', make: async ({ dataSource }) => new Reaper(dataSource, settings).runOnce() },
    );
  }

  async function onPostgres(): Promise<Side> {
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    const { sql } = database;
    return {
      engine: engineOn(dataSource),
      dataSource,
      held: [],
      // The server's clock cannot be moved. Everything that it is compared with can.
      pass: async ms => {
        await sql(
          `
          UPDATE idempotency_keys
             SET locked_until = locked_until - $1 * interval '1 ms', created_at = created_at - $1 * interval '1 ms',
                 finished_at = finished_at - $1 * interval '1 ms', expires_at = expires_at - $1 * interval '1 ms'`,
          [ms],
        );
        await sql(
          `
          UPDATE payments SET created_at = created_at - $1 * interval '1 ms',
                              completed_at = completed_at - $1 * interval '1 ms'`,
          [ms],
        );
        await sql("UPDATE transfers SET created_at = created_at - $1 * interval '1 ms'", [ms]);
      },
      look: async () => {
        const [clock] = await sql<{ now: Date }>('SELECT clock_timestamp() AS now');
        const rows = {
          keys: await sql('SELECT * FROM idempotency_keys'),
          payments: await sql('SELECT * FROM payments'),
          transfers: await sql('SELECT * FROM transfers WHERE payment_id IS NOT NULL'),
          accounts: await sql('SELECT * FROM accounts'),
        };
        return { now: clock?.now.getTime() ?? NaN, rows };
      },
      clear: async () => {
        await sql('TRUNCATE idempotency_keys, payments, refunds, transfers');
        await sql('UPDATE accounts SET debits_pending = 0, debits_posted = 0, credits_posted = 10000');
      },
    };
  }

  async function onModel(): Promise<Side> {
    const accounts = await database.sql('SELECT * FROM accounts');
    const atFirst: Record<string, Row> = Object.fromEntries(
      accounts.map(row => [`account:${row.id as string}`, { ...row, ...empty } as object as Row]),
    );
    let store: Store = { now: Date.now(), rows: atFirst, open: {} };
    const dataSource = dataSourceOver((connection, sent) => {
      const done = execute(store, String(connection), sent);
      if (!done) throw new Error(`${sent.name} waits, and nobody else is there`);
      ({ store } = done);
      return Promise.resolve(done.reply);
    });
    return {
      engine: engineOn(dataSource),
      dataSource,
      held: [],
      pass: ms => {
        store = { ...store, now: store.now + ms };
        return Promise.resolve();
      },
      look: () => {
        const [keys, payments, transfers, all] = ['key', 'payment', 'transfer', 'account'].map(table =>
          tableOf(store.rows, table),
        ) as [Row[], Row[], Row[], Row[]];
        return Promise.resolve({ now: store.now, rows: { keys, payments, transfers, accounts: all } });
      },
      clear: () => {
        store = { ...store, now: Date.now(), rows: atFirst, open: {} };
        return Promise.resolve();
      },
    };
  }
});

const empty = { debits_pending: '0', debits_posted: '0', credits_posted: '10000' };

function settledBy(id: string): BankAnswer {
  return { kind: 'done', transfer: { id, status: 'settled' } };
}

const answers: readonly BankAnswer[] = [
  settledBy('bank-1'),
  { kind: 'done', transfer: { id: 'bank-1', status: 'accepted' } },
  { kind: 'done', transfer: { id: 'bank-1', status: 'accepted' } },
  { kind: 'done', transfer: { id: 'bank-1', status: 'returned' } },
  { kind: 'declined', code: 'no', message: 'No.' },
  { kind: 'not_sent', reason: 'nobody there' },
  { kind: 'not_sent', reason: 'nobody there' },
  { kind: 'unknown', reason: 'silence' },
  { kind: 'contradicted', reason: 'nonsense' },
];

const mustBeSeen = [
  'pay completed',
  'pay replayed',
  'pay collision',
  'pay in_progress',
  'pay pending',
  'pay cancelled',
  'sweep 0',
  'sweep 1',
  'take 1',
  'late fenced',
  'late completed',
  'cancel closed',
  'cancel in_progress',
  'cancel already_completed',
];

/** What a call comes to and what it leaves behind, in a form in which two sides can be compared. */
async function answerOf(side: Side, make: (side: Side) => Promise<unknown>): Promise<unknown> {
  const told = await make(side).catch((error: unknown) => ({ error: String(error) }));
  const { now, rows } = await side.look();
  return comparable(
    { told, rows: Object.entries(rows).map(([table, all]) => [table, sorted(all, rows)]) },
    now,
  );
}

/** In an order that both sides have: that of the keys under which things were done. */
function sorted(rows: readonly object[], { payments = [] }: Record<string, object[]>): object[] {
  const keyOf = (row: Partial<Row>): string => {
    const payment = row.payment_id && (payments as Row[]).find(({ id }) => id === row.payment_id);
    return payment ? payment.idempotency_key : String(row.key ?? row.idempotency_key ?? row.id);
  };
  return [...rows].sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
}

function kindOf(answer: unknown): string {
  const { told } = answer as { told?: { kind?: unknown; outcome?: { kind: string } } };
  return String(told?.outcome?.kind ?? told?.kind);
}

function inOrder(held: readonly Held[]): Held[] {
  return [...held].sort((one, other) => (one.attempt.key < other.attempt.key ? -1 : 1));
}
