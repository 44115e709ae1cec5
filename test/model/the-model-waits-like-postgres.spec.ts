import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type QueryResult } from 'pg';
import {
  claimKeys,
  lockHeldKeys,
  readKeys,
  recordProgress,
  takeBackClaims,
} from '../../src/idempotency/claim.js';
import type { Held } from '../../src/idempotency/operation.js';
import { Engine } from '../../src/idempotency/run-operation.js';
import { takeOver, takeOverAbandoned, takeOverUnsent } from '../../src/idempotency/take-over.js';
import { takePayment } from '../../src/payments/take-payment.js';
import { Reaper } from '../../src/recovery/reaper.js';
import { Settings } from '../../src/settings.js';
import { createDatabase, type Database } from '../support/database.js';
import { comparable, unlike } from './compare.js';
import { dataSourceOver } from './data-source.js';
import { drawingFrom } from './draw.js';
import { execute, tableOf, type Reply, type Row, type Sent, type Store } from './store.js';

const customerId = randomUUID();
const settings = new Settings();
const historiesCount = Number(process.env.MODEL_HISTORIES ?? 250);
const stepsPerHistory = 20;
const names = ['one', 'other'] as const;

/** A statement that waits for the other transaction, on both sides. */
interface Waiting {
  readonly name: string;
  readonly sent: Sent;
  readonly answer: Promise<Reply>;
}

/**
 * Who waits for whom is where models of databases go wrong. Two transactions meet on the same keys, statement by
 * statement as the engine sends them: the store waits where PostgreSQL waits, skips what PostgreSQL skips, and goes on
 * with the same answer.
 */
