import type { DataSource } from 'typeorm';
import { Payment, toPayment, type PaymentRow } from '../../src/payments/payment.entity.js';
import type { Reply, Row, Sent } from './store.js';

/** Carries one statement to the store, on a connection counted from 1. Rejects when the connection is lost. */
export type Send = (connection: number, sent: Sent) => Promise<Reply>;

/**
 * As much of a DataSource as the engine uses: connections on which statements travel under their names, and TypeORM's
 * `findOneBy` for the one read that goes through an entity. What is under it is the caller's.
 */
export function dataSourceOver(send: Send): DataSource {
  let connections = 0;
  const createQueryRunner = () => new Runner((connections += 1), send);
  const source = {
    options: { poolSize: 1 },
    createQueryRunner,
    transaction: async (work: (tx: unknown) => Promise<unknown>) => {
      const runner = createQueryRunner();
      await runner.query('BEGIN');
      await work(runner.manager);
      await runner.query('COMMIT');
    },
    get manager() {
      return createQueryRunner().manager;
    },
  };
  return source as unknown as DataSource;
}

class Runner {
  readonly manager = {
    queryRunner: { connect: () => this.connect() },
    findOneBy: async (entity: unknown, where: object) => {
      if (entity !== Payment) throw new Error('only payments are read through entities');
      const [row] = (await this.query({ name: 'find_payment', values: [where] })).rows;
      if (!row) return null;
      const { created_at, completed_at } = row as unknown as Row;
      const dates = {
        created_at: new Date(created_at),
        completed_at: completed_at === null ? null : new Date(completed_at),
      };
      return toPayment({ ...row, ...dates } as unknown as PaymentRow);
    },
  };

  constructor(
    private readonly connection: number,
    private readonly send: Send,
  ) {}

  connect(): Promise<this> {
    return Promise.resolve(this);
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  async query(
    statement: string | { name: string; text?: string; values?: readonly unknown[] },
  ): Promise<Reply> {
    const sent =
      typeof statement === 'string'
        ? { name: (statement.split(' ')[0] ?? '').toLowerCase(), values: [] }
        : { ...statement, values: statement.values ?? [] };
    const reply = await this.send(this.connection, sent);
    const { complaint } = reply;
    if (complaint) throw Object.assign(new Error(`the server complains: ${complaint.code}`), complaint);
    return reply;
  }
}
