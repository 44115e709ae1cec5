import { setImmediate as nextTurn } from 'node:timers/promises';
import type {
  Attempt,
  Claim,
  Decision,
  Held,
  Operation,
  Owner,
  Params,
  Recalled,
} from '../../src/idempotency/operation.js';
import { Engine } from '../../src/idempotency/run-operation.js';
import { Settings } from '../../src/settings.js';
import { dataSourceOver } from './data-source.js';
import { dropConnections, execute, type Reply, type Row, type Sent, type Store } from './store.js';

export const customerId = '00000000-0000-4000-8000-00000000a11c';
export const owner = (key: string): Owner => ({ customerId, key });

/** Small where a test would wait, and otherwise as they may be anywhere. */
export const settings: Settings = Object.assign(new Settings(), {
  leaseMs: 30_000,
  answerRetentionMs: 120_000,
  recoveryAttemptsMax: 5,
  batchRepeatsMax: 2,
  duplicatesFlushMs: 60_000,
  closedKeysPerCustomerMax: 3,
  fingerprintWindow: 60,
  callerWaitMs: 0,
  shutdownGraceMs: 40,
  inFlightMax: 100,
});

/** What goes wrong with a statement: it never arrives, or its answer does not. */
export type Trouble = 'before' | 'after' | Error | undefined;

/** The model's database, held in the hand: its clock moves when a test says so. */
export class ModelDatabase {
  readonly sent: string[] = [];
  trouble: (sent: Sent) => Trouble = () => undefined;
  private store: Store = { now: Date.UTC(2026, 0, 1), rows: {}, open: {} };
  private readonly lines = new Map<number, Promise<unknown>>();
  readonly dataSource = dataSourceOver((connection, sent) => this.send(connection, sent));

  get now(): number {
    return this.store.now;
  }

  pass(ms: number): void {
    this.store = { ...this.store, now: this.store.now + ms };
  }

  row(key: string): Row | undefined {
    return this.store.rows[`key:${customerId}/${key}`];
  }

  /** Writes over a key's row, or takes it away: `null`. */
  put(key: string, members: Partial<Row> | null): void {
    const { [`key:${customerId}/${key}`]: row, ...others } = this.store.rows;
    const changed = members && { [`key:${customerId}/${key}`]: { ...row, ...members } as Row };
    this.store = { ...this.store, rows: { ...others, ...changed } };
  }

  /** Statements on one connection are answered in turn, as PostgreSQL does. */
  private send(connection: number, sent: Sent): Promise<Reply> {
    this.sent.push(sent.name);
    const before = this.lines.get(connection) ?? Promise.resolve();
    const reply = before.then(() => this.answer(connection, sent));
    this.lines.set(
      connection,
      reply.catch(() => undefined),
    );
    return reply;
  }

  private async answer(connection: number, sent: Sent): Promise<Reply> {
    const trouble = this.trouble(sent);
    if (trouble === 'before') this.lose(connection);
    if (trouble instanceof Error) throw trouble;
    for (let turns = 0; turns < 1_000; turns += 1) {
      const done = execute(this.store, String(connection), sent);
      if (done) {
        this.store = done.store;
        if (trouble === 'after') this.lose(connection);
        return done.reply;
      }
      await nextTurn();
    }
    throw new Error(`${sent.name} waits for ever`);
  }

  private lose(connection: number): never {
    this.store = dropConnections(this.store, each => each === String(connection));
    throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
  }
}

/** What an operation does at each of its points. */
export interface Script {
  readonly name?: string;
  readonly started?: (claim: Claim) => Decision;
  readonly call?: (held: Held, signal: AbortSignal) => Promise<unknown>;
  readonly record?: (claim: Claim, result: unknown) => Decision;
  readonly cancel?: ((claim: Claim) => Decision) | null;
  readonly reachesOut?: boolean;
  readonly interim?: () => Promise<string | null>;
}

export const paid = { status: 200, body: '{"paid":true}' } as const;
export const finish: Decision = { kind: 'finish', answer: paid };
export const reserve: Decision = { kind: 'advance', to: 'funds_reserved', state: { payment_id: 'p' } };
export const postpone = (because: 'not_sent' | 'not_yet' | 'unknown'): Decision => ({
  kind: 'postpone',
  because,
  reason: 'no answer',
});

/** Engines over one database, with an operation that does what a test says, and remembers what it is told. */
export class EngineScene {
  readonly database = new ModelDatabase();
  /** What was done under keys whose rows are gone. */
  readonly remembered = new Map<string, Recalled>();
  readonly decided: Attempt[] = [];
  /** Thrown when the books are closed: what a constraint says. */
  complaint: ((attempts: readonly Attempt[]) => Error | undefined) | undefined;

  readonly operation: Operation;
  private lately: Attempt[] = [];

  constructor(readonly script: Script = {}) {
    this.operation = this.operationOf('payment');
  }

  /** A process of its own. */
  engine(members: Partial<Settings> = {}): Engine {
    const bookkeeping = {
      open: () => Promise.resolve((this.lately = [])),
      close: () => {
        const error = this.complaint?.(this.lately);
        return error ? Promise.reject(error) : Promise.resolve();
      },
    };
    const operations = [this.operation, this.operationOf('refund')];
    const world = { operations, bookkeeping, outside: {} };
    return new Engine(this.database.dataSource, world, Object.assign(new Settings(), settings, members));
  }

  run(engine: Engine, key: string | null, params: Params = { amount: 100 }, ms?: [number, number]) {
    const patience = ms && { firstMs: ms[0], repeatMs: ms[1] };
    return engine
      .run(this.operation, { customerId, key }, { params, patience })
      .then(({ outcome }) => outcome);
  }

  operationOf(name: string): Operation {
    const { script } = this;
    const cancel = script.cancel === undefined ? () => ({ kind: 'cancel' }) as const : script.cancel;
    return {
      name,
      needs: () => ({}),
      reachesOut: () => script.reachesOut ?? script.call !== undefined,
      phases: {
        started: {
          kind: 'atomic',
          decide: (_, claim) => {
            this.decided.push(claim.attempt);
            this.lately.push(claim.attempt);
            return script.started?.(claim) ?? (script.call ? reserve : finish);
          },
        },
        funds_reserved: {
          kind: 'call',
          call: (_, held, signal) => script.call?.(held, signal) ?? Promise.resolve(),
          record: (_, claim, result) => script.record?.(claim, result) ?? finish,
        },
      },
      ...(cancel && { cancel: (_: object, claim: Claim) => cancel(claim) }),
      memory: {
        constraint: `${name}s_remember_their_key`,
        recall: (_, owners) =>
          Promise.resolve(owners.map(({ key }) => this.remembered.get(`${name} ${key}`))),
        interim: () => script.interim?.() ?? Promise.resolve('{"status":"pending"}'),
      },
    };
  }
}