describe('the locks of the model', () => {
  let database: Database;
  let clients: Record<string, Client>;
  let texts: Map<string, string>;

  beforeAll(async () => {
    database = await createDatabase();
    clients = Object.fromEntries(names.map(name => [name, new Client({ connectionString: database.url })]));
    for (const client of Object.values(clients)) await client.connect();
    texts = await collectTexts();
  });
  afterAll(async () => {
    for (const client of Object.values(clients)) await client.end();
    await database.drop();
  });

  it('keep waiting whom PostgreSQL keeps waiting', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= historiesCount; seed += 1) await oneHistory(seed, seen);
    expect(mustBeSeen.filter(each => !seen.has(each))).toEqual([]);
  }, 120_000);

  async function oneHistory(seed: number, seen: Set<string>): Promise<void> {
    const draw = drawingFrom(seed);
    let store: Store = { now: Date.now(), rows: {}, open: {} };
    let waiting = null as Waiting | null;
    const history: string[] = [];
    await database.sql('TRUNCATE idempotency_keys');

    for (let steps = 0; steps < stepsPerHistory || waiting; steps += 1) {
      const planted = seed % 3 > 0 ? plantedKey[steps] : undefined;
      const name: string = planted ? 'one' : waiting ? other(waiting.name) : one(draw, ...names);
      // Once the history is long enough, everybody comes to an end.
      const sent =
        steps < stepsPerHistory ? nextStatement(store, name, draw) : { name: 'commit', values: [] };
      const done = execute(store, name, sent);
      // Each would wait for the other: PostgreSQL would end one of them, the model has no deadlocks.
      if (!done && waiting) continue;
      history.push(`${name}: ${sent.name} ${JSON.stringify(sent.values.slice(0, 3))}${done ? '' : ' waits'}`);
      const answer = ask(name, sent);
      if (!done) {
        seen.add(`${sent.name} waits`);
        if (!(await isWaiting(name, answer))) throw new Error(told('PostgreSQL does not wait'));
        waiting = { name, sent, answer };
        continue;
      }
      ({ store } = done);
      await mustAgree(done.reply, { name, answer });

      const next = waiting && execute(store, waiting.name, waiting.sent);
      if (!next || !waiting) continue;
      history.push(`${waiting.name}: goes on`);
      ({ store } = next);
      await mustAgree(next.reply, waiting);
      waiting = null;
    }
    for (const name of names) {
      await ask(name, { name: 'rollback', values: [] });
      ({ store } = execute(store, name, { name: 'rollback', values: [] }) as { store: Store });
    }
    const rows = await database.sql<Row>('SELECT * FROM idempotency_keys ORDER BY key');
    const difference = unlike(
      comparable(rows, Date.now()),
      comparable(tableOf(store.rows, 'key'), store.now),
    );
    if (difference !== null) throw new Error(told(difference));

    function told(what: string): string {
      return `seed ${seed}: ${what}\n${history.join('\n')}`;
    }

    async function mustAgree(
      model: Reply,
      { name, answer }: Pick<Waiting, 'name' | 'answer'>,
    ): Promise<void> {
      if (!(await isAnsweredSoon(answer))) throw new Error(told(`PostgreSQL waits for ${name}`));
      const real = await answer;
      const inWords = ({ rows, rowCount, complaint }: Reply) => ({
        rows,
        changed: rowCount,
        code: complaint?.code,
      });
      const difference = unlike(comparable(inWords(real), Date.now()), comparable(inWords(model), store.now));
      if (difference !== null) throw new Error(told(difference));
      seen.add(
        real.complaint?.code ??
          `${history.at(-1)?.split(' ')[1] ?? ''} ${real.rowCount > 0 ? 'does' : 'does not'}`,
      );
    }
  }

  /** What PostgreSQL says, in the words of the store. */
  async function ask(name: string, { name: statement, values }: Sent): Promise<Reply> {
    const client = clients[name] as Client;
    try {
      if (statement === 'begin') await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
      const text =
        statement === 'begin' ? texts.get('beginning') : (texts.get(statement) ?? statement.toUpperCase());
      const result: QueryResult<Row> = await client.query({
        ...(texts.has(statement) && { name: statement }),
        text: text ?? '',
        values: statement === 'begin' ? ['0', '0'] : [...values],
      });
      const isControl = !texts.has(statement);
      return {
        command: result.command,
        rows: isControl ? [] : result.rows,
        rowCount: isControl ? 0 : (result.rowCount ?? 0),
      };
    } catch (error) {
      return { command: '', rows: [], rowCount: 0, complaint: { code: (error as { code: string }).code } };
    }
  }

  /** Somebody who was just set free may take a moment. */
  async function isAnsweredSoon(answer: Promise<Reply>): Promise<boolean> {
    const seen = { isAnswered: false };
    void answer.then(() => (seen.isAnswered = true));
    for (let looks = 0; looks < 1_000 && !seen.isAnswered; looks += 1) await sleep(looks > 5 ? 5 : 0);
    return seen.isAnswered;
  }

  /** Whether it waits for a lock, as the server sees it. */
  async function isWaiting(name: string, answer: Promise<Reply>): Promise<boolean> {
    const { processID } = clients[name] as unknown as { processID: number };
    const seen = { isAnswered: false };
    void answer.then(() => (seen.isAnswered = true));
    for (;;) {
      const [row] = await database.sql<{ waits: boolean }>(
        "SELECT wait_event_type IS NOT DISTINCT FROM 'Lock' AS waits FROM pg_stat_activity WHERE pid = $1",
        [processID],
      );
      await sleep(0);
      if (seen.isAnswered) return false;
      if (row?.waits) return true;
    }
  }
});

const mustBeSeen = [
  'claim_keys waits',
  'claim_keys does',
  'claim_keys does not',
  'close_key waits',
  'close_key does',
  'lock_held_keys waits',
  'lock_held_keys does',
  'lock_held_keys does not',
  'record_progress does',
  'record_progress does not',
  'take_over_keys does',
  'take_over_keys does not',
  'take_over_any_keys does',
  'take_over_unsent_key waits',
  'take_back_claims does',
  '23000',
  '25P02',
];

/** One statement of the engine's, about one of two keys, sensible or not. */
function nextStatement(store: Store, name: string, draw: () => number): Sent {
  if (!store.open[name]) return { name: 'begin', values: [] };
  const key = one(draw, 'k1', 'k1', 'k2');
  const epoch = one(draw, 1, 1, 2, 3);
  const owner = [[customerId], [key]];
  const attempt = one(draw, attemptOf('a'), attemptOf('b'));
  const progress = (point: string, lockedForMs: number | null) => ({
    name: 'record_progress',
    values: [...owner, [epoch], [point], ['{"payment_id":"x"}'], [draw() < 0.5], [lockedForMs], [null], [0]],
  });
  return one<Sent>(
    draw,
    { name: 'commit', values: [] },
    { name: 'commit', values: [] },
    { name: 'rollback', values: [] },
    claim(key, attempt),
    claim(key, attempt),
    { name: 'close_key', values: [customerId, key, attempt] },
    { name: 'read_keys', values: owner },
    { name: 'lock_held_keys', values: [...owner, [epoch]] },
    progress('funds_reserved', -1_000),
    progress('funds_reserved', -1_000),
    progress('transfer_sent', 60_000),
    progress('cancelled', null),
    { name: 'take_over_keys', values: [...owner, [attempt], 60_000] },
    { name: 'take_over_any_keys', values: [1, -1_000] },
    { name: 'take_over_unsent_key', values: [customerId, key, 60_000] },
    { name: 'take_over_unsent_key', values: [customerId, key, 60_000] },
    { name: 'take_over_unsent_key', values: [customerId, key, 60_000] },
    { name: 'take_back_claims', values: [...owner, [attempt]] },
    { name: 'delete_expired_keys', values: [10] },
  );
}

/** Most histories find a key that somebody has left at a recovery point, with nothing sent and a lease that is over. */
const plantedKey: readonly Sent[] = [
  { name: 'begin', values: [] },
  claim('k1', attemptOf('a')),
  {
    name: 'record_progress',
    values: [
      [customerId],
      ['k1'],
      [1],
      ['funds_reserved'],
      ['{"payment_id":"x"}'],
      [false],
      [-1_000],
      [null],
      [0],
    ],
  },
  { name: 'commit', values: [] },
];

function claim(key: string, attempt: string): Sent {
  return {
    name: 'claim_keys',
    values: [
      [customerId],
      [key],
      ['payment'],
      [Buffer.alloc(32)],
      ['{"a":1}'],
      [attempt],
      [null],
      1,
      600_000,
    ],
  };
}

function attemptOf(letter: string): string {
  return `00000000-0000-4000-8000-00000000000${letter}`;
}

function one<T>(draw: () => number, ...from: readonly T[]): T {
  return from[Math.floor(draw() * from.length)] as T;
}

function other(name: string): string {
  return name === 'one' ? 'other' : 'one';
}

/** The engine's statements are its own business. So it is asked for each once, by somebody who answers nothing. */
async function collectTexts(): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  const dataSource = dataSourceOver((_, { name, text }) => {
    if (text !== undefined) texts.set(name, text);
    return Promise.resolve({
      command: name.toUpperCase(),
      rows: name === 'beginning' ? [{ at: new Date() }] : [],
      rowCount: 0,
    });
  });
  const tx = dataSource.createQueryRunner().manager;
  const owner = { customerId, key: 'k1' };
  const attempt = {
    ...owner,
    id: attemptOf('a'),
    operation: takePayment,
    params: {},
    fingerprint: Buffer.alloc(32),
    windowMs: null,
  };
  const held: Held = {
    attempt: attempt,
    point: 'started',
    state: {},
    epoch: 1,
    attempts: 1,
    mayBeSent: true,
    ageMs: 0,
  };
  const progress = { ...owner, epoch: 1, point: 'started', state: {}, mayBeSent: true } as const;
  const bookkeeping = { open: () => Promise.resolve({}), close: () => Promise.resolve() };
  const engine = new Engine(dataSource, { operations: [], bookkeeping, outside: {} }, settings);
  await Promise.allSettled([
    claimKeys(tx, [held.attempt], 1),
    lockHeldKeys(tx, [held]),
    readKeys(tx, [owner]),
    recordProgress(tx, [{ ...progress, lockedForMs: null, parkedBecause: null, attemptsGivenBack: 0 }]),
    takeBackClaims(tx, [
      {
        claim: {
          attempt: held.attempt,
          keyToRemember: '',
          state: {},
          at: new Date(),
          expiresAt: new Date(),
        },
      },
    ]),
    takeOver(tx, [held.attempt], 1),
    takeOverAbandoned(dataSource, new Map(), { limit: 1, patience: settings }),
    takeOverUnsent(dataSource, new Map(), { owner, patience: settings }),
    new Reaper(dataSource, settings).runOnce(),
    engine.cancel(owner),
  ]);
  return texts;
}
